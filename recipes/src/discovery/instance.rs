//! One who offers a service, and how it is written.

use std::time::UNIX_EPOCH;

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use super::uri::UriSpec;
use crate::clock::wall_clock;
use crate::recipe_error::RecipeError;

/// One who offers a service, as Curator's `ServiceInstance`.
///
/// ```
/// # fn main() -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{ServiceInstance, ServiceType, UriSpec};
///
/// let instance = ServiceInstance::new("billing", "host-1:8080")
///     .with_address("10.0.0.7")
///     .with_port(8080)
///     .with_ssl_port(8443)
///     .with_service_type(ServiceType::Static)
///     .with_payload(&["eu", "gold"])?
///     .with_uri_spec(UriSpec::parse("{scheme}://{address}:{ssl-port}")?);
/// assert_eq!(instance.uri().as_deref(), Some("https://10.0.0.7:8443"));
/// assert_eq!(instance.payload_as::<Vec<String>>()?, ["eu", "gold"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServiceInstance {
    /// The service that it offers.
    pub name: String,
    /// What it is called among those who offer it.
    pub id: String,
    /// Where it is: a name or an address.
    pub address: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Its port for TLS.
    pub ssl_port: Option<u16>,
    /// What else it says of itself, as JSON; `Null` if nothing.
    pub payload: Value,
    /// When it began, in milliseconds since 1970.
    pub registration_time_utc: i64,
    /// Whether it goes with its session.
    pub service_type: ServiceType,
    /// Where it is reached.
    pub uri_spec: Option<UriSpec>,
    /// Whether it is to be asked; a [`Provider`](crate::Provider) does not give those that are not.
    pub enabled: bool,
}

/// Whether an instance goes with the session that has registered it.
///
/// ```
/// use znode_recipes::{ServiceInstance, ServiceType};
///
/// assert_eq!(ServiceInstance::new("billing", "7").service_type, ServiceType::Dynamic);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ServiceType {
    /// It does.
    #[default]
    Dynamic,
    /// It stays until it is unregistered.
    Static,
    /// It stays until it is unregistered; Curator has another name for something that is managed
    /// by hand.
    Permanent,
    /// It does, under a name with a number. Those of others are read; to register one is refused,
    /// as its name could not be known after a lost reply.
    DynamicSequential,
}

impl ServiceType {
    const ALL: [Self; 4] = [Self::Dynamic, Self::Static, Self::Permanent, Self::DynamicSequential];

    /// As Curator writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "DYNAMIC",
            Self::Static => "STATIC",
            Self::Permanent => "PERMANENT",
            Self::DynamicSequential => "DYNAMIC_SEQUENTIAL",
        }
    }
}

impl ServiceInstance {
    /// An instance of a service, with an id of its own, that begins now and goes with its session.
    pub fn new(name: impl Into<String>, id: impl Into<String>) -> Self {
        let since = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            name: name.into(),
            id: id.into(),
            address: None,
            port: None,
            ssl_port: None,
            payload: Value::Null,
            registration_time_utc: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            service_type: ServiceType::Dynamic,
            uri_spec: None,
            enabled: true,
        }
    }

    /// The same, at a name or an address.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The same, at a port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The same, at a port for TLS.
    #[must_use]
    pub fn with_ssl_port(mut self, port: u16) -> Self {
        self.ssl_port = Some(port);
        self
    }

    /// The same, of another type.
    #[must_use]
    pub fn with_service_type(mut self, service_type: ServiceType) -> Self {
        self.service_type = service_type;
        self
    }

    /// The same, reached at a URI.
    #[must_use]
    pub fn with_uri_spec(mut self, spec: UriSpec) -> Self {
        self.uri_spec = Some(spec);
        self
    }

    /// The same, which says something else of itself. (Programs with Curator take what is no text
    /// for an object of the class that its key `@class` names.)
    ///
    /// # Errors
    /// `InvalidArgument` if it cannot be written as JSON.
    pub fn with_payload(mut self, payload: &impl Serialize) -> Result<Self, RecipeError> {
        self.payload = serde_json::to_value(payload)
            .map_err(|error| RecipeError::invalid_argument(&self.id, error.to_string()))?;
        Ok(self)
    }

    /// What else it says of itself, as a type of one's own.
    ///
    /// # Errors
    /// `Foreign` if it is no such value.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, RecipeError> {
        T::deserialize(&self.payload)
            .map_err(|error| RecipeError::foreign(&self.id, error.to_string()))
    }

    /// Where it is reached, if it says so.
    pub fn uri(&self) -> Option<String> {
        self.uri_spec.as_ref().map(|spec| spec.build(self))
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, RecipeError> {
        serde_json::to_vec(self)
            .map_err(|error| RecipeError::invalid_argument(&self.id, error.to_string()))
    }

    /// From what stands in a node; otherwise what is wrong with that.
    pub(super) fn from_json(data: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(data).map_err(|error| error.to_string())?;
        let field = |key: &str| json.get(key).filter(|value| !value.is_null());
        let wrong = |key: &str| format!("its {key} is {}", json.get(key).unwrap_or(&Value::Null));
        let text = |key: &str| match field(key).map(Value::as_str) {
            Some(None) => Err(wrong(key)),
            text => Ok(text.flatten().map(str::to_owned)),
        };
        let port = |key: &str| match field(key).map(Value::as_u64) {
            None => Ok(None),
            Some(port) => match port.and_then(|port| u16::try_from(port).ok()) {
                Some(port) => Ok(Some(port)),
                None => Err(wrong(key)),
            },
        };
        let service_type = match text("serviceType")? {
            None => ServiceType::Dynamic,
            Some(name) => {
                let found = ServiceType::ALL.into_iter().find(|it| it.name() == name);
                found.ok_or_else(|| wrong("serviceType"))?
            }
        };
        let time = field("registrationTimeUTC").map_or(Some(0), Value::as_i64);
        let enabled = field("enabled").map_or(Some(true), Value::as_bool);
        let uri_spec = field("uriSpec").map(|spec| UriSpec::from_json(spec).ok_or(spec));
        Ok(Self {
            name: text("name")?.ok_or_else(|| wrong("name"))?,
            id: text("id")?.ok_or_else(|| wrong("id"))?,
            address: text("address")?,
            port: port("port")?,
            ssl_port: port("sslPort")?,
            payload: json.get("payload").cloned().unwrap_or_default(),
            registration_time_utc: time.ok_or_else(|| wrong("registrationTimeUTC"))?,
            service_type,
            uri_spec: uri_spec.transpose().map_err(|_| wrong("uriSpec"))?,
            enabled: enabled.ok_or_else(|| wrong("enabled"))?,
        })
    }
}

impl Serialize for ServiceInstance {
    /// With Curator's keys, in Curator's order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("ServiceInstance", 10)?;
        json.serialize_field("name", &self.name)?;
        json.serialize_field("id", &self.id)?;
        json.serialize_field("address", &self.address)?;
        json.serialize_field("port", &self.port)?;
        json.serialize_field("sslPort", &self.ssl_port)?;
        json.serialize_field("payload", &self.payload)?;
        json.serialize_field("registrationTimeUTC", &self.registration_time_utc)?;
        json.serialize_field("serviceType", self.service_type.name())?;
        json.serialize_field("uriSpec", &self.uri_spec)?;
        // Older Curators fall over a key that they do not know (CURATOR-275).
        if !self.enabled {
            json.serialize_field("enabled", &false)?;
        }
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Spring Cloud writes it, by Curator.
    const OF_CURATOR: &str = concat!(
        r#"{"name":"payment","id":"585ddd0b","address":"192.168.0.106","port":8004,"#,
        r#""sslPort":null,"payload":{"@class":"ZookeeperInstance","id":"application-1"},"#,
        r#""registrationTimeUTC":1698197224917,"serviceType":"DYNAMIC","uriSpec":{"parts":"#,
        r#"[{"value":"scheme","variable":true},{"value":"://","variable":false},"#,
        r#"{"value":"address","variable":true}]}}"#,
    );

    #[test]
    fn an_instance_is_written_as_curator_writes_it() {
        let instance = ServiceInstance::from_json(OF_CURATOR.as_bytes()).unwrap();
        assert_eq!(instance.uri().as_deref(), Some("http://192.168.0.106"));
        assert_eq!(instance.payload["@class"], "ZookeeperInstance");
        assert_eq!(String::from_utf8(instance.to_json().unwrap()).unwrap(), OF_CURATOR);
        let least = r#"{"name":"a","id":"7","address":null,"port":null,"sslPort":null,"payload":"#;
        let rest = r#"null,"registrationTimeUTC":0,"serviceType":"DYNAMIC","uriSpec":null}"#;
        let mut instance = ServiceInstance::new("a", "7");
        instance.registration_time_utc = 0;
        assert_eq!(instance.to_json().unwrap(), [least, rest].concat().as_bytes());
        // And what others leave out, or add.
        let short = br#"{"id":"7","name":"a","registrationTimeUTC":0,"more":[1]}"#;
        assert_eq!(ServiceInstance::from_json(short).unwrap(), instance);
    }

    /// CURATOR-275: it is written only where it says something.
    #[test]
    fn curator_275_whether_it_is_enabled_is_read_and_written() {
        let mut instance = ServiceInstance::new("a", "7");
        instance.enabled = false;
        let json = instance.to_json().unwrap();
        assert!(json.ends_with(br#","enabled":false}"#));
        assert_eq!(ServiceInstance::from_json(&json).unwrap(), instance);
    }

    #[test]
    fn what_is_no_instance_is_told_from_one() {
        for json in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"name":"a"}"#,
            r#"{"name":"a","id":7}"#,
            r#"{"name":"a","id":"7","port":"80"}"#,
            r#"{"name":"a","id":"7","port":-1}"#,
            r#"{"name":"a","id":"7","sslPort":65536}"#,
            r#"{"name":"a","id":"7","serviceType":"ELASTIC"}"#,
            r#"{"name":"a","id":"7","registrationTimeUTC":"now"}"#,
            r#"{"name":"a","id":"7","enabled":"no"}"#,
            r#"{"name":"a","id":"7","uriSpec":{"parts":[{"value":"a"}]}}"#,
            r#"{"name":"a","id":"7"} {}"#,
        ] {
            assert!(ServiceInstance::from_json(json.as_bytes()).is_err(), "{json}");
        }
    }
}
