//! Cuts what has arrived into frames.

use crate::admin::Word;

/// What stands at the beginning of the bytes that have arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A whole frame, without its length, and what is behind it.
    Frame(&'a [u8], &'a [u8]),
    /// A four-letter word. What is behind it does not matter.
    Word(Word),
    /// Not enough to say.
    Incomplete,
    /// A length that no frame has.
    Broken,
}

/// Looks at the bytes; `fresh` says that nothing has come before them on this connection, and no
/// frame is longer than `len_max`.
pub(crate) fn next(bytes: &[u8], fresh: bool, len_max: usize) -> Next<'_> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Next::Incomplete;
    };
    if fresh && let Some(word) = Word::recognise(*len) {
        return match rest.first_chunk() {
            _ if !word.has_argument() => Next::Word(word),
            Some(argument) => Next::Word(word.with_argument(*argument)),
            None => Next::Incomplete,
        };
    }
    match usize::try_from(i32::from_be_bytes(*len)) {
        Ok(len) if len <= len_max => match rest.split_at_checked(len) {
            Some((frame, rest)) => Next::Frame(frame, rest),
            None => Next::Incomplete,
        },
        _ => Next::Broken,
    }
}

#[cfg(test)]
mod tests {
    use znode::proto::FRAME_LEN_MAX;

    use super::*;

    fn next(bytes: &[u8], fresh: bool) -> Next<'_> {
        super::next(bytes, fresh, FRAME_LEN_MAX)
    }

    fn len(len: i32) -> Vec<u8> {
        len.to_be_bytes().to_vec()
    }

    #[test]
    fn frames_are_cut_where_their_length_says() {
        let bytes = [len(2), b"abrest".to_vec()].concat();
        assert_eq!(next(&bytes, true), Next::Frame(b"ab", b"rest"));
        assert_eq!(next(&bytes[..5], true), Next::Incomplete);
        assert_eq!(next(&bytes[..3], true), Next::Incomplete);
        assert_eq!(next(&len(0), false), Next::Frame(b"", b""));
    }

    #[test]
    fn exhaustion_a_length_beyond_the_limit_or_below_zero_is_no_frame() {
        let limit = i32::try_from(FRAME_LEN_MAX).unwrap();
        assert_eq!(next(&len(limit), false), Next::Incomplete);
        assert_eq!(next(&len(limit + 1), false), Next::Broken);
        assert_eq!(next(&len(-1), false), Next::Broken);
        assert_eq!(next(b"GET / HTTP", true), Next::Broken);
    }

    #[test]
    fn a_word_is_one_at_the_start_only() {
        assert!(matches!(next(b"ruok\n", true), Next::Word(_)));
        assert_eq!(next(b"ruok\n", false), Next::Broken);
    }
}
