//! A transaction log: records with checksums, then padding; where a log ends, and where it is
//! broken.
//!
//! A crash may tear what was not acknowledged yet: the last records of a log. That is no damage,
//! and is cut off. Anything else that cannot be read is damage, and it is told apart as follows. A
//! record that cannot be read with one that can be read behind it was not torn by a crash, since
//! records are written in order. The last record was torn only if a part of it is missing: the file
//! ends before it, or the bytes that ends it, or a whole sector of it, are still the zeros of the
//! padding. A power cut that tears the first of several records that were written at once, and
//! keeps a later one, looks like damage: then the server refuses to start instead of guessing.

use super::Damage;

/// `ZKLG`, version 2, database 0.
pub(crate) const FILE_HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

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
    let len = i32::try_from(entry.len()).expect("a transaction comes from one frame");
    out.extend_from_slice(&i64::from(adler2::adler32_slice(entry)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(entry);
    out.push(END_OF_RECORD);
}

/// Reads one record after the other.
#[derive(Debug)]
pub(crate) struct LogReader<'a> {
    /// The file without its padding.
    bytes: &'a [u8],
    /// Where the next record begins.
    at: usize,
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
        let len = FILE_HEADER.len().min(bytes.len());
        let used = used_len(bytes);
        if used > 0 && len == FILE_HEADER.len() && bytes[..len] != FILE_HEADER {
            return Err(Damage::new(0, "this is not the header of a transaction log"));
        }
        Ok(Self { bytes: &bytes[..used.max(len)], at: len })
    }

    /// How much of the file is whole: the end of the last record that was read.
    pub(crate) fn offset(&self) -> usize {
        self.at
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
        let behind = (self.at + 1..self.bytes.len()).find(|at| entry_at(self.bytes, *at).is_ok());
        if let Some(behind) = behind {
            let why = format!("{why}, and another record stands behind it at {behind}");
            return Err(Damage::new(self.at, why));
        }
        let damage = Damage::new(self.at, why);
        if is_torn(self.bytes, self.at) { Ok(Next::Torn(damage)) } else { Err(damage) }
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
    if i64::from(adler2::adler32_slice(entry)) != checksum {
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
        && i64::from(adler2::adler32_slice(entry)) == checksum
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
