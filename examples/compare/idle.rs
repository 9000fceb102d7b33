//! Whether the machine has nothing else to do.

use std::fs;
use std::thread;
use std::time::Duration;

use znode_examples::Error;

/// How long is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often, at most, before a run begins all the same: some ten seconds.
const LOOKS_MAX: u32 = 200;
/// What share of all cores may be busy, in percent.
const BUSY_MAX: u64 = 20;

/// How many runs there were, and how many of them have begun although others were at work.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    runs: u32,
    disturbed: u32,
}

impl Idle {
    /// Waits until nobody else is at work, though not for ever.
    #[expect(clippy::disallowed_methods, reason = "nothing else is to run meanwhile")]
    pub(crate) fn await_it(&mut self) -> Result<(), Error> {
        self.runs += 1;
        for _ in 0..LOOKS_MAX {
            let before = ticks()?;
            thread::sleep(LOOK);
            let now = ticks()?;
            let (all, busy) = (now.all - before.all, now.busy - before.busy);
            if busy * 100 <= BUSY_MAX * all {
                return Ok(());
            }
        }
        self.disturbed += 1;
        Ok(())
    }

    /// Says so.
    pub(crate) fn told(&self) -> String {
        format!("Of {} runs {} began while others were at work.", self.runs, self.disturbed)
    }
}

/// Time of all cores together since they were started.
struct Ticks {
    all: u64,
    busy: u64,
}

fn ticks() -> Result<Ticks, Error> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let fields = line.ok_or("/proc/stat does not begin with all cores")?.split_whitespace();
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, idle, waiting for a disk, …
    let waiting: u64 = fields.iter().skip(3).take(2).sum();
    let all: u64 = fields.iter().take(8).sum();
    Ok(Ticks { all, busy: all - waiting })
}
