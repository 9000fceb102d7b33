//! A server that answers every request with the same bytes: what is left is the client's own cost.
//!
//! It keeps no state. Whatever is asked is answered with a node of so many bytes, which every read
//! and every write of the bench can decode.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use znode::Stat;
use znode::proto::replies::{Create2Reply, DataReply, PathReply, StatReply};
use znode::proto::{
    ConnectResponse, Decoder, ErrorCode, JutePut, OpCode, ReplyHeader, RequestHeader, SessionId,
    Zxid,
};

/// How much is read at once.
const READ_LEN: usize = 256 * 1024;

/// Starts the server on a port of its own; it runs until the process ends.
pub(crate) fn start(payload: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, &vec![b'x'; payload]));
        }
    });
    Ok(address)
}

/// Answers one connection until it ends.
fn serve(mut stream: TcpStream, data: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::with_capacity(READ_LEN);
    let mut chunk = vec![0; READ_LEN];
    let mut answers = Vec::new();
    let mut greeted = false;
    loop {
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            return Ok(());
        }
        unread.extend_from_slice(&chunk[..len]);
        let mut rest = &unread[..];
        while let Some(frame) = next_frame(&mut rest) {
            if greeted {
                answer(frame, data, &mut answers);
            } else {
                greet(&mut answers);
            }
            greeted = true;
        }
        let taken = unread.len() - rest.len();
        unread.drain(..taken);
        stream.write_all(&answers)?;
        answers.clear();
    }
}

/// Takes a whole frame off `rest`, without its length.
fn next_frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (frame, after) = after.split_at_checked(len)?;
    *rest = after;
    Some(frame)
}

fn greet(out: &mut Vec<u8>) {
    put_frame(out, |out| {
        out.put(&ConnectResponse {
            protocol_version: 0,
            timeout_ms: 30_000,
            session_id: SessionId(1),
            password: Some(&[0; 16]),
            read_only: Some(false),
        });
    });
}

fn answer(frame: &[u8], data: &[u8], out: &mut Vec<u8>) {
    let Ok(header) = Decoder::new(frame).read::<RequestHeader>() else { return };
    put_frame(out, |out| {
        out.put(&ReplyHeader { xid: header.xid, zxid: Zxid(1), error: ErrorCode::Ok });
        let stat = Stat::default();
        match OpCode::try_from(header.op) {
            Ok(OpCode::GetData) => out.put(&DataReply { data: Some(data), stat }),
            Ok(OpCode::SetData | OpCode::Exists) => out.put(&StatReply { stat }),
            Ok(OpCode::Create) => out.put(&PathReply { path: "/constant".into() }),
            Ok(OpCode::Create2) => out.put(&Create2Reply { path: "/constant".into(), stat }),
            _ => {}
        }
    });
}

fn put_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}
