//! What a `zoo.cfg` may say, and what becomes of it.

use super::*;
use crate::io::disk::Compression;

const BASE: &str = "dataDir=/d\nclientPort=2181\n";

fn parse(more: &str) -> Result<Config, ConfigError> {
    Config::parse("z", &format!("{BASE}{more}"))
}

fn error(text: &str) -> String {
    Config::parse("z", text).unwrap_err().to_string()
}

#[test]
fn every_key_that_applies_is_applied() {
    let config = parse(
        "tickTime=50\nminSessionTimeout=60\nmaxSessionTimeout=70\nsnapCount=9\nforceSync=no\n\
         dataLogDir=/l\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=5\n\
         preAllocSize=7\nextendedTypesEnabled=true\nclientPortAddress=127.0.0.1\n\
         DigestAuthenticationProvider.superDigest=super:x\nsnapshot.trust.empty=true\n\
         maxClientCnxns=0\nmaxCnxns=8\nglobalOutstandingLimit=9\nlargeRequestThreshold=10\n\
         largeRequestMaxBytes=11\n4lw.commands.whitelist=*\nenforceQuota=true\nskipACL=yes\n\
         znode.container.checkIntervalMs=12\nznode.container.maxPerMinute=13\n\
         znode.container.maxNeverUsedIntervalMs=14\ndigest.enabled=false\n\
         snapSizeLimitInKb=15\ntxnLogSizeLimitInKb=16\nfsync.warningthresholdms=17\n\
         snapshot.compression.method=gz\n",
    )
    .unwrap();
    assert!(config.notes().is_empty(), "{:?}", config.notes());
    let mut spec = config.into_spec();
    assert_eq!((spec.port, spec.rules.tick), (2181, Duration::from_millis(50)));
    assert_eq!(spec.rules.session_timeout_min, Duration::from_millis(60));
    assert_eq!(spec.rules.session_timeout_max, Duration::from_millis(70));
    assert_eq!((spec.rules.connections_per_address_max, spec.rules.connections_max), (None, 8));
    assert_eq!((spec.rules.outstanding_max, spec.rules.large_request_bytes_max), (9, 11));
    assert_eq!((spec.rules.large_request_threshold, &*spec.words), (Some(10), "*"));
    assert!(spec.rules.enforce_quota && spec.rules.skip_acl && !spec.rules.digest);
    assert_eq!(spec.rules.container_check_interval, Duration::from_millis(12));
    assert_eq!(spec.rules.containers_per_minute_max, 13);
    assert_eq!(spec.rules.container_never_used_max, Some(Duration::from_millis(14)));
    assert!(spec.rules.extended_types);
    assert_eq!(spec.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(spec.rules.super_digest.as_deref(), Some("super:x"));
    let disk = spec.disk_options();
    assert_eq!((disk.snap_count, disk.force_sync, disk.trust_empty), (9, false, true));
    assert_eq!((disk.preallocate, disk.snapshots_kept), (7 * 1024, Some(5)));
    assert_eq!((disk.snap_size, disk.log_size_max), (Some(15 * 1024), Some(16 * 1024)));
    assert_eq!(disk.sync_warning, Duration::from_millis(17));
    assert_eq!(disk.purge_interval, Some(Duration::from_secs(3600)));
    assert_eq!(disk.compression, Compression::Gzip);
    assert_eq!((&*disk.data_dir, &*disk.log_dir), (Path::new("/d"), Path::new("/l")));
}

#[test]
fn defaults_are_apaches() {
    let mut spec = parse("").unwrap().into_spec();
    assert_eq!(spec.rules.tick, Duration::from_secs(3));
    assert_eq!(spec.rules.session_timeout_min, Duration::from_secs(6));
    assert_eq!(spec.rules.session_timeout_max, Duration::from_secs(60));
    assert!(!spec.rules.extended_types && spec.rules.digest);
    assert_eq!((spec.rules.connections_per_address_max, &*spec.words), (Some(60), "srvr"));
    let disk = spec.disk_options();
    assert_eq!((disk.snapshots_kept, disk.purge_interval), (None, None));
    assert_eq!((disk.snap_count, disk.preallocate, disk.force_sync), (100_000, 64 << 20, true));
    assert_eq!((disk.snap_size, disk.log_size_max), (Some(4 << 30), None));
    assert_eq!((disk.sync_warning, disk.compression), (Duration::from_secs(1), Compression::None));
    assert_eq!(disk.log_dir, disk.data_dir);
}

#[test]
fn a_wrong_value_is_an_error_that_says_what_is_allowed() {
    assert_eq!(
        parse("\nforceSync=maybe").unwrap_err().to_string(),
        "z:4: forceSync=maybe: must be yes or no"
    );
    let snappy = parse("snapshot.compression.method=snappy").unwrap_err().to_string();
    assert!(snappy.ends_with("must be gz, or empty for none; this server knows no other"));
    let wrong = [
        "initLimit=x",
        "snapCount=1",
        "snapSizeLimitInKb=much",
        "clientPort=70000",
        "standaloneEnabled=si",
    ];
    for line in wrong {
        assert!(parse(line).unwrap_err().to_string().contains(": must be "), "{line}");
    }
    assert!(error("clientPort=1").contains("dataDir: must be set"));
    assert!(error("dataDir=/d").contains("clientPort: must be set"));
    assert!(parse("minSessionTimeout=99999").unwrap_err().to_string().contains("at most"));
}

#[test]
fn a_single_server_of_an_ensemble_is_one_by_itself() {
    let config = Config::parse("z", "dataDir=/d\nserver.1=h:1:2;127.0.0.1:77\ninitLimit=5");
    let spec = config.unwrap().into_spec();
    assert_eq!(spec.listen_address().to_string(), "127.0.0.1:77");
    let other = parse("server.1=h:1:2;77").unwrap_err().to_string();
    assert!(other.contains("clientPort: is another one than the 77"), "{other}");
}

#[test]
fn a_server_of_an_ensemble_knows_which_it_is() {
    let dir = std::env::temp_dir().join(format!("znode-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let base = format!("dataDir={}\ninitLimit=5\nsyncLimit=2\n", dir.display());
    let read = |more: &str| Config::parse("z", &format!("{base}{more}"));
    let lines = "server.1=h:1:2;8\nserver.2=h:3:4:participant;9\n";
    let missing = read(lines).unwrap_err().to_string();
    assert!(missing.contains("myid: this file must be in dataDir"), "{missing}");
    std::fs::write(dir.join("myid"), "2\n").unwrap();
    let two = read(lines).unwrap();
    assert!(two.notes()[0].contains("of 2 servers no more may fail"), "{:?}", two.notes());
    assert_eq!(two.into_spec().ensemble.unwrap().members().count(), 2);

    let dynamic = dir.join("zoo.cfg.dynamic.a");
    std::fs::write(&dynamic, "server.2=h:1:2;127.0.0.1:8\n").unwrap();
    let file = format!("dynamicConfigFile={}\n", dynamic.display());
    let config = read(&file).unwrap();
    assert_eq!(config.ensemble().version().0, 10);
    assert_eq!(config.ensemble().me().unwrap().client, Some(("127.0.0.1".to_owned(), 8)));
    let both = read(&format!("{file}server.1=h:1:2")).unwrap_err().to_string();
    assert!(both.contains("servers must be named there alone"), "{both}");
    std::fs::write(&dynamic, "server.2=h:1:2\nversion=a\n").unwrap();
    let inside = read(&file).unwrap_err().to_string();
    assert!(inside.contains("a:2: version=a: stands in the name of this file"), "{inside}");
    std::fs::write(&dynamic, "tickTime=3\n").unwrap();
    let alien = read(&file).unwrap_err().to_string();
    assert!(alien.contains("a:1: tickTime=3: does not belong into this file"), "{alien}");
    std::fs::write(dir.join("myid"), "two").unwrap();
    assert!(read(lines).unwrap_err().to_string().contains("must hold a number"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn edge_35_jute_maxbuffer_stands_in_the_file_and_has_an_effect_here() {
    let spec = |line| parse(line).unwrap().into_spec();
    assert_eq!(spec("").rules.frame_len_max, 0xf_ffff);
    assert_eq!(spec("jute.maxbuffer=0x2000").rules.frame_len_max, 0x2000);
    assert_eq!(spec("jute.maxbuffer=4000000").rules.frame_len_max, 4_000_000);
    let wrong = parse("jute.maxbuffer=1M").unwrap_err().to_string();
    assert!(wrong.ends_with("must be a whole number from 1024 to 2147483647"), "{wrong}");
    let mut said = Said::default();
    let lines = "server.1=h:1:2\nserver.2=h:3:4\nserver.3=h:5:6\ninitLimit=5\nsyncLimit=2\n\
                 jute.maxbuffer=9999999";
    said.take("z", lines).unwrap();
    said.ensemble.my_id = Some(1);
    let wrong = said.settle_ensemble(&mut Vec::new()).unwrap_err();
    assert_eq!(wrong, "jute.maxbuffer=9999999: in an ensemble, must be at most 2097152");
}

#[test]
fn what_holds_requests_back_is_read() {
    let lines = "request_throttle_max_requests=7\nthrottled_op_wait_time=8\n\
                 request_stale_latency_check=true\nrequest_throttle_stall_time=9\n\
                 request_throttle_drop_stale=true\n";
    let config = parse(lines).unwrap();
    assert!(config.notes().is_empty(), "{:?}", config.notes());
    let throttle = config.into_spec().rules.throttle;
    assert_eq!((throttle.requests_max, throttle.drop_late), (Some(7), true));
    assert_eq!(throttle.wait_max, Some(Duration::from_millis(8)));
    let off = parse("request_throttle_max_requests=0\nthrottled_op_wait_time=0").unwrap();
    let off = off.into_spec().rules.throttle;
    assert_eq!((off.requests_max, off.wait_max), (None, None));
    let wrong = parse("request_throttle_drop_stale=false").unwrap_err().to_string();
    assert!(wrong.contains("must be true"), "{wrong}");
}

#[test]
fn of_a_server_that_stands_alone_local_sessions_and_reading_alone_change_nothing() {
    let lines = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
                 readonlymode.enabled=true\n";
    let config = parse(lines).unwrap();
    assert!(config.notes().is_empty(), "{:?}", config.notes());
    // But for the word by which clients look for a server that can write.
    assert_eq!(config.into_spec().words, "srvr,isro");
    assert!(parse("readonlymode.enabled=si").is_err());
}

#[test]
fn lines_go_over_what_a_specification_says_and_nothing_else() {
    let spec = InstanceSpec::new()
        .sasl_user("bob", "x")
        .require_sasl()
        .connections_per_address(7)
        .tick(Duration::from_millis(20));
    let same = spec.clone().zoo_cfg("# nothing\n").unwrap();
    let (before, after) = (format!("{spec:?}"), format!("{same:?}"));
    assert_eq!(before, after.replace("initial_config: \"# nothing\\n\"", "initial_config: \"\""));
    let changed = spec.zoo_cfg("maxClientCnxns=0\nskipACL=yes\nmaxSessionTimeout=900").unwrap();
    assert_eq!((changed.rules.connections_per_address_max, changed.rules.skip_acl), (None, true));
    assert_eq!(changed.rules.session_timeout_max, Duration::from_millis(900));
    assert_eq!((changed.rules.tick, changed.disk.is_none()), (Duration::from_millis(20), true));
    let kept = changed.zoo_cfg("dataDir=/d\nsnapCount=9").unwrap().zoo_cfg("forceSync=no");
    let disk = kept.unwrap().disk.unwrap();
    assert_eq!((disk.snap_count, disk.force_sync, &*disk.log_dir), (9, false, Path::new("/d")));
}

#[test]
fn a_key_that_would_do_nothing_is_an_error_where_a_test_sets_it() {
    let error = |lines| InstanceSpec::new().zoo_cfg(lines).unwrap_err().to_string();
    assert_eq!(error("\ncolour=red"), "zoo.cfg:2: colour: no such key");
    assert!(error("audit.enable=true").contains("not supported by this server yet"));
    assert!(error("maxSessionTimeout=1").contains("must be at most"));
    assert!(error("server.1=h:1:2;7\nclientPort=8").contains("another one than the 7"));
    assert!(InstanceSpec::new().zoo_cfg("serverCnxnFactory=x.Y").is_ok());
}

#[test]
fn what_changes_nothing_is_noted() {
    let lines = "serverCnxnFactory=x.Y\nssl.certReload=true\nwhatever=1\n\
                 zookeeper.skipACL=yes\nrequireClientAuthScheme=sasl\n";
    let config = parse(lines).unwrap();
    assert_eq!(config.notes().len(), 5);
    assert!(config.notes()[3].contains("without their `zookeeper.`"));
    assert!(config.notes()[0].contains("Java virtual machine"));
}
