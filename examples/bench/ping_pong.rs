//! A byte to and fro over a raw socket: the physical limit beside the figures.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use znode_examples::Error;

use crate::measure::{Counted, Used};
use crate::options::Options;
use crate::report::Figures;

/// Two threads of this process, each blocked while the other one has the byte.
#[expect(clippy::disallowed_methods, reason = "programs may read the clock")]
pub(crate) fn run(options: &Options) -> Result<Figures, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).and_then(|()| far.write_all(&byte)).is_ok() {}
    });
    let mut counted = Counted::nothing()?;
    let (before, began) = (Used::by_now(options), Instant::now());
    while began.elapsed() < options.measured() {
        let asked = Instant::now();
        let mut byte = [0];
        near.write_all(&byte)?;
        near.read_exact(&mut byte)?;
        counted.note(asked.elapsed(), 1)?;
    }
    let (took, cost) = (began.elapsed(), before.until_now(options));
    drop(near);
    echo.join().map_err(|_| "the echo has panicked")?;
    Ok(Figures::new(took, cost, &counted))
}
