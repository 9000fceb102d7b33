//! Plays a stream on one server and writes down what it answers.

use std::collections::VecDeque;

use znode::SessionId;
use znode::proto::{
    ConnectRequest, ConnectResponse, Decoder, JutePut, OpCode, ReplyHeader, Xid, Zxid,
};

use crate::link::{Link, Received};
use crate::plan::{Action, Hello, Password, Request, Resume, SLOTS, What};
use crate::render::Scale;

/// The session timeout that a connection asks for when nothing else is said: longer than a stream.
const TIMEOUT_MS: i32 = 60_000;

/// The number of a request that nothing but its place in line is wanted of.
const FENCE: i32 = 0x7abc_def0;

/// What happened at each action, line by line.
pub(crate) type Transcript = Vec<Vec<String>>;

/// One server during one stream.
pub(crate) struct Driver<'a> {
    address: &'a str,
    root: &'a str,
    slots: [Option<Link>; SLOTS],
    /// The session that each connection has, or had last.
    held: [SessionId; SLOTS],
    /// Every session that was opened, and its password; ended ones stay.
    sessions: Vec<SessionId>,
    passwords: Vec<Vec<u8>>,
    base: i64,
    seen: i64,
    lines: Vec<String>,
}

/// Plays the actions on the server at `address`, below a node `root` of their own.
pub(crate) fn play(address: &str, root: &str, actions: &[Action]) -> Transcript {
    let mut driver = Driver::new(address, root);
    driver.base = driver.prologue();
    driver.seen = driver.base;
    driver.lines.clear();
    let mut transcript = Vec::with_capacity(actions.len() + 1);
    for action in actions {
        driver.perform(action);
        transcript.push(std::mem::take(&mut driver.lines));
    }
    driver.epilogue();
    transcript.push(driver.lines);
    transcript
}

impl<'a> Driver<'a> {
    fn new(address: &'a str, root: &'a str) -> Self {
        Self {
            address,
            root,
            slots: [const { None }; SLOTS],
            held: [SessionId::NONE; SLOTS],
            sessions: Vec::new(),
            passwords: Vec::new(),
            base: 0,
            seen: 0,
            lines: Vec::new(),
        }
    }

    /// A session with an ephemeral node and watches of several kinds.
    pub(crate) fn with_watches(address: &'a str, root: &'a str) -> Self {
        let mut driver = Self::new(address, root);
        driver.prologue();
        driver.batch(0, &crate::generate::some_watches());
        driver
    }

    /// Ends what was begun.
    pub(crate) fn end(mut self) {
        self.epilogue();
    }

    /// Creates the root; its zxid is where the stream begins.
    fn prologue(&mut self) -> i64 {
        self.hello(0, &Hello::new());
        let create = crate::generate::create_root();
        self.batch(0, std::slice::from_ref(&create));
        self.seen
    }

    /// Ends every session, so that none expires during a later stream.
    fn epilogue(&mut self) {
        for known in 0..self.sessions.len() {
            let session = Resume::Known(known);
            self.hello(0, &Hello { session, short: true, ..Hello::new() });
        }
        self.slots = [const { None }; SLOTS];
    }

    fn perform(&mut self, action: &Action) {
        let slot = action.slot;
        match &action.what {
            What::Cut => self.slots[slot] = None,
            What::Hello(hello) => {
                self.slots[slot] = None;
                self.hello(slot, hello);
                self.fence();
            }
            What::Stranger(bytes) => self.stranger(bytes),
            What::Batch(_) | What::Fatal(_) | What::Bytes(_) => {
                if self.slots[slot].is_none() {
                    self.hello(slot, &Hello::new());
                }
                if self.slots[slot].is_none() {
                    return;
                }
                match &action.what {
                    What::Batch(requests) => self.batch(slot, requests),
                    What::Fatal(requests) => self.fatal(slot, requests),
                    What::Bytes(bytes) => {
                        self.send(slot, bytes);
                        self.finish(slot, VecDeque::new());
                    }
                    _ => {}
                }
                self.fence();
                if ends_session(&action.what) {
                    // Its ephemeral nodes go in no order.
                    self.lines.sort();
                }
            }
        }
    }

    fn batch(&mut self, slot: usize, requests: &[Request]) {
        let mut bytes = self.encode(requests);
        bytes.extend(fence());
        self.send(slot, &bytes);
        self.listen(slot, waiting(requests), true);
    }

    fn fatal(&mut self, slot: usize, requests: &[Request]) {
        let bytes = self.encode(requests);
        self.send(slot, &bytes);
        self.finish(slot, waiting(requests));
    }

    /// Listens to the end of a connection.
    fn finish(&mut self, slot: usize, waiting: VecDeque<(i32, i32)>) {
        self.listen(slot, waiting, false);
        self.slots[slot] = None;
    }

    /// Waits until every connection has been sent what it has to be.
    fn fence(&mut self) {
        for slot in 0..SLOTS {
            self.send(slot, &fence());
        }
        for slot in 0..SLOTS {
            if self.slots[slot].is_some() {
                self.listen(slot, VecDeque::new(), true);
            }
        }
    }

    fn encode(&self, requests: &[Request]) -> Vec<u8> {
        requests.iter().flat_map(|request| request.frame(self.root, self.seen)).collect()
    }

    fn send(&mut self, slot: usize, bytes: &[u8]) {
        if let Some(link) = &mut self.slots[slot] {
            link.send(bytes);
        }
    }

    /// Notes what arrives, up to the answer of a fence or to the end of the connection.
    fn listen(&mut self, slot: usize, mut waiting: VecDeque<(i32, i32)>, fenced: bool) {
        let Some(mut link) = self.slots[slot].take() else { return };
        loop {
            match link.receive() {
                Received::Frame(frame) => {
                    if self.frame(slot, &frame, &mut waiting) && fenced {
                        self.slots[slot] = Some(link);
                        return;
                    }
                }
                Received::Closed(rest) if rest.is_empty() => {
                    return self.lines.push(format!("{slot} closed"));
                }
                Received::Closed(rest) => {
                    return self.lines.push(format!("{slot} closed behind {rest:02x?}"));
                }
                Received::Silence => return self.lines.push(format!("{slot} silence")),
            }
        }
    }

    /// Notes one frame; true if it answers a fence.
    fn frame(&mut self, slot: usize, frame: &[u8], waiting: &mut VecDeque<(i32, i32)>) -> bool {
        let Ok(header) = Decoder::new(frame).read::<ReplyHeader>() else {
            self.lines.push(format!("{slot} odd frame {frame:02x?}"));
            return false;
        };
        self.seen = self.seen.max(header.zxid.0);
        if header.xid.0 == FENCE {
            return true;
        }
        let scale = Scale { base: self.base, sessions: &self.sessions };
        let line = match scale.event(frame) {
            Some(event) => event,
            None => {
                let at = waiting.iter().position(|(xid, _)| *xid == header.xid.0);
                let op = at.and_then(|at| waiting.remove(at)).map_or(0, |(_, op)| op);
                format!("{op}: {}", scale.reply(op, frame))
            }
        };
        self.lines.push(format!("{slot} {line}"));
        false
    }

    /// Opens a connection with a handshake; the slot has it if there came a session of it.
    fn hello(&mut self, slot: usize, hello: &Hello) {
        let (session_id, password) = self.credentials(hello);
        let mut bytes = Vec::new();
        bytes.put(&ConnectRequest {
            protocol_version: hello.protocol_version,
            last_zxid_seen: Zxid(self.seen.saturating_add(hello.zxid_ahead)),
            timeout_ms: hello.timeout_ms,
            session_id,
            password: password.as_deref(),
            read_only: hello.read_only,
        });
        let mut framed = Vec::new();
        framed.put_buffer(Some(&bytes));
        let mut link = Link::open(self.address);
        link.send(&framed);
        let frame = match link.receive() {
            Received::Frame(frame) => frame,
            other => return self.lines.push(format!("{slot} hello: {other:?}")),
        };
        if !self.greeted(slot, &frame) {
            return self.lines.push(format!("{slot} then {:?}", link.receive()));
        }
        if hello.short {
            let xid = Xid(1);
            let mut close = vec![0, 0, 0, 8];
            close.put(&xid);
            close.put(&OpCode::CloseSession.code());
            link.send(&close);
            link.receive_all();
            return;
        }
        self.held[slot] = Decoder::new(&frame)
            .read::<ConnectResponse<'_>>()
            .map_or(SessionId::NONE, |answer| answer.session_id);
        self.slots[slot] = Some(link);
    }

    fn credentials(&self, hello: &Hello) -> (SessionId, Option<Vec<u8>>) {
        let at = match hello.session {
            Resume::Known(at) if !self.sessions.is_empty() => Some(at % self.sessions.len()),
            _ => None,
        };
        let session_id = match (hello.session, at) {
            (Resume::Unknown(id), _) => SessionId(id),
            (_, Some(at)) => self.sessions[at],
            (_, None) => SessionId::NONE,
        };
        let mut password = at.map_or_else(|| vec![0; 16], |at| self.passwords[at].clone());
        let connected =
            (0..SLOTS).any(|slot| self.slots[slot].is_some() && self.held[slot] == session_id);
        match hello.password {
            // Apache would cut off whoever has the session.
            _ if connected => {}
            Password::Right => {}
            Password::Wrong => password[3] ^= 1,
            Password::Short => password.truncate(3),
            Password::Null => return (session_id, None),
        }
        (session_id, Some(password))
    }

    /// Notes the answer to a handshake; true if it brings a session.
    fn greeted(&mut self, slot: usize, frame: &[u8]) -> bool {
        let mut from = Decoder::new(frame);
        let Ok(answer) = from.read::<ConnectResponse<'_>>() else {
            self.lines.push(format!("{slot} odd greeting {frame:02x?}"));
            return false;
        };
        let password = answer.password.unwrap_or_default();
        let known = self.sessions.iter().position(|id| *id == answer.session_id);
        let right = known.map(|at| self.passwords[at] == password);
        if known.is_none() && answer.session_id != SessionId::NONE {
            self.sessions.push(answer.session_id);
            self.passwords.push(password.to_vec());
        }
        let scale = Scale { base: self.base, sessions: &self.sessions };
        let session = scale.session(answer.session_id);
        let zeros = password.iter().all(|byte| *byte == 0);
        self.lines.push(format!(
            "{slot} greeted {} {session} timeout {} password {} zeros {zeros} right {right:?} \
             {:?} + {}",
            answer.protocol_version,
            answer.timeout_ms,
            password.len(),
            answer.read_only,
            from.remaining()
        ));
        answer.timeout_ms > 0
    }

    fn stranger(&mut self, bytes: &[u8]) {
        let mut link = Link::open(self.address);
        link.send(bytes);
        link.finish();
        let answer = link.receive_all();
        self.lines.push(format!("stranger got {}", answer.escape_ascii()));
    }
}

impl Hello {
    /// What a client says that has no session.
    pub(crate) fn new() -> Self {
        Self {
            session: Resume::New,
            password: Password::Right,
            timeout_ms: TIMEOUT_MS,
            zxid_ahead: 0,
            protocol_version: 0,
            read_only: Some(false),
            short: false,
        }
    }
}

/// The requests whose answers are to come: number and operation. A ping's answer has its own.
fn waiting(requests: &[Request]) -> VecDeque<(i32, i32)> {
    let answered = |request: &Request| match request.op {
        11 => (Xid::PING.0, 11),
        op => (request.xid, op),
    };
    requests.iter().map(answered).collect()
}

fn ends_session(what: &What) -> bool {
    matches!(what, What::Fatal(requests) if requests.last().is_some_and(|last| last.op == -11))
}

fn fence() -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 12];
    frame.put(&FENCE);
    frame.put(&OpCode::Sync.code());
    frame.put_buffer(None);
    frame
}
