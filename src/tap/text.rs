//! The tap that prints.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::{TappedFrame, WireTap};

/// Prints each frame as a line of text.
///
/// ```no_run
/// # async fn example() -> Result<(), znode::Error> {
/// use znode::{ConnectOptions, TextTap};
///
/// let client = ConnectOptions::new().wire_tap(TextTap::stderr()).connect("zk1:2181").await?;
/// # Ok(())
/// # }
/// ```
pub struct TextTap(Mutex<Box<dyn Write + Send>>);

impl TextTap {
    /// To wherever. What cannot be written is lost.
    ///
    /// ```no_run
    /// # fn example() -> std::io::Result<()> {
    /// let tap = znode::TextTap::new(std::fs::File::create("wire.txt")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(to)))
    }

    /// To the standard error stream.
    pub fn stderr() -> Self {
        Self::new(io::stderr())
    }
}

impl WireTap for TextTap {
    fn frame(&self, frame: &TappedFrame<'_>) {
        let mut to = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(to, "{frame}");
    }
}

impl fmt::Debug for TextTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextTap")
    }
}
