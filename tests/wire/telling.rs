//! Records in the notation of `golden.txt`, which explains it at its beginning.

use std::fmt::{Display, Write as _};

use znode::proto::multi::{MultiOp, MultiRequest, MultiResponse, MultiResult};
use znode::proto::replies::{
    AclReply, Children2Reply, CountReply, Create2Reply, DataReply, ErrorReply, NamesReply,
    PathReply, StatReply, SyncReply, WhoAmIReply,
};
use znode::proto::requests::{
    AddWatchRequest, AuthRequest, CheckVersionRequest, CreateRequest, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, PathRequest, ReadRequest, ReconfigRequest, SaslRequest,
    SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, WatchesRequest,
};
use znode::proto::{
    AclRecord, ConnectRequest, ConnectResponse, ErrorCode, OpCode, ReplyHeader, RequestHeader,
    SessionId, Stat, WatcherEvent, Xid,
};

/// A record that can be told.
pub(crate) trait Tell {
    fn tell(&self) -> String;
}

/// Joins what there is to say.
pub(crate) fn words(parts: &[&str]) -> String {
    let said = parts.iter().copied().filter(|part| !part.is_empty());
    said.collect::<Vec<_>>().join(" ")
}

/// A field that is worth mentioning only if it is not as usual.
fn unless<T: PartialEq + Display>(usual: &T, name: &str, value: &T) -> String {
    if value == usual { String::new() } else { format!("{name}={value}") }
}

/// The name of an operation, as `get_children2`.
pub(crate) fn op_name(op: i32) -> String {
    let Ok(op) = OpCode::try_from(op) else {
        return format!("opcode_{op}");
    };
    let mut name = String::new();
    for letter in format!("{op:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn data(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else {
        return "null".to_owned();
    };
    let plain = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
    if bytes.iter().all(plain) {
        return format!("\"{}\"", String::from_utf8_lossy(bytes));
    }
    bytes.iter().fold("0x".to_owned(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("strings grow");
        hex
    })
}

fn text(text: &str) -> String {
    let hidden = |c: char| c.is_control() || c == ' ' || ('\u{e000}'..='\u{f8ff}').contains(&c);
    if !text.is_empty() && !text.contains(hidden) {
        return text.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match u32::from(c) {
            0x20..0x7f => quoted.push(c),
            code @ ..0x100 => write!(quoted, "\\x{code:02x}").expect("strings grow"),
            code @ ..0x10000 => write!(quoted, "\\u{code:04x}").expect("strings grow"),
            code => write!(quoted, "\\U{code:08x}").expect("strings grow"),
        }
    }
    quoted + "\""
}

fn null_text<S: AsRef<str>>(value: Option<&S>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| text(value.as_ref()))
}

fn texts<S: AsRef<str>>(values: &[S]) -> String {
    let told: Vec<String> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", told.join(" "))
}

fn acl(entries: Option<&Vec<AclRecord<'_>>>) -> String {
    let Some(entries) = entries else {
        return "null".to_owned();
    };
    let told: Vec<String> = entries.iter().map(Tell::tell).collect();
    match &told[..] {
        [only] if only == "31:world:anyone" => "open".to_owned(),
        _ => format!("[{}]", told.join(" ")),
    }
}

fn acl_unless_open(entries: Option<&Vec<AclRecord<'_>>>) -> String {
    unless(&"open".to_owned(), "acl", &acl(entries))
}

fn password(bytes: Option<&[u8]>) -> String {
    match bytes {
        Some(bytes) if bytes == [0; 16] => "zero".to_owned(),
        bytes => data(bytes),
    }
}

fn read_only(byte: Option<bool>) -> String {
    byte.map_or_else(String::new, |byte| format!("read_only={}", u8::from(byte)))
}

macro_rules! tell {
    ($($kind:ty: |$it:ident| $told:expr;)*) => {$(
        impl Tell for $kind {
            fn tell(&self) -> String {
                let $it = self;
                $told
            }
        }
    )*};
}

tell! {
    ConnectRequest<'_>: |it| words(&[
        "connect",
        &unless(&0, "version", &it.protocol_version),
        &unless(&0, "zxid", &it.last_zxid_seen.0),
        &format!("timeout={} session={:#x}", it.timeout_ms, it.session_id.0),
        &format!("password={}", password(it.password)),
        &read_only(it.read_only),
    ]);
    ConnectResponse<'_>: |it| words(&[
        "connected",
        &unless(&0, "version", &it.protocol_version),
        &format!("timeout={} session={:#x}", it.timeout_ms, it.session_id.0),
        &format!("password={}", password(it.password)),
        &read_only(it.read_only),
    ]);
    RequestHeader: |it| op_name(it.op);
    ReplyHeader: |it| words(&[
        &format!("@{}", it.zxid.0),
        &unless(&0, "err", &it.error.code()),
        if it.xid == Xid::NOTIFICATION { "event" } else { "" },
    ]);
    AclRecord<'_>: |it| format!(
        "{}:{}:{}",
        it.perms.0,
        it.id.scheme.as_deref().unwrap_or("None"),
        it.id.id.as_deref().unwrap_or("None"),
    );
    CreateRequest<'_>: |it| words(&[
        &text(&it.path),
        &unless(&data(Some(b"")), "data", &data(it.data)),
        &acl_unless_open(it.acl.as_ref()),
        &unless(&0, "flags", &it.flags),
    ]);
    CreateTtlRequest<'_>: |it| words(&[
        &text(&it.path),
        &unless(&data(Some(b"")), "data", &data(it.data)),
        &acl_unless_open(it.acl.as_ref()),
        &unless(&0, "flags", &it.flags),
        &format!("ttl={}", it.ttl_ms),
    ]);
    DeleteRequest<'_>: |it| words(&[&text(&it.path), &unless(&-1, "version", &it.version.0)]);
    CheckVersionRequest<'_>: |it| words(&[&text(&it.path), &unless(&-1, "version", &it.version.0)]);
    ReadRequest<'_>: |it| words(&[&text(&it.path), if it.watch { "watch" } else { "" }]);
    SetDataRequest<'_>: |it| words(&[
        &text(&it.path),
        &data(it.data),
        &unless(&-1, "version", &it.version.0),
    ]);
    SetAclRequest<'_>: |it| words(&[
        &text(&it.path),
        &acl(it.acl.as_ref()),
        &unless(&-1, "version", &it.version.0),
    ]);
    PathRequest<'_>: |it| null_text(it.path.as_ref());
    WatchesRequest<'_>: |it| format!("{} type={}", text(&it.path), it.kind);
    AddWatchRequest<'_>: |it| format!("{} mode={}", text(&it.path), it.mode);
    DeleteContainerRequest<'_>: |it| data(it.path);
    AuthRequest<'_>: |it| words(&[
        &unless(&0, "type", &it.kind),
        &text(&it.scheme),
        &data(it.auth),
    ]);
    SaslRequest<'_>: |it| data(it.token);
    ReconfigRequest<'_>: |it| format!(
        "joining={} leaving={} members={} config={}",
        null_text(it.joining.as_ref()),
        null_text(it.leaving.as_ref()),
        null_text(it.new_members.as_ref()),
        it.current_config_id,
    );
    SetWatchesRequest<'_>: |it| format!(
        "since={} data={} exist={} child={}",
        it.relative_zxid.0,
        texts(&it.data),
        texts(&it.exist),
        texts(&it.child),
    );
    SetWatches2Request<'_>: |it| format!(
        "since={} data={} exist={} child={} persistent={} recursive={}",
        it.relative_zxid.0,
        texts(&it.data),
        texts(&it.exist),
        texts(&it.child),
        texts(&it.persistent),
        texts(&it.persistent_recursive),
    );
    MultiRequest<'_>: |it| {
        let told: String = it.ops.iter().map(|op| op.tell() + " ").collect();
        told + "end"
    };
    MultiOp<'_>: |it| {
        let body = match it {
            MultiOp::Create(_, body) => body.tell(),
            MultiOp::CreateTtl(body) => body.tell(),
            MultiOp::Delete(body) => body.tell(),
            MultiOp::SetData(body) => body.tell(),
            MultiOp::Check(body) => body.tell(),
            MultiOp::GetData(body) | MultiOp::GetChildren(body) => body.tell(),
        };
        format!("{{{}}}", words(&[&op_name(it.op().code()), &body]))
    };
    PathReply<'_>: |it| text(&it.path);
    SyncReply<'_>: |it| null_text(it.path.as_ref());
    Create2Reply<'_>: |it| format!("{} {}", text(&it.path), it.stat.tell());
    StatReply: |it| it.stat.tell();
    DataReply<'_>: |it| format!("{} {}", data(it.data), it.stat.tell());
    AclReply<'_>: |it| format!("{} {}", acl(Some(&it.acl)), it.stat.tell());
    NamesReply<'_>: |it| texts(&it.names);
    Children2Reply<'_>: |it| format!("{} {}", texts(&it.children), it.stat.tell());
    CountReply: |it| it.count.to_string();
    ErrorReply: |it| format!("result={}", it.error);
    WhoAmIReply<'_>: |it| {
        let told = it.client_info.iter().map(|info| format!("{}:{}", info.scheme, info.user));
        format!("[{}]", told.collect::<Vec<_>>().join(" "))
    };
    WatcherEvent<'_>: |it| {
        let kind = ["created", "deleted", "data_changed", "children_changed"];
        let index = usize::try_from(it.kind - 1).expect("servers send no other kinds");
        words(&[kind[index], &text(&it.path), &unless(&3, "state", &it.state)])
    };
    Stat: |it| format!(
        "({} {} {} +{} {} {} {} {:#x} {} {} {})",
        it.czxid.0,
        it.mzxid.0,
        it.ctime,
        it.mtime.wrapping_sub(it.ctime),
        it.version.0,
        it.cversion,
        it.aversion.0,
        it.ephemeral_owner.0,
        it.data_length,
        it.num_children,
        it.pzxid.0,
    );
    SessionId: |it| format!("{:#x}", it.0);
    ErrorCode: |it| it.code().to_string();
    MultiResponse<'_>: |it| {
        let told: String = it.results.iter().map(|result| result.tell() + " ").collect();
        told + "end"
    };
    MultiResult<'_>: |it| {
        let (op, body) = match it {
            MultiResult::Create(path) => (OpCode::Create, text(path)),
            MultiResult::Create2(reply) => (OpCode::Create2, reply.tell()),
            MultiResult::Delete => (OpCode::Delete, String::new()),
            MultiResult::SetData(stat) => (OpCode::SetData, stat.tell()),
            MultiResult::Check => (OpCode::Check, String::new()),
            MultiResult::GetChildren(reply) => (OpCode::GetChildren, reply.tell()),
            MultiResult::GetData(reply) => (OpCode::GetData, reply.tell()),
            MultiResult::Error(code) => (OpCode::Error, code.tell()),
        };
        format!("{{{}}}", words(&[&op_name(op.code()), &body]))
    };
}
