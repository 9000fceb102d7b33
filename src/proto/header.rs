//! What stands in front of every request, reply and operation of a multi.

use super::error_code::ErrorCode;
use super::ids::{Xid, Zxid};

record! {
    /// Stands in front of a request. The operation stays a number: a server answers unknown ones.
    pub struct RequestHeader {
        /// The number that the reply will repeat.
        pub xid: Xid,
        /// The operation, an [`OpCode`](super::OpCode) if it is known.
        pub op: i32,
    }
}

record! {
    /// Stands in front of a reply or a notification.
    #[derive(Copy)]
    pub struct ReplyHeader {
        /// The request that is answered, or [`Xid::NOTIFICATION`].
        pub xid: Xid,
        /// The last transaction that the server had applied; of a write, its own.
        pub zxid: Zxid,
        /// [`ErrorCode::Ok`], or why there is no result. A body may follow an error: ignore it.
        pub error: ErrorCode,
    }
}

impl ReplyHeader {
    /// How many bytes a reply header takes.
    pub const LEN: usize = 16;
}

record! {
    /// Stands in front of each operation, and each result, of a multi.
    pub struct MultiHeader {
        /// The operation, or the kind of result.
        pub op: i32,
        /// Whether this is the terminator.
        pub done: bool,
        /// The error of a result; -1 in requests.
        pub error: i32,
    }
}

impl MultiHeader {
    /// The terminator of requests and replies alike.
    pub const DONE: Self = Self { op: -1, done: true, error: -1 };
}
