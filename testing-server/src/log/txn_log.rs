//! A transaction log: records with checksums, then padding; where a log ends, and where it is
//! broken.
//!
//! A crash may tear what was not acknowledged yet: what was written and not synced. That is no
//! damage, and is cut off. Anything else that cannot be read is damage. The two are told apart by a
//! **mark**: behind the last record, where every reader sees padding and stops, stands how much of
//! the file was synced before what is there was written. A write overwrites the mark before it and
//! brings its own, in the same piece; so there is no moment without, and it costs nothing.
//!
//! - The mark is there: what cannot be read before the place that it names is damage, what cannot
//!   be read behind it was torn.
//! - It is not there, in a log of ours: a crash has torn the last write, mark included, and the
//!   first record that cannot be read is where that write began to be lost. It can be so far back
//!   only as one write is long; what is farther back, with good records behind it, is damage.
//! - In a log of another server there are no marks. There the last record alone may be torn, and
//!   only if a part of it is missing: the file ends before it, or the byte that ends it, or a whole
//!   sector of it, are still the zeros of the padding.
//!
//! What this cannot see is a record of the last write of all that was synced and acknowledged, if
//! it goes bad before the next mark has reached the disk: within that time, usually seconds, such a
//! write and a torn one look the same.

use simd_adler32::adler32;

use super::Damage;

/// `ZKLG`, version 2, database 0: as other servers begin a log.
const PLAIN_HEADER: [u8; HEADER_LEN] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

/// The same, but for the number of the database, which nobody reads: a log with marks.
pub(crate) const FILE_HEADER: [u8; HEADER_LEN] = *b"ZKLG\0\0\0\x02\0\0znmark";

pub(crate) const HEADER_LEN: usize = 16;

/// What ends a mark. It is no zero, so that a mark is found from the end.
const MARK_END: [u8; 8] = *b"znode.mk";

/// The length of a mark, with the empty record before it.
const MARK_LEN: usize = PREFIX_LEN + 20;

/// The length of a log that holds nothing yet.
const NEW_LEN: usize = HEADER_LEN + MARK_LEN;

/// How much is written at once, unless a single record is longer.
pub(crate) const WRITE_LEN_MAX: usize = 1024 * 1024;

/// What ends every record.
const END_OF_RECORD: u8 = 0x42;

/// The checksum and the length that stand before every record.
const PREFIX_LEN: usize = 12;

/// The least that a record is: a header.
const ENTRY_LEN_MIN: usize = 32;

/// What a disk writes whole, or not at all.
const SECTOR_LEN: usize = 512;

/// Appends a record with its checksum and its end.
pub(crate) fn put_entry(entry: &[u8], out: &mut Vec<u8>) {
    let len = i32::try_from(entry.len()).expect("what is longer was refused");
    out.extend_from_slice(&i64::from(adler32(&entry)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(entry);
    out.push(END_OF_RECORD);
}

/// Appends what ends a log for now: an empty record, and a mark that says that everything before
/// `synced` was on the disk before this was written.
pub(crate) fn put_mark(synced: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; PREFIX_LEN]);
    let synced = synced.to_be_bytes();
    out.extend_from_slice(&synced);
    out.extend_from_slice(&adler32(&synced).to_be_bytes());
    out.extend_from_slice(&MARK_END);
}

/// The mark at the end of a file without its padding: what it says.
fn mark(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.strip_suffix(&MARK_END)?;
    let (bytes, sum) = bytes.split_last_chunk::<4>()?;
    let (_, synced) = bytes.split_last_chunk::<8>()?;
    let is_whole = adler32(synced) == u32::from_be_bytes(*sum);
    usize::try_from(u64::from_be_bytes(*synced)).ok().filter(|_| is_whole)
}

/// Reads one record after the other.
#[derive(Debug)]
pub(crate) struct LogReader<'a> {
    /// The file without its padding, and without a mark.
    bytes: &'a [u8],
    /// Where the next record begins.
    at: usize,
    tail: Tail,
}

/// What is known of the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// There are no marks in it.
    Plain,
    /// There are, but the last one is gone.
    MarkLost,
    /// All before this was synced, and then more was written.
    Synced(usize),
}

/// What comes next in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A record: header, body, and perhaps a digest.
    Entry(&'a [u8]),
    /// Nothing: the log is at its end.
    End,
    /// A record that was never finished; the log ends before it.
    Torn(Damage),
}

impl<'a> LogReader<'a> {
    /// Reads the file that holds `bytes`. One that is empty, or that ends within its header, holds
    /// nothing.
    ///
    /// # Errors
    /// It is no log.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Damage> {
        let header = &bytes[..HEADER_LEN.min(bytes.len())];
        let used = &bytes[..used_len(bytes)];
        let is_ours = header == FILE_HEADER;
        // A header has a mark behind it, and is synced before anything else is written: where there
        // is no more than that, a crash may have left anything.
        if !is_ours && used.len() <= NEW_LEN {
            return Ok(Self { bytes: &[], at: header.len(), tail: Tail::Plain });
        }
        if !is_ours && header != PLAIN_HEADER {
            return Err(Damage::new(0, "this is not the header of a transaction log"));
        }
        let (bytes, tail) = match mark(used) {
            Some(synced) if is_ours && used.len() >= NEW_LEN => {
                (&used[..used.len() - MARK_LEN], Tail::Synced(synced))
            }
            _ if is_ours => (used, Tail::MarkLost),
            _ => (used, Tail::Plain),
        };
        Ok(Self { bytes, at: header.len(), tail })
    }

    /// How much of the file is whole: the end of the last record that was read.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Whether all that was read so far is known to be on the disk. What was read may also come
    /// from memory, where a server has left it that could not sync it any more.
    pub(crate) fn is_synced(&self) -> bool {
        matches!(self.tail, Tail::Synced(synced) if self.at <= synced)
    }

    /// The next record.
    ///
    /// # Errors
    /// Something is there that was once written and can no longer be read.
    pub(crate) fn next(&mut self) -> Result<Next<'a>, Damage> {
        if self.at >= self.bytes.len() {
            return Ok(Next::End);
        }
        let why = match entry_at(self.bytes, self.at) {
            Ok(entry) => {
                self.at += PREFIX_LEN + entry.len() + 1;
                return Ok(Next::Entry(entry));
            }
            Err(why) => why,
        };
        let rest = self.at + 1..self.bytes.len();
        let behind = || rest.clone().find(|at| entry_at(self.bytes, *at).is_ok());
        let (is_torn, why) = match self.tail {
            Tail::Synced(synced) if self.at >= synced => (true, why.to_owned()),
            Tail::Synced(synced) => (false, format!("{why}, and it was synced, up to {synced}")),
            tail => match behind() {
                Some(behind) => {
                    let is_near = self.bytes.len() - self.at <= WRITE_LEN_MAX + MARK_LEN;
                    let why = format!("{why}, and another record stands behind it at {behind}");
                    (tail == Tail::MarkLost && is_near, why)
                }
                None => (tail == Tail::MarkLost || is_torn(self.bytes, self.at), why.to_owned()),
            },
        };
        let damage = Damage::new(self.at, why);
        if is_torn { Ok(Next::Torn(damage)) } else { Err(damage) }
    }
}

/// The record that begins at `at`, or why there is none.
fn entry_at(bytes: &[u8], at: usize) -> Result<&[u8], &'static str> {
    let rest = &bytes[at..];
    let Some((checksum, len)) = prefix(rest) else {
        return Err("the file ends within the checksum of a record");
    };
    let Some(len) = len.filter(|len| *len >= ENTRY_LEN_MIN) else {
        return Err("the length of a record makes no sense");
    };
    let Some((entry, end)) = rest[PREFIX_LEN..].split_at_checked(len) else {
        return Err("the file ends within a record");
    };
    if end.first() != Some(&END_OF_RECORD) {
        return Err("the end of a record is not marked");
    }
    if i64::from(adler32(&entry)) != checksum {
        return Err("the checksum of a record is wrong");
    }
    Ok(entry)
}

/// A checksum, and a length that may be nonsense.
fn prefix(rest: &[u8]) -> Option<(i64, Option<usize>)> {
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let len = i32::from_be_bytes(*rest.first_chunk::<4>()?);
    Some((i64::from_be_bytes(*checksum), usize::try_from(len).ok()))
}

/// Whether the last record, which cannot be read, was never written as a whole.
fn is_torn(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    let Some((checksum, len)) = prefix(rest) else {
        return true;
    };
    let written = &rest[PREFIX_LEN..];
    // All of it is there, but for a length that was once right.
    if let [entry @ .., END_OF_RECORD] = written
        && i64::from(adler32(&entry)) == checksum
    {
        return false;
    }
    match len {
        // Padding, and something in it that was never a record.
        Some(0) if checksum == 0 => true,
        Some(len) if written.len() <= len => true,
        Some(len) if written[len] == 0 && len > 0 => true,
        _ => has_blank_sector(bytes, at),
    }
}

/// Whether the part in some sector of what begins at `at` is nothing but zeros.
fn has_blank_sector(bytes: &[u8], at: usize) -> bool {
    // The upper half of a checksum is always zero.
    let mut start = at + 4;
    while start < bytes.len() {
        let end = (start / SECTOR_LEN + 1) * SECTOR_LEN;
        let part = &bytes[start..end.min(bytes.len())];
        if part.iter().all(|byte| *byte == 0) {
            return true;
        }
        start = end;
    }
    false
}

/// The length without the zeros at the end: no record ends in one.
fn used_len(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut rest = bytes;
    // A comparison of whole blocks is quick even where nothing is optimised.
    while let Some((before, block)) = rest.split_last_chunk::<4096>()
        && *block == ZEROS
    {
        rest = before;
    }
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}
