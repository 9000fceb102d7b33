//! Records appended to a file that is synced: the physical limit beside durable writes.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Instant;

use znode_examples::Error;

use crate::measure::{Counted, Used};
use crate::options::Options;
use crate::report::Figures;

/// What a log writes beside the data of a write: headers, path, checksum.
const OVERHEAD: usize = 100;

/// As a log does: into a file that was padded before, so that its length stays.
const PADDING: u64 = 64 * 1024 * 1024;

/// Every session's requests at once, as many as a group commit could find at the best.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) fn run(options: &Options) -> Result<Figures, Error> {
    let path = options.directory.join(format!("bench-{}", std::process::id()));
    let mut file = File::create(&path)?;
    // The name goes at once; the file goes with the program.
    fs::remove_file(&path)?;
    let group = options.depth.max(1) * options.sessions.max(1);
    let records = vec![b'x'; group * (options.payload + OVERHEAD)];
    file.set_len(PADDING)?;
    file.sync_all()?;
    let mut counted = Counted::nothing()?;
    let (before, began) = (Used::by_now(options), Instant::now());
    while began.elapsed() < options.measured() {
        let asked = Instant::now();
        file.write_all(&records)?;
        file.sync_data()?;
        counted.note(asked.elapsed(), group)?;
    }
    Ok(Figures::new(began.elapsed(), before.until_now(options), &counted))
}
