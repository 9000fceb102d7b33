//! What collectors report, and what follows from that.

use std::collections::BTreeMap;

pub(crate) const SOURCES: [&str; 6] = ["api", "auth", "cron", "db", "mail", "web"];

/// How many lines a source has in a second.
pub(crate) type Rates = BTreeMap<String, u64>;
/// What each collector reports in its status node.
pub(crate) type Loads = BTreeMap<String, Rates>;

/// As a collector reports.
pub(crate) fn report<'a>(mine: impl IntoIterator<Item = &'a String>, world: &Rates) -> String {
    mine.into_iter().map(|name| format!("{name}={} ", world[name])).collect()
}

/// What all have reported: of each, `api=50 db=40`.
pub(crate) fn parse(members: BTreeMap<String, Vec<u8>>) -> Loads {
    let rate = |(name, rate): (&str, &str)| Some((name.to_owned(), rate.parse().ok()?));
    let pair = |pair: &str| pair.split_once('=').and_then(rate);
    let rates = |it: Vec<u8>| String::from_utf8_lossy(&it).split(' ').filter_map(pair).collect();
    members.into_iter().map(|(id, report)| (id, rates(report))).collect()
}

/// How many lines all of them have.
pub(crate) fn sum(of: &Rates) -> u64 {
    of.values().sum()
}

/// Whether each source is one collector's.
pub(crate) fn is_whole(loads: &Loads) -> bool {
    let mut all: Vec<_> = loads.values().flat_map(Rates::keys).collect();
    all.sort();
    all == SOURCES
}

/// What `id` should take over: if it has the least, and less than half of the most, the source
/// that makes these two the most alike.
pub(crate) fn shift(loads: &Loads, id: &str) -> Option<String> {
    let (_, few) = loads.iter().min_by_key(|(_, of)| sum(of)).filter(|(least, _)| *least == id)?;
    let many = loads.values().max_by_key(|of| sum(of)).filter(|of| sum(of) > 2 * sum(few))?;
    let alike = |rate: u64| (sum(few) + rate).max(sum(many) - rate);
    let (source, rate) = many.iter().min_by_key(|(_, rate)| alike(**rate))?;
    (alike(*rate) < sum(many) && is_whole(loads)).then(|| source.clone())
}

/// Whether nobody should take anything over.
pub(crate) fn is_fair(loads: &Loads) -> bool {
    loads.keys().all(|id| shift(loads, id).is_none())
}
