//! How large a transaction can be.
//!
//! Pure.

use std::collections::BTreeSet;

use znode::proto::FRAME_LEN_MAX;

use super::decision::{AbortReason, Decision, Party};
use super::record::{Charter, Record};
use super::seat::COORDINATOR;
use crate::member::child;
use crate::recipe_error::RecipeError;

/// How many take part in one transaction, and how long its payload is: the decision looks at each
/// of them and is written beside it, and what a server takes as one request is a megabyte, unless
/// it was told otherwise. What was proposed must never be too large to be decided.
const PARTICIPANTS_MAX: usize = 1_000;
const PAYLOAD_MAX: usize = 512 * 1024;
/// How many bytes the names of all participants have.
const NAMES_MAX: usize = 64 * 1024;
/// What an operation on a node adds to a request beside its path and data: 21 bytes at the most.
const OP_LEN: usize = 24;

/// Checks whom a transaction is to be among, whose path is so long where the servers see it.
pub(super) fn check(path_len: usize, path: &str, charter: &Charter) -> Result<(), RecipeError> {
    let refused = |what: String| Err(RecipeError::invalid_argument(path, what));
    let count = charter.participants.len();
    if count == 0 || count > PARTICIPANTS_MAX {
        return refused(format!("{count} participants are not 1 to {PARTICIPANTS_MAX}"));
    }
    let bytes: usize = charter.participants.iter().map(String::len).sum();
    if bytes > NAMES_MAX {
        return refused(format!("names of {bytes} bytes are more than {NAMES_MAX}"));
    }
    let bytes = charter.payload.len();
    if bytes > PAYLOAD_MAX {
        return refused(format!("a payload of {bytes} bytes is more than {PAYLOAD_MAX}"));
    }
    let mut names = BTreeSet::new();
    for name in &charter.participants {
        if name.is_empty() || child(path, &charter.node_of(name)).is_err() {
            return refused(format!("no participant can be called {name:?}"));
        }
        if !names.insert(name) {
            return refused(format!("participant {name:?} is named twice"));
        }
    }
    let bytes = decision_len_max(path_len, charter);
    if bytes > FRAME_LEN_MAX {
        return refused(format!("a decision of {bytes} bytes is more than {FRAME_LEN_MAX}"));
    }
    Ok(())
}

/// How long a decision is at the most: where nobody has voted in time, and all are named for that,
/// by somebody who looks at the nodes of all.
fn decision_len_max(path_len: usize, charter: &Charter) -> usize {
    let Charter { guid, patience, participants, payload } = charter;
    let (guid, missing) = (guid.clone(), participants.clone());
    let longest = participants.iter().max_by_key(|name| name.len()).cloned().unwrap_or_default();
    let (by, reason) = (Party::Participant(longest), AbortReason::Late { missing });
    let decision = Some(Decision::Aborted { by, reason });
    let (patience, participants) = (*patience, participants.clone());
    let head = Charter { guid, patience, participants, payload: Vec::new() };
    let record = Record { charter: head, decision }.encode().len() + payload.len();
    let nodes = charter.participants.iter().map(|name| charter.node_of(name));
    let nodes = nodes.chain([charter.node_of(COORDINATOR)]);
    let nodes: usize = nodes.map(|node| path_len + 1 + node.len() + OP_LEN).sum();
    record + path_len + OP_LEN + nodes + OP_LEN
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn charter(name_len: usize, count: usize, payload: usize) -> Charter {
        let participants = (0..count).map(|number| format!("{number:0name_len$}")).collect();
        let guid = "0123456789abcdef0123456789abcdef".to_owned();
        Charter { guid, patience: Duration::MAX, participants, payload: vec![7; payload] }
    }

    #[test]
    fn what_could_never_be_decided_is_not_proposed() {
        let largest = charter(65, PARTICIPANTS_MAX, PAYLOAD_MAX);
        assert!(check(64, "/transactions/4711", &largest).is_ok());
        // Names that nobody has heard of, below a path that each look at one of them repeats.
        let refused = check(300, "/transactions/4711", &largest).unwrap_err();
        assert_eq!(refused.kind(), crate::RecipeErrorKind::InvalidArgument);
        for few in [charter(65, 100, PAYLOAD_MAX), charter(65, PARTICIPANTS_MAX, 0)] {
            assert!(check(300, "/transactions/4711", &few).is_ok());
        }
    }
}
