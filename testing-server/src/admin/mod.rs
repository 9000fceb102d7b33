//! Four-letter words: questions that operators type into a bare connection.

/// A word that the server recognises in place of the length of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word([u8; 4]);

/// The words of ZooKeeper 3.9.
const WORDS: [&[u8; 4]; 18] = [
    b"conf", b"cons", b"crst", b"dirs", b"dump", b"envi", b"gtmk", b"hash", b"isro", b"mntr",
    b"ruok", b"srst", b"srvr", b"stat", b"stmk", b"wchc", b"wchp", b"wchs",
];

/// What `srvr` tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerStats {
    /// Frames that have arrived.
    pub(crate) received: u64,
    /// Frames that have gone out.
    pub(crate) sent: u64,
    /// Open connections.
    pub(crate) connections: usize,
    /// Requests that wait for the disk.
    pub(crate) outstanding: usize,
    /// The last transaction that was applied.
    pub(crate) zxid: i64,
    /// Nodes as ZooKeeper counts them: the root twice.
    pub(crate) node_count: usize,
}

impl Word {
    /// Reads the first four bytes of a connection; they may also be the length of a frame.
    pub(crate) fn recognise(bytes: [u8; 4]) -> Option<Self> {
        WORDS.contains(&&bytes).then_some(Self(bytes))
    }

    /// The answer.
    pub(crate) fn answer(self, stats: &ServerStats) -> String {
        match &self.0 {
            b"ruok" => "imok".to_owned(),
            b"isro" => "rw".to_owned(),
            b"srvr" => server(stats),
            word => {
                let word = String::from_utf8_lossy(word);
                format!("{word} is not executed because it is not in the whitelist.\n")
            }
        }
    }
}

fn server(stats: &ServerStats) -> String {
    let ServerStats { received, sent, connections, outstanding, zxid, node_count } = stats;
    format!(
        "Zookeeper version: 3.9.5-znode-{}, built on Rust\n\
         Latency min/avg/max: 0/0.0/0\n\
         Received: {received}\n\
         Sent: {sent}\n\
         Connections: {connections}\n\
         Outstanding: {outstanding}\n\
         Zxid: {zxid:#x}\n\
         Mode: standalone\n\
         Node count: {node_count}\n",
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_no_word() {
        assert!(Word::recognise(44_i32.to_be_bytes()).is_none());
        assert!(Word::recognise(*b"GET ").is_none());
        assert_eq!(Word::recognise(*b"ruok"), Some(Word(*b"ruok")));
    }

    #[test]
    fn answers_are_apaches() {
        let stats = ServerStats {
            received: 3,
            sent: 2,
            connections: 1,
            outstanding: 0,
            zxid: 255,
            node_count: 5,
        };
        assert_eq!(Word(*b"ruok").answer(&stats), "imok");
        assert_eq!(Word(*b"isro").answer(&stats), "rw");
        let srvr = Word(*b"srvr").answer(&stats);
        assert!(srvr.starts_with("Zookeeper version: 3.9.5-"), "{srvr}");
        assert!(srvr.ends_with("Zxid: 0xff\nMode: standalone\nNode count: 5\n"), "{srvr}");
        let refused = "wchs is not executed because it is not in the whitelist.\n";
        assert_eq!(Word(*b"wchs").answer(&stats), refused);
    }
}
