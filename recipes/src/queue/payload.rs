//! The data of a queue's node, as Curator writes it: items with their lengths.
//!
//! Pure. A version, and for each item a mark, its length and its bytes; then another mark.

const VERSION: [u8; 4] = [0, 1, 0, 1];
const ITEM: u8 = 1;
const END: u8 = 2;

/// One item, in a node of its own.
pub(super) fn encode(item: &[u8]) -> Option<Vec<u8>> {
    let len = i32::try_from(item.len()).ok()?;
    Some([&VERSION, &[ITEM][..], &len.to_be_bytes(), item, &[END]].concat())
}

/// The items of a node; `None` if its data is none of a queue.
pub(super) fn decode(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = data.strip_prefix(&VERSION)?;
    let mut items = Vec::new();
    loop {
        match rest {
            [END] => return Some(items),
            [ITEM, a, b, c, d, item @ ..] => {
                let len = usize::try_from(i32::from_be_bytes([*a, *b, *c, *d])).ok()?;
                let (item, after) = item.split_at_checked(len)?;
                items.push(item.to_vec());
                rest = after;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_item_is_written_as_curator_writes_it() {
        let data = [0, 1, 0, 1, 1, 0, 0, 0, 2, b'h', b'i', 2];
        assert_eq!(encode(b"hi").unwrap(), data);
        assert_eq!(decode(&data), Some(vec![b"hi".to_vec()]));
        // Several that were put together, and none.
        let two = [&data[..11], &data[4..]].concat();
        assert_eq!(decode(&two), Some(vec![b"hi".to_vec(); 2]));
        assert_eq!(decode(&[0, 1, 0, 1, 2]), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(item: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&item).unwrap()), Some(vec![item]));
        }

        #[test]
        fn whatever_it_is_it_is_read_or_refused(data: Vec<u8>, is_begun: bool) {
            let data = if is_begun { [&VERSION[..], &data].concat() } else { data };
            if let Some(items) = decode(&data) {
                prop_assert!(items.iter().map(Vec::len).sum::<usize>() <= data.len());
            }
        }
    }
}
