//! As much of DER as it takes to find the subject of a certificate.

/// One element: what it is, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// The whole of it, with its tag and its length.
    pub(crate) whole: &'a [u8],
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const OBJECT_ID: u8 = 0x06;
/// The version of a certificate, which may be left out.
const VERSION: u8 = 0xa0;

/// How many bytes a length may have: more than that is more than there is memory.
const LENGTH_LEN_MAX: usize = 4;

impl<'a> Element<'a> {
    /// The first element, and what is behind it; `None` if there is no whole one.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        // Tags of more than one byte stand nowhere before a subject.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            _ => {
                let len_len = usize::from(first & 0x7f);
                let (len, rest) = rest.split_at_checked(len_len)?;
                if len.is_empty() || len.len() > LENGTH_LEN_MAX {
                    return None;
                }
                (len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, behind) = rest.split_at_checked(len)?;
        let whole = &bytes[..bytes.len() - behind.len()];
        Some((Self { tag, content, whole }, behind))
    }

    /// What is in it, one after the other; `None` if something is left over.
    pub(crate) fn children(&self) -> Option<Vec<Element<'a>>> {
        let mut rest = self.content;
        let mut children = Vec::new();
        while !rest.is_empty() {
            let (child, behind) = Self::read(rest)?;
            children.push(child);
            rest = behind;
        }
        Some(children)
    }

    /// What is in it, if it is of this kind.
    pub(crate) fn children_of(&self, tag: u8) -> Option<Vec<Element<'a>>> {
        self.children().filter(|_| self.tag == tag)
    }
}

/// The name of the one that a certificate is about: the sequence of its parts.
pub(crate) fn subject(certificate: &[u8]) -> Option<Element<'_>> {
    part(certificate, 0)
}

/// The public key of that one: a bit string.
#[cfg(feature = "tls")]
pub(crate) fn public_key(certificate: &[u8]) -> Option<Element<'_>> {
    part(certificate, 1)?.children()?.get(1).copied()
}

/// What stands `behind` the subject, or the subject.
fn part(certificate: &[u8], behind: usize) -> Option<Element<'_>> {
    let (certificate, _) = Element::read(certificate)?;
    let about = *certificate.children_of(SEQUENCE)?.first()?;
    let parts = about.children_of(SEQUENCE)?;
    // Before it come: serial number, signature, issuer, validity.
    let skipped = usize::from(parts.first()?.tag == VERSION) + 4;
    parts.get(skipped + behind).copied().filter(|part| part.tag == SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end_where_their_length_says() {
        let (element, rest) = Element::read(&[0x04, 2, 7, 8, 9]).unwrap();
        assert_eq!((element.tag, element.content, rest), (4, &[7, 8][..], &[9][..]));
        assert_eq!(element.whole, [0x04, 2, 7, 8]);
        let long = [&[0x04, 0x81, 0x80][..], &[0; 128]].concat();
        assert_eq!(Element::read(&long).unwrap().0.content.len(), 128);
        for bytes in
            [&[][..], &[4], &[4, 2, 7], &[4, 0x80], &[4, 0x85, 0, 0, 0, 0, 1, 0], &[0x1f, 0]]
        {
            assert_eq!(Element::read(bytes), None, "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_looked_at(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)
        ) {
            let _ = subject(&bytes);
        }
    }
}
