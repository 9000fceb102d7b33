//! What the features of the client add: compressed data, and values of one's own types.

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::{Read, Write};

    use znode::{CreateMode, ErrorKind, Op, OpResult, Outcome, ReadOp, ReadResult, Version};

    use crate::ground::{Ground, soon};

    const PERSISTENT: CreateMode = CreateMode::Persistent;

    fn long() -> Vec<u8> {
        b"some data ".repeat(1000)
    }

    #[tokio::test]
    async fn data_is_a_gzip_stream_on_the_wire_and_itself_to_its_reader() {
        let ground = Ground::start().await;
        let plain = ground.connect().await;
        let client = plain.with_compression();
        let created = soon(client.create("/a", long(), PERSISTENT)).await.unwrap();
        assert!(created.stat.data_length < 200);
        let (stored, _) = soon(plain.get_data("/a")).await.unwrap();
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&stored[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, long());
        assert_eq!(soon(client.get_data("/a")).await.unwrap().0, long());
        soon(client.set_data("/a", "short", 0)).await.unwrap();
        let (data, _, _watcher) = soon(client.get_data_watched("/a")).await.unwrap();
        assert_eq!(data, "short");
        let (stored, _) = soon(client.without_compression().get_data("/a")).await.unwrap();
        assert_eq!(stored[..2], [0x1f, 0x8b]);
    }

    #[tokio::test]
    async fn transactions_updates_and_streams_are_compressed_too() {
        let ground = Ground::start().await;
        let plain = ground.connect().await;
        let client = plain.with_compression();
        let ops = [Op::create("/a", long(), PERSISTENT), Op::set_data("/a", "x", 0)];
        let results = soon(client.multi(ops)).await.unwrap();
        assert!(matches!(&results[0], OpResult::Created(created) if created.path == "/a"));
        let mut values = client.watch_data("/a");
        assert_eq!(soon(values.recv()).await.unwrap().unwrap().unwrap().0, "x");
        soon(client.update("/a", |data| [data, &b"y"[..]].concat())).await.unwrap();
        assert_eq!(soon(values.recv()).await.unwrap().unwrap().unwrap().0, "xy");
        soon(plain.set_data("/a", "plain", Version::ANY)).await.unwrap();
        let error = soon(values.recv()).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidData, Some("/a")));
        soon(client.set_data("/a", "xy", Version::ANY)).await.unwrap();
        assert_eq!(soon(values.recv()).await.unwrap().unwrap().unwrap().0, "xy");
        let reads = [ReadOp::get_data("/a")];
        let read = soon(client.multi_read(reads)).await.unwrap().remove(0).unwrap();
        assert!(matches!(read, ReadResult::Data(data, _) if data == "xy"));
        assert_ne!(soon(plain.get_data("/a")).await.unwrap().0, "xy");
    }

    #[tokio::test]
    async fn what_others_wrote_is_read_or_refused() {
        let ground = Ground::start().await;
        let plain = ground.connect().await;
        let client = plain.with_compression();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(b"theirs").unwrap();
        soon(plain.create("/a", encoder.finish().unwrap(), PERSISTENT)).await.unwrap();
        assert_eq!(soon(client.get_data("/a")).await.unwrap().0, "theirs");
        soon(plain.set_data("/a", "plain", Version::ANY)).await.unwrap();
        let error = soon(client.get_data("/a")).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidData, Some("/a")));
        assert_eq!((error.op(), error.outcome()), ("get_data", Outcome::NotSent));
        soon(plain.set_data("/a", "", Version::ANY)).await.unwrap();
        assert_eq!(soon(client.get_data("/a")).await.unwrap().0, "");
    }
}

#[cfg(feature = "serde")]
mod typed {
    use std::collections::BTreeMap;

    use znode::{CreateMode, ErrorKind, Outcome, Version};

    use crate::ground::{Ground, soon};

    type Rates = BTreeMap<String, u32>;

    const PERSISTENT: CreateMode = CreateMode::Persistent;

    fn rates(rates: &[(&str, u32)]) -> Rates {
        rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect()
    }

    #[tokio::test]
    async fn values_are_json_to_others() {
        let ground = Ground::start().await;
        let client = ground.connect().await;
        let typed = client.typed::<Rates>();
        soon(typed.create("/r", &rates(&[("de", 19)]), PERSISTENT)).await.unwrap();
        assert_eq!(soon(client.get_data("/r")).await.unwrap().0, r#"{"de":19}"#);
        let (read, stat) = soon(typed.get_data("/r")).await.unwrap();
        assert_eq!(read, rates(&[("de", 19)]));
        soon(typed.set_data("/r", &rates(&[("at", 20)]), stat.version)).await.unwrap();
        let update = typed.update("/r", |rates| {
            rates.insert("ch".to_owned(), 8);
        });
        assert_eq!(soon(update).await.unwrap().version, Version(2));
        let (read, _) = soon(typed.get_data("/r")).await.unwrap();
        assert_eq!(read, rates(&[("at", 20), ("ch", 8)]));
    }

    #[tokio::test]
    async fn what_is_no_value_is_refused_and_nothing_is_written_over_it() {
        let ground = Ground::start().await;
        let client = ground.connect().await;
        let typed = client.typed::<Rates>();
        soon(client.create("/r", "[1, 2]", PERSISTENT)).await.unwrap();
        let error = soon(typed.get_data("/r")).await.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidData, Some("/r")));
        let error = soon(typed.update("/r", BTreeMap::clear)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::InvalidData, Outcome::NotSent));
        let (_, stat) = soon(client.get_data("/r")).await.unwrap();
        assert_eq!(stat.version, Version(0));
    }

    #[tokio::test]
    async fn values_are_followed_also_past_what_is_none() {
        let ground = Ground::start().await;
        let client = ground.connect().await;
        let typed = client.typed::<u32>();
        let mut values = typed.watch_data("/n");
        assert!(soon(values.recv()).await.unwrap().unwrap().is_none());
        soon(typed.create("/n", &1, PERSISTENT)).await.unwrap();
        assert_eq!(soon(values.recv()).await.unwrap().unwrap().unwrap().0, 1);
        soon(client.set_data("/n", "one", Version::ANY)).await.unwrap();
        let error = soon(values.recv()).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        soon(typed.set_data("/n", &2, Version::ANY)).await.unwrap();
        assert_eq!(soon(values.recv()).await.unwrap().unwrap().unwrap().0, 2);
    }
}
