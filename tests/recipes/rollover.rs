//! A node that has had nearly as many children as can be numbered: from then on all of them have
//! the last number. On our server, whose log says so, and which counts as Apache's does.

use std::fs;
use std::path::{Path, PathBuf};

use znode::{CreateMode, ErrorKind, Version};
use znode_recipes::{LockErrorKind, Mutex, SimpleQueue};
use znode_testing::{InstanceSpec, TestingServer};

use crate::ground::soon;

const ALL: &str = "/all";
/// The first child that is made below it, whose transaction says how many there were.
const FIRST: &str = "/all/qn-0000000000";
/// Two less than there can be.
const HAD: i32 = i32::MAX - 1;
/// Session, number of the request, zxid, time and type stand before what a transaction says.
const HEADER_LEN: usize = 32;
/// Checksum and length stand before that.
const PREFIX_LEN: usize = 12;

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap()
}

fn adler32(bytes: &[u8]) -> u32 {
    let add = |(a, b), byte: &u8| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (a + b) % 65_521)
    };
    let (a, b) = bytes.iter().fold((1, 0), add);
    b << 16 | a
}

fn log(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join("version-2")).unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("log."));
    logs.max().unwrap()
}

/// Has the transaction that made the first child say that there were so many before.
fn rewrite(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let named = find(&bytes, FIRST.as_bytes());
    let begin = named - 4 - HEADER_LEN;
    let len = u32::from_be_bytes(bytes[begin - 4..begin].try_into().unwrap());
    let end = begin + usize::try_from(len).unwrap();
    // Behind the access control list: whether it goes with a session, the count, and the digest,
    // which is no longer foretold.
    let list = named + find(&bytes[named..end], b"anyone") + "anyone".len();
    bytes[list + 1..list + 5].copy_from_slice(&HAD.to_be_bytes());
    bytes[list + 5..list + 9].fill(0);
    let sum = u64::from(adler32(&bytes[begin..end]));
    bytes[begin - PREFIX_LEN..begin - 4].copy_from_slice(&sum.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn fact_28_what_comes_after_the_last_number_is_refused_and_nothing_is_lost() {
    let dir = std::env::temp_dir().join(format!("znode-rollover-{}", std::process::id()));
    let spec = || InstanceSpec::new().data_dir(&dir);
    let server = TestingServer::start_with(spec()).await.unwrap();
    let client = server.connect().await.unwrap();
    soon(client.create(ALL, "", CreateMode::Persistent)).await.unwrap();
    let first = format!("{ALL}/qn-");
    soon(client.create(&first, "first", CreateMode::PersistentSequential)).await.unwrap();
    soon(client.close()).await.unwrap();
    server.stop().await;
    rewrite(&log(&dir));

    let server = TestingServer::start_with(spec()).await.unwrap();
    let client = server.connect().await.unwrap();
    let queue = SimpleQueue::new(&client, ALL);
    for item in ["second", "third"] {
        soon(queue.put(item)).await.unwrap();
    }
    let refused = soon(queue.put("fourth")).await.unwrap_err();
    assert_eq!(refused.client_error().unwrap().kind(), ErrorKind::NodeExists);
    let mut names = soon(client.get_children(ALL)).await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["qn-0000000000", "qn-2147483646", "qn-2147483647"]);
    for item in ["first", "second", "third"] {
        assert_eq!(soon(queue.take()).await.unwrap(), item.as_bytes());
    }
    // Of two with one number the one with the lesser GUID would come first, whoever came first.
    for _ in 0..2 {
        let error = soon(Mutex::new(&client, ALL).lock()).await.unwrap_err();
        assert_eq!(error.kind(), LockErrorKind::SequenceExhausted);
    }
    assert_eq!(soon(client.get_children(ALL)).await.unwrap(), Vec::<String>::new());
    soon(client.delete(ALL, Version::ANY)).await.unwrap();
    server.stop().await;
    fs::remove_dir_all(dir).unwrap();
}
