//! Logs that were torn or bent, and records that come back as they were.

use proptest::prelude::*;

use super::txn_log::{FILE_HEADER, LogReader, Next, put_entry, put_mark};

const ENTRY_LENS: [usize; 5] = [32, 70, 33, 300, 64];

/// What other servers begin a log with.
const PLAIN_HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

/// A log of records without a zero, so that no sector looks blank, and where each begins.
fn log(header: [u8; 16], padding: usize) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = header.to_vec();
    let mut starts = Vec::new();
    for (i, len) in ENTRY_LENS.into_iter().enumerate() {
        starts.push(bytes.len());
        put_entry(&vec![u8::try_from(i).unwrap() + 1; len], &mut bytes);
    }
    starts.push(bytes.len());
    if header == FILE_HEADER {
        put_mark(bytes.len() as u64, &mut bytes);
    }
    bytes.resize(bytes.len() + padding, 0);
    (bytes, starts)
}

/// How many records are read, and how the log ends.
fn read(bytes: &[u8]) -> (usize, Result<Next<'_>, super::Damage>) {
    let mut reader = match LogReader::new(bytes) {
        Ok(reader) => reader,
        Err(damage) => return (0, Err(damage)),
    };
    let mut count = 0;
    loop {
        match reader.next() {
            Ok(Next::Entry(entry)) => {
                assert_eq!(entry, vec![u8::try_from(count).unwrap() + 1; ENTRY_LENS[count]]);
                count += 1;
            }
            end => return (count, end),
        }
    }
}

#[test]
fn a_log_cut_anywhere_reads_to_a_whole_prefix() {
    for (header, padding) in [(FILE_HEADER, 0), (FILE_HEADER, 5000), (PLAIN_HEADER, 0)] {
        let (bytes, starts) = log(header, 0);
        for len in 0..=bytes.len() {
            let mut cut = bytes[..len].to_vec();
            cut.resize(len + padding, 0);
            let (count, end) = read(&cut);
            let whole = starts[1..].iter().filter(|end| **end <= len).count();
            assert_eq!(count, whole, "cut at {len}");
            assert!(matches!(end, Ok(Next::End | Next::Torn(_))), "cut at {len}: {end:?}");
        }
    }
}

#[test]
fn every_flipped_bit_is_found_unless_it_is_behind_the_last_record() {
    for header in [FILE_HEADER, PLAIN_HEADER] {
        let (bytes, starts) = log(header, 3000);
        let used = *starts.last().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let (count, end) = read(&bent);
            if bit / 8 < used {
                assert!(end.is_err(), "bit {bit} of byte {}: {end:?}", bit / 8);
            } else {
                assert_eq!(count, ENTRY_LENS.len(), "bit {bit}");
                assert!(end.is_ok(), "bit {bit}: {end:?}");
            }
        }
    }
}

#[test]
fn a_record_of_which_a_sector_never_reached_the_disk_is_torn() {
    let mut bytes = PLAIN_HEADER.to_vec();
    put_entry(&[7; 40], &mut bytes);
    let start = bytes.len();
    put_entry(&[8; 2000], &mut bytes);
    bytes[512..1024].fill(0);
    bytes.resize(8192, 0);
    let mut reader = LogReader::new(&bytes).unwrap();
    assert_eq!(reader.next(), Ok(Next::Entry(&[7; 40])));
    assert!(matches!(reader.next(), Ok(Next::Torn(damage)) if damage.offset == start));
    assert_eq!(reader.offset(), start);
}

#[test]
fn damage_before_a_good_record_names_both() {
    let (mut bytes, starts) = log(PLAIN_HEADER, 0);
    bytes[starts[1] + 20] ^= 1;
    let (count, end) = read(&bytes);
    let damage = end.unwrap_err();
    assert_eq!((count, damage.offset), (1, starts[1]));
    assert!(damage.to_string().contains("the checksum of a record is wrong"), "{damage}");
    assert!(damage.to_string().contains(&starts[2].to_string()), "{damage}");
}

/// Three records, of which the last two were written at once and were not synced.
fn torn_write(second: usize) -> (Vec<u8>, usize) {
    let mut bytes = FILE_HEADER.to_vec();
    put_entry(&[7; 40], &mut bytes);
    let synced = bytes.len();
    put_entry(&vec![8; second], &mut bytes);
    put_entry(&[9; 700], &mut bytes);
    put_mark(synced as u64, &mut bytes);
    (bytes, synced)
}

#[test]
fn a_write_that_is_torn_at_its_beginning_is_no_damage_though_its_end_is_there() {
    for garbage in [0, 0xee] {
        let (mut bytes, synced) = torn_write(900);
        bytes[512..1024].fill(garbage);
        let mut reader = LogReader::new(&bytes).unwrap();
        assert_eq!(reader.next(), Ok(Next::Entry(&[7; 40])));
        assert!(matches!(reader.next(), Ok(Next::Torn(damage)) if damage.offset == synced));
    }
}

#[test]
fn the_same_before_what_was_synced_is_damage() {
    for garbage in [0, 0xee] {
        let (mut bytes, synced) = torn_write(900);
        // The next write has found all of it on the disk.
        bytes.truncate(bytes.len() - 32);
        let later = bytes.len();
        put_entry(&[3; 50], &mut bytes);
        put_mark(later as u64, &mut bytes);
        bytes[512..1024].fill(garbage);
        let mut reader = LogReader::new(&bytes).unwrap();
        assert_eq!(reader.next(), Ok(Next::Entry(&[7; 40])));
        let damage = reader.next().unwrap_err();
        assert_eq!(damage.offset, synced);
        assert!(damage.to_string().contains(&format!("it was synced, up to {later}")), "{damage}");
    }
}

#[test]
fn a_write_that_has_lost_its_mark_is_torn_unless_it_would_be_too_long() {
    for (len, is_torn) in [(900, true), (1_000_000, true), (1_100_000, false)] {
        let (mut bytes, synced) = torn_write(len);
        bytes[512..1024].fill(0);
        let mark = bytes.len() - 20;
        bytes[mark..].fill(0);
        let mut reader = LogReader::new(&bytes).unwrap();
        assert_eq!(reader.next(), Ok(Next::Entry(&[7; 40])));
        match reader.next() {
            Ok(Next::Torn(damage)) => assert!(is_torn && damage.offset == synced, "{len}"),
            Err(damage) => assert!(!is_torn && damage.offset == synced, "{len}"),
            other => panic!("{len}: {other:?}"),
        }
    }
}

/// What a power cut leaves of a sector that was not synced.
fn leave(sector: &mut [u8], before: &[u8], how: u8) {
    match how % 4 {
        0 => {}
        1 => sector.copy_from_slice(before),
        2 => sector.fill(0),
        _ => sector.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(how) ^ how),
    }
}

proptest! {
    /// A power cut keeps some of the sectors that were not synced, in no order.
    #[test]
    fn a_power_cut_takes_nothing_that_was_synced_and_invents_nothing(
        synced in prop::collection::vec(prop::collection::vec(any::<u8>(), 32..700), 0..6),
        unsynced in prop::collection::vec(prop::collection::vec(any::<u8>(), 32..2000), 0..6),
        how in prop::collection::vec(any::<u8>(), 40),
    ) {
        let mut log = FILE_HEADER.to_vec();
        synced.iter().for_each(|entry| put_entry(entry, &mut log));
        let durable = log.len();
        let mut before = log.clone();
        put_mark(durable as u64, &mut before);
        unsynced.iter().for_each(|entry| put_entry(entry, &mut log));
        put_mark(durable as u64, &mut log);
        log.resize(log.len() + 4096, 0);
        before.resize(log.len(), 0);
        for (sector, how) in (durable / 512..).zip(how) {
            let (from, to) = ((sector * 512).max(durable), ((sector + 1) * 512).min(log.len()));
            if from < to {
                leave(&mut log[from..to], &before[from..to], how);
            }
        }
        let mut reader = LogReader::new(&log).unwrap();
        let mut written = synced.iter().chain(&unsynced);
        let mut count = 0;
        let end = loop {
            match reader.next() {
                Ok(Next::Entry(entry)) => {
                    prop_assert_eq!(Some(entry), written.next().map(|entry| &entry[..]));
                }
                end => break end,
            }
            count += 1;
        };
        prop_assert!(end.is_ok(), "{:?}", end);
        prop_assert!(count >= synced.len(), "{:?}", end);
    }

    #[test]
    fn bytes_of_strangers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut log = FILE_HEADER.to_vec();
        log.extend_from_slice(&bytes);
        if let Ok(mut reader) = LogReader::new(&log) {
            while let Ok(Next::Entry(entry)) = reader.next() {
                let _ = super::record::Logged::read(entry);
            }
        }
        let _ = super::record::Logged::read(&bytes);
        let _ = super::snapshot::Snapshot::read(&bytes);
    }
}

#[test]
fn exhaustion_a_snapshot_with_a_count_beyond_its_bytes_allocates_nothing() {
    use super::snapshot::Snapshot;
    // Sessions, then lists, of which there are said to be more than there can be.
    for body in [[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], [0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]] {
        assert!(Snapshot::read_body(&body).is_err());
        let mut file = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        file.extend_from_slice(&body);
        file.extend_from_slice(&[0, 0, 0, 1, b'/']);
        assert!(Snapshot::read(&file).is_err());
    }
}
