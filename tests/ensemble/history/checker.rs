//! Whether what clients saw can have been: one order of all writes that respects real time, and
//! every session reading along that order without a step back.
//!
//! ZooKeeper names the order itself: every write shows its zxid. So the order need not be searched
//! for, only held against what else is known, which makes a check of any length a matter of
//! sorting. What cannot be known, such as whether a write took place whose answer was lost, accuses
//! nobody.

use std::collections::BTreeMap;
use std::fmt;

/// What one client has done, and when: times in nanoseconds since the beginning.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    /// Its session. The operations of a session stand in the order in which they were sent.
    pub(crate) session: i64,
    /// When it was sent.
    pub(crate) call: u64,
    /// When its answer was there, if there was one.
    pub(crate) back: Option<u64>,
    pub(crate) what: What,
}

/// What was done.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A register was set to a value that nobody else ever writes.
    Write {
        register: u32,
        value: u64,
        /// Which version it was to follow, if any one.
        expected: Option<i32>,
        /// What was told of it.
        told: Option<Place>,
    },
    /// Registers were read, all at one moment.
    Read {
        seen: Vec<Seen>,
        /// Up to where the client knew the server to be once it had the answer.
        known: i64,
    },
    /// Everything decided before was waited for.
    Sync,
}

/// Where a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) zxid: i64,
    pub(crate) version: i32,
}

/// A register, as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) register: u32,
    pub(crate) value: u64,
    pub(crate) place: Place,
}

/// What cannot have been.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Impossible(pub(crate) String);

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A write, with all that anybody knows of it.
#[derive(Debug, Clone, Copy)]
struct Written {
    register: u32,
    value: u64,
    call: u64,
    back: Option<u64>,
    place: Option<Place>,
}

type Checked = Result<(), Impossible>;

fn require(is_so: bool, why: impl FnOnce() -> String) -> Checked {
    if is_so { Ok(()) } else { Err(Impossible(why())) }
}

/// Judges a history; the first writes of the registers belong to it.
pub(crate) fn check(ops: &[Op]) -> Checked {
    let writes = writes(ops)?;
    let registers = order(&writes)?;
    real_time(&writes)?;
    sessions(ops, &writes, &registers)
}

/// Every write by its value, its place also from those who read it.
fn writes(ops: &[Op]) -> Result<BTreeMap<u64, Written>, Impossible> {
    let mut writes = BTreeMap::new();
    for op in ops {
        let What::Write { register, value, expected, told } = op.what else { continue };
        if let (Some(expected), Some(told)) = (expected, told) {
            require(told.version == expected + 1, || {
                format!("{value} was to follow version {expected} and has version {}", told.version)
            })?;
        }
        let (call, back) = (op.call, op.back);
        let written = Written { register, value, call, back, place: told };
        let twice = writes.insert(value, written).is_some();
        assert!(!twice, "{value} was written twice, which is the recorder's mistake");
    }
    for op in ops {
        let What::Read { seen, .. } = &op.what else { continue };
        for seen in seen {
            let value = seen.value;
            let written = writes.get_mut(&value).filter(|write| write.register == seen.register);
            let Some(written) = written else {
                return Err(Impossible(format!("{seen:?} was read, and nobody has written it")));
            };
            require(op.back.is_none_or(|back| written.call < back), || {
                format!("{seen:?} was read before anybody wrote it")
            })?;
            let place = *written.place.get_or_insert(seen.place);
            require(place == seen.place, || format!("{seen:?} was read, and stands at {place:?}"))?;
        }
    }
    Ok(writes)
}

/// The places of every register's writes, in order: no two at one, none skipped that nobody lost.
fn order(writes: &BTreeMap<u64, Written>) -> Result<BTreeMap<u32, Vec<Place>>, Impossible> {
    let mut registers: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    let mut lost: BTreeMap<u32, i64> = BTreeMap::new();
    let mut zxids = BTreeMap::new();
    for written in writes.values() {
        let Some(place) = written.place else {
            *lost.entry(written.register).or_default() += 1;
            continue;
        };
        registers.entry(written.register).or_default().push(place);
        let twin = zxids.insert(place.zxid, written.value);
        require(twin.is_none(), || {
            format!("{} and {twin:?} both stand at {:#x}", written.value, place.zxid)
        })?;
    }
    for (register, places) in &mut registers {
        places.sort_unstable();
        let mut skipped = i64::from(places[0].version);
        for pair in places.windows(2) {
            let steps = i64::from(pair[1].version) - i64::from(pair[0].version);
            require(steps > 0, || format!("register {register} has {pair:?}"))?;
            skipped += steps - 1;
        }
        let lost = lost.get(register).copied().unwrap_or(0);
        require(skipped <= lost, || {
            format!(
                "register {register} was written {skipped} times more than by {lost} lost writes"
            )
        })?;
    }
    Ok(registers)
}

/// What was done when something else began stands before it.
fn real_time(writes: &BTreeMap<u64, Written>) -> Checked {
    let mut placed: Vec<(&Written, Place)> =
        writes.values().filter_map(|written| Some((written, written.place?))).collect();
    placed.sort_unstable_by_key(|(_, place)| std::cmp::Reverse(place.zxid));
    let mut earliest: Option<(u64, u64)> = None;
    for (written, place) in placed {
        if let Some((back, value)) = earliest {
            require(back > written.call, || {
                let zxid = place.zxid;
                format!(
                    "{} stands at {zxid:#x}, before {value} that was done when it began",
                    written.value
                )
            })?;
        }
        if let Some(back) = written.back
            && earliest.is_none_or(|(before, _)| back < before)
        {
            earliest = Some((back, written.value));
        }
    }
    Ok(())
}

/// Walks along with every session: it never steps back, and a `sync` brings it to whatever was
/// done, or was seen, when it began.
fn sessions(
    ops: &[Op],
    writes: &BTreeMap<u64, Written>,
    registers: &BTreeMap<u32, Vec<Place>>,
) -> Checked {
    let done = done(ops);
    let mut stands: BTreeMap<i64, i64> = BTreeMap::new();
    for op in ops {
        let stands = stands.entry(op.session).or_insert(i64::MIN);
        match &op.what {
            What::Write { value, told, .. } => {
                let Some(Place { zxid, .. }) = writes[value].place else { continue };
                require(zxid > *stands, || {
                    format!("{value} stands at {zxid:#x}, and its session was at {stands:#x}")
                })?;
                // One whose answer was lost may take place later than what follows it.
                *stands = told.map_or(*stands, |told| told.zxid);
            }
            What::Sync if op.back.is_some() => {
                let before = done.partition_point(|(back, _)| *back < op.call);
                let (_, newest) = done[..before].last().copied().unwrap_or((0, i64::MIN));
                *stands = newest.max(*stands);
            }
            What::Sync => {}
            What::Read { seen, known } => {
                let newest = seen.iter().map(|seen| seen.place.zxid).max();
                let at = newest.map_or(*stands, |newest| newest.max(*stands));
                for seen in seen {
                    let places = &registers[&seen.register];
                    let next = places.partition_point(|place| place.zxid <= seen.place.zxid);
                    let until = places.get(next).map_or(i64::MAX, |next| next.zxid);
                    require(at < until, || {
                        let session = op.session;
                        let what = format!("session {session:#x} read {seen:?} at {at:#x}");
                        format!("{what}, where {until:#x} had overwritten it")
                    })?;
                }
                require(at <= *known, || {
                    format!(
                        "{seen:?} was read of a server that was at {known:#x}, by one at {at:#x}"
                    )
                })?;
                *stands = at.max(*known);
            }
        }
    }
    Ok(())
}

/// When it was known that everything up to a place is decided, in order of time.
fn done(ops: &[Op]) -> Vec<(u64, i64)> {
    let mut done: Vec<(u64, i64)> = ops
        .iter()
        .filter_map(|op| {
            let zxid = match &op.what {
                What::Write { told, .. } => told.map(|place| place.zxid),
                What::Read { seen, .. } => seen.iter().map(|seen| seen.place.zxid).max(),
                What::Sync => None,
            };
            Some((op.back?, zxid?))
        })
        .collect();
    done.sort_unstable();
    let mut newest = i64::MIN;
    for (_, zxid) in &mut done {
        newest = newest.max(*zxid);
        *zxid = newest;
    }
    done
}
