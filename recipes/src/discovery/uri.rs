//! Where an instance is reached: a URI with places for what the instance says of itself.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::Value;

use super::instance::ServiceInstance;
use crate::recipe_error::RecipeError;

/// A URI with places in braces, that an instance's own values take: `{scheme}`, which is `https` if
/// it has a port for TLS and `http` otherwise, `{name}`, `{id}`, `{address}`, `{port}`,
/// `{ssl-port}`, `{registration-time-utc}` and `{service-type}`; `{[}` and `{]}` are braces.
///
/// ```
/// # fn main() -> Result<(), znode_recipes::RecipeError> {
/// use znode_recipes::{ServiceInstance, UriSpec};
///
/// let spec = UriSpec::parse("{scheme}://{address}:{port}/v1")?;
/// let instance = ServiceInstance::new("billing", "7")
///     .with_address("10.0.0.7")
///     .with_port(8080)
///     .with_uri_spec(spec.clone());
/// assert_eq!(spec.build(&instance), "http://10.0.0.7:8080/v1");
/// assert_eq!(instance.uri().as_deref(), Some("http://10.0.0.7:8080/v1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UriSpec {
    /// What it is put together of, in order.
    pub parts: Vec<UriPart>,
}

/// A part of a [`UriSpec`].
///
/// ```
/// use znode_recipes::{UriPart, UriSpec};
///
/// let host = UriPart { value: "address".to_owned(), variable: true };
/// let path = UriPart { value: "/v1".to_owned(), variable: false };
/// assert_eq!(UriSpec::parse("{address}/v1").unwrap().parts, [host, path]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriPart {
    /// Text as it is, or the name of what stands in its place.
    pub value: String,
    /// Whether something stands in its place.
    pub variable: bool,
}

impl UriSpec {
    /// From text with places in braces.
    ///
    /// # Errors
    /// `InvalidArgument` if braces are not in pairs.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let unpaired = || RecipeError::invalid_argument(text, "its braces are not in pairs");
        let mut parts = Vec::new();
        let mut part = |value: &str, variable| {
            if !value.is_empty() {
                parts.push(UriPart { value: value.to_owned(), variable });
            }
        };
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (place, behind) = behind.split_once('}').ok_or_else(unpaired)?;
            if before.contains('}') || place.contains('{') {
                return Err(unpaired());
            }
            part(before, false);
            part(place.trim(), true);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(unpaired());
        }
        part(rest, false);
        Ok(Self { parts })
    }

    /// With what an instance says of itself in the places; nothing in those that are not known.
    pub fn build(&self, instance: &ServiceInstance) -> String {
        let value = |part: &UriPart| match part.variable {
            true => value_of(instance, &part.value),
            false => part.value.clone(),
        };
        self.parts.iter().map(value).collect()
    }

    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let part = |part: &Value| {
            let value = part.get("value")?.as_str()?.to_owned();
            Some(UriPart { value, variable: part.get("variable")?.as_bool()? })
        };
        let parts = json.get("parts")?.as_array()?.iter().map(part);
        Some(Self { parts: parts.collect::<Option<_>>()? })
    }
}

fn value_of(instance: &ServiceInstance, place: &str) -> String {
    let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
    match place {
        "scheme" if instance.ssl_port.is_some() => "https".to_owned(),
        "scheme" => "http".to_owned(),
        "name" => instance.name.clone(),
        "id" => instance.id.clone(),
        "address" => instance.address.clone().unwrap_or_default(),
        "port" => port(instance.port),
        "ssl-port" => port(instance.ssl_port),
        "registration-time-utc" => instance.registration_time_utc.to_string(),
        "service-type" => instance.service_type.name().to_lowercase(),
        "[" => "{".to_owned(),
        "]" => "}".to_owned(),
        _ => String::new(),
    }
}

impl Serialize for UriSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spec = serializer.serialize_struct("UriSpec", 1)?;
        spec.serialize_field("parts", &self.parts)?;
        spec.end()
    }
}

impl Serialize for UriPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut part = serializer.serialize_struct("UriPart", 2)?;
        part.serialize_field("value", &self.value)?;
        part.serialize_field("variable", &self.variable)?;
        part.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_come_in_pairs() {
        for text in ["{", "}", "a}b", "{a", "{a{b}}", "{a}}", "}{"] {
            assert!(UriSpec::parse(text).is_err(), "{text}");
        }
        let spec = UriSpec::parse("{[}{ id }{]}{nothing}").unwrap();
        assert_eq!(spec.build(&ServiceInstance::new("a", "7")), "{7}");
        assert_eq!(UriSpec::parse("").unwrap(), UriSpec::default());
    }
}
