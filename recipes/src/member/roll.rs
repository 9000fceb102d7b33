//! Who is in a group, as the names and the data of its children tell.

use std::collections::BTreeMap;

use crate::layout::Layout;
use crate::recipe_error::RecipeError;

/// What stands in the name of every member of a kazoo party, behind what makes it its own.
const PARTY: &str = "__party__";

/// What a member's node is to be called.
pub(super) fn name(layout: Layout, id: &str, guid: &str) -> String {
    match layout {
        Layout::Curator | Layout::GoZookeeper => id.to_owned(),
        Layout::Kazoo => format!("{}{PARTY}", guid.replace('-', "")),
    }
}

/// What is written into a member's node.
///
/// # Errors
/// `InvalidArgument` if the layout has no room for what it says of itself.
pub(super) fn data<'a>(
    layout: Layout,
    group: &str,
    id: &'a str,
    payload: &'a [u8],
) -> Result<&'a [u8], RecipeError> {
    match layout {
        Layout::Curator | Layout::GoZookeeper => Ok(payload),
        Layout::Kazoo if payload.is_empty() => Ok(id.as_bytes()),
        Layout::Kazoo => {
            let what = "in a party of kazoo's nobody says more of itself than what it is called";
            Err(RecipeError::invalid_argument(group, what))
        }
    }
}

/// Who is in it and with what, by what each calls itself.
pub(super) fn members(
    layout: Layout,
    children: BTreeMap<String, Vec<u8>>,
) -> BTreeMap<String, Vec<u8>> {
    if layout != Layout::Kazoo {
        return children;
    }
    let ids = children.into_iter().filter(|(name, _)| name.contains(PARTY));
    ids.filter_map(|(name, id)| match String::from_utf8(id) {
        Ok(id) => Some((id, Vec::new())),
        Err(error) => {
            tracing::warn!(name, %error, "passed over");
            None
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "6c0ae3f5-0f4c-4bd3-a3d2-7e0c2bf9d5c1";

    #[test]
    fn members_of_a_party_are_called_what_their_data_says() {
        let ours = name(Layout::Kazoo, "host/1", GUID);
        assert_eq!(ours, "6c0ae3f50f4c4bd3a3d27e0c2bf9d5c1__party__");
        let data = data(Layout::Kazoo, "/p", "host/1", b"").unwrap().to_vec();
        let children = [
            (ours, data),
            ("0__party__".to_owned(), b"host-2".to_vec()),
            ("1__party__".to_owned(), vec![0xff]),
            ("stranger".to_owned(), b"host-3".to_vec()),
        ];
        let seen = members(Layout::Kazoo, children.clone().into());
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            [("host-2".to_owned(), vec![]), ("host/1".to_owned(), vec![])]
        );
        assert_eq!(members(Layout::Curator, children.clone().into()), children.into());
    }

    #[test]
    fn members_of_a_group_are_called_as_their_nodes() {
        assert_eq!(name(Layout::Curator, "host-1", GUID), "host-1");
        assert_eq!(data(Layout::Curator, "/g", "host-1", b"idle").unwrap(), b"idle");
        assert_eq!(data(Layout::Kazoo, "/g", "host-1", b"idle").unwrap_err().path(), "/g");
    }
}
