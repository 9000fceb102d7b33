//! The admin server: who asks for what, who may, and how it goes out.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use tokio::time::Instant;
use znode::proto::Zxid;

use super::super::engine::{Engine, Shared};
use super::super::files;
use super::{Answer, of_type, status};
use crate::admin::commands::{Command, Facts, answer};
use crate::admin::json::Map;

const JSON_TYPE: &str = "application/json";
const BINARY_TYPE: &str = "application/octet-stream";

/// Where the admin server listens, and what it offers.
#[derive(Debug, Clone)]
pub(crate) struct AdminPort {
    pub(crate) address: SocketAddr,
    /// What paths of commands begin with: `admin.commandURL`.
    pub(crate) command_url: String,
    /// How long somebody may take over a request: `admin.idleTimeout`.
    pub(crate) idle_timeout: Duration,
    /// Whether snapshots may be asked for: `admin.snapshot.enabled`.
    pub(crate) snapshots: bool,
    /// How long to wait between two of them: `admin.rateLimiterIntervalInMS`.
    pub(crate) snapshot_interval: Duration,
}

impl AdminPort {
    /// Apache's defaults.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            command_url: "/commands".to_owned(),
            idle_timeout: Duration::from_secs(30),
            snapshots: true,
            snapshot_interval: Duration::from_secs(300),
        }
    }
}

/// Who answers there.
#[derive(Debug)]
pub(super) struct Commands {
    port: AdminPort,
    /// When a snapshot was last asked for.
    last_snapshot: Mutex<Option<Instant>>,
}

impl Commands {
    pub(super) fn new(port: AdminPort) -> Self {
        Self { port, last_snapshot: Mutex::new(None) }
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.port.idle_timeout
    }

    pub(super) fn answer<B>(
        &self,
        shared: &Shared,
        peer: SocketAddr,
        request: &Request<B>,
    ) -> Answer {
        let path = request.uri().path().strip_prefix(&*self.port.command_url);
        let name = match path {
            Some("" | "/") => return of_type("text/html", self.links()),
            Some(path) => path.strip_prefix('/'),
            None => None,
        };
        let Some(name) = name else { return status(StatusCode::NOT_FOUND) };
        let query = request.uri().query().unwrap_or_default();
        let Some((command, primary)) = Command::find(name) else {
            let error = format!("Unknown command: {name}");
            return json(StatusCode::OK, name, Map::new(), Some(&error));
        };
        if command == Command::Snapshot {
            let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            return match authorize(shared, peer, authorization) {
                Ok(()) => self.snapshot(shared, primary, query),
                Err((code, why)) => json(code, name, Map::new(), Some(why)),
            };
        }
        let facts = facts(shared, command, query);
        let told = shared.lock().command(command, &facts);
        json(StatusCode::OK, primary, told, None)
    }

    fn links(&self) -> String {
        let url = &self.port.command_url;
        Command::names()
            .map(|name| format!("<a href=\"{url}/{name}\">{name}</a>\n<br/>\n"))
            .collect()
    }

    fn snapshot(&self, shared: &Shared, name: &str, query: &str) -> Answer {
        if !self.port.snapshots {
            return json(StatusCode::SERVICE_UNAVAILABLE, name, Map::new(), None);
        }
        if !self.is_time() {
            return json(StatusCode::TOO_MANY_REQUESTS, name, Map::new(), None);
        }
        let (zxid, bytes) = shared.lock().take_snapshot();
        let len = bytes.len();
        let mut answer = match parameter(query, "streaming") {
            Some(streaming) if !streaming.eq_ignore_ascii_case("true") => {
                json(StatusCode::OK, name, Map::new(), None)
            }
            _ => of_type(BINARY_TYPE, bytes),
        };
        let headers =
            [("last_zxid", format!("0x{:x}", zxid.0)), ("snapshot_size", len.to_string())];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }

    /// Whether enough time has passed since the last snapshot; if so, it begins anew.
    #[expect(clippy::disallowed_methods, reason = "the shell is where the clock is read")]
    fn is_time(&self) -> bool {
        let now = Instant::now();
        let mut last = self.last_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            last.is_none_or(|last| now.duration_since(last) >= self.port.snapshot_interval);
        if waited {
            *last = Some(now);
        }
        waited
    }
}

/// Whether somebody may do everything at the root, by what an `Authorization` says: a scheme, and
/// maybe what that wants to know.
fn authorize(
    shared: &Shared,
    peer: SocketAddr,
    authorization: Option<&[u8]>,
) -> Result<(), (StatusCode, &'static str)> {
    const REFUSED: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "Not authenticated");
    let missing = (StatusCode::UNAUTHORIZED, "Auth info is missing for the command");
    let said = str::from_utf8(authorization.ok_or(missing)?).map_err(|_| REFUSED)?;
    let mut words = said.split(' ');
    let (scheme, auth) = (words.next().unwrap_or_default(), words.next());
    if words.next().is_some() {
        return Err(REFUSED);
    }
    let engine = shared.lock();
    let scheme = engine.node.schemes.find(scheme).ok_or(REFUSED)?;
    let identities = scheme.authenticate(peer.ip(), auth.map(str::as_bytes));
    let identities = identities.filter(|proved| !proved.is_empty()).ok_or(REFUSED)?;
    match engine.node.may_administer(&identities) {
        true => Ok(()),
        false => Err((StatusCode::FORBIDDEN, "Not authorized")),
    }
}

fn facts(shared: &Shared, command: Command, query: &str) -> Facts {
    let mut facts =
        Facts { trace_mask: parameter(query, "traceMask").map(str::to_owned), ..Facts::default() };
    if command.wants_files() {
        let settings = shared.lock().node.settings.clone();
        facts.sizes = files::sizes(&settings);
        facts.last_snapshot = files::last_snapshot(&settings);
    }
    facts
}

fn json(code: StatusCode, name: &str, told: Map, error: Option<&str>) -> Answer {
    let mut response = of_type(JSON_TYPE, answer(name, told, error).print());
    *response.status_mut() = code;
    response
}

/// The first value of a name in a query.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

impl Engine {
    /// What a command tells.
    fn command(&mut self, command: Command, facts: &Facts) -> Map {
        self.read_clock();
        self.with_outbox(|node, out| node.command(command, facts, out))
    }

    /// Everything as it is now; a disk gets it as well.
    fn take_snapshot(&mut self) -> (Zxid, Vec<u8>) {
        let zxid = self.node.last_processed;
        let bytes = self.node.snapshot();
        self.keep_snapshot();
        (zxid, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_names() {
        assert_eq!(parameter("a=1&traceMask=5&traceMask=6", "traceMask"), Some("5"));
        assert_eq!(parameter("traceMask", "traceMask"), None);
        assert_eq!(parameter("", "a"), None);
    }
}
