//! The conversation that comes before everything else on a connection, where there is to be one.

use std::sync::Arc;

use bytes::Bytes;

use super::machine::{Session, put_request};
use super::output::{Ending, Outbox, Output};
use super::phase::{Authenticating, Phase};
use crate::hosts::Seeded;
use crate::moment::Moment;
use crate::proto::requests::SaslRequest;
use crate::proto::{Decoder, ErrorCode, JutePut, OpCode, ReplyHeader, Xid};
use crate::sasl::{SaslError, SaslMechanism, SaslStep};

/// How the session proves who it is on each connection.
#[derive(Debug)]
pub struct Sasl {
    mechanism: Arc<dyn SaslMechanism>,
    random: Seeded,
}

impl Sasl {
    /// By this mechanism; what looks random follows from the seed.
    pub fn new(mechanism: Arc<dyn SaslMechanism>, seed: u64) -> Self {
        Self { mechanism, random: Seeded::new(seed) }
    }
}

impl<R> Session<R> {
    /// Begins the conversation on a connection whose handshake is done; `false` if there is to be
    /// none.
    pub(super) fn begin_sasl(
        &mut self,
        now: Moment,
        deadline: Moment,
        read_only: bool,
        out: &mut Outbox<R>,
    ) -> bool {
        let Some(sasl) = &mut self.sasl else { return false };
        let random = u128::from(sasl.random.next()) << 64 | u128::from(sasl.random.next());
        let mut conversation = sasl.mechanism.begin(&self.host, random.to_be_bytes());
        match conversation.open() {
            Ok(token) => {
                let xid = self.send_token(&token, out);
                let sent_at = now;
                let phase = Authenticating { deadline, read_only, conversation, xid, sent_at };
                self.phase = Phase::Authenticating(phase);
            }
            Err(error) => self.refuse_sasl(error, out),
        }
        true
    }

    pub(super) fn sasl_answered(&mut self, now: Moment, frame: &Bytes, out: &mut Outbox<R>) {
        let Phase::Authenticating(phase) = &mut self.phase else { return };
        let mut from = Decoder::new(frame);
        let header = match from.read::<ReplyHeader>() {
            // Nothing is watched on this connection yet: what is told is for nobody.
            Ok(header) if header.xid == Xid::NOTIFICATION => return,
            Ok(header) if header.xid == phase.xid => header,
            _ => return self.give_up_server(now, out),
        };
        self.timers.answered(phase.sent_at);
        if header.error != ErrorCode::Ok {
            let what = format!("the server refused: {}", header.error);
            return self.refuse_sasl(SaslError::new(what), out);
        }
        let Ok(SaslRequest { token }) = from.read() else {
            return self.give_up_server(now, out);
        };
        match phase.conversation.answer(token) {
            Ok(SaslStep::Send(token)) => {
                let xid = self.send_token(&token, out);
                if let Phase::Authenticating(phase) = &mut self.phase {
                    (phase.xid, phase.sent_at) = (xid, now);
                }
            }
            Ok(SaslStep::Done) => {
                let read_only = phase.read_only;
                out.push(Output::SaslAuthenticated);
                self.enter_connected(now, read_only, out);
            }
            Err(error) => self.refuse_sasl(error, out),
        }
    }

    /// The server does not speak the protocol; nothing is lost but the time.
    fn give_up_server(&mut self, now: Moment, out: &mut Outbox<R>) {
        out.push(Output::Disconnect);
        self.try_next(now, out);
    }

    fn send_token(&mut self, token: &[u8], out: &mut Outbox<R>) -> Xid {
        let mut body = Vec::new();
        body.put(&SaslRequest { token: Some(token) });
        let xid = self.pending.take_xid();
        put_request(out, xid, OpCode::Sasl, &body);
        xid
    }

    fn refuse_sasl(&mut self, error: SaslError, out: &mut Outbox<R>) {
        out.push(Output::SaslFailed(error));
        self.end(Ending::AuthFailed, out);
    }
}
