//! The desk: HTTP for operators, on ports of its own. The one room that knows hyper.
//!
//! It answers from what the pure rooms tell, under the server's lock, as four-letter words are.
//! [`commands`] is the admin server; figures for Prometheus are told here.

mod commands;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::engine::Shared;
pub(crate) use commands::AdminPort;
use commands::Commands;

/// How many may be spoken to at once. Operators are few; who comes in crowds is none.
const GUESTS_MAX: usize = 64;

/// Where figures are told, and in what form.
const METRICS_PATH: &str = "/metrics";
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long somebody at the figures may take over a request.
const METRICS_IDLE: Duration = Duration::from_secs(30);

/// An answer.
type Answer = Response<Full<Bytes>>;

/// Who sits at one port.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    what: What,
    guests: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
enum What {
    Commands(Arc<Commands>),
    Metrics,
}

impl Desk {
    /// The admin server.
    pub(crate) fn commands(port: &AdminPort) -> Self {
        Self::of(What::Commands(Arc::new(Commands::new(port.clone()))))
    }

    /// Figures for Prometheus.
    pub(crate) fn metrics() -> Self {
        Self::of(What::Metrics)
    }

    fn of(what: What) -> Self {
        Self { what, guests: Arc::new(Semaphore::new(GUESTS_MAX)) }
    }

    /// Serves one connection, from its beginning to its end.
    pub(crate) async fn serve(self, shared: Arc<Shared>, peer: SocketAddr, stream: TcpStream) {
        let Ok(_seat) = self.guests.try_acquire() else {
            tracing::debug!(%peer, "too many are at the desk");
            return;
        };
        let idle = match &self.what {
            What::Commands(commands) => commands.idle_timeout(),
            What::Metrics => METRICS_IDLE,
        };
        let service = service_fn(|request: Request<Incoming>| {
            let answer = self.what.answer(&shared, peer, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut http = http1::Builder::new();
        let http = http.timer(TokioTimer::new()).header_read_timeout(idle);
        if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%peer, %error, "a connection at the desk has ended");
        }
    }
}

impl What {
    fn answer<B>(&self, shared: &Shared, peer: SocketAddr, request: &Request<B>) -> Answer {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return status(StatusCode::METHOD_NOT_ALLOWED);
        }
        match self {
            Self::Commands(commands) => commands.answer(shared, peer, request),
            Self::Metrics if request.uri().path() == METRICS_PATH => {
                let text = shared.lock().node.figures().prometheus();
                of_type(METRICS_TYPE, text)
            }
            Self::Metrics => status(StatusCode::NOT_FOUND),
        }
    }
}

/// Has a server answer what somebody at the desk asks for: a path with a query, then a header.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz(bytes: &[u8]) {
    use crate::node::settings::Settings;
    let shared = Shared::new(Settings::fixed());
    let peer = SocketAddr::from(([127, 0, 0, 1], 7));
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (uri, header) = (parts.next().unwrap_or_default(), parts.next());
    let mut request = Request::builder().uri(uri);
    if let Some(header) = header {
        request = request.header(hyper::header::AUTHORIZATION, header);
    }
    // What hyper itself refuses never comes here.
    let Ok(request) = request.body(()) else { return };
    for desk in [Desk::commands(&AdminPort::new(peer)), Desk::metrics()] {
        let answer = desk.what.answer(&shared, peer, &request);
        assert!(!answer.status().is_server_error(), "{:?}", answer.status());
    }
}

/// An answer with nothing in it.
fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn of_type(kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
