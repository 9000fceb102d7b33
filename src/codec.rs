//! What becomes of data between the caller and the wire.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;

/// How a handle writes data, and reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Codec {
    /// As it is.
    #[default]
    Plain,
    #[cfg(feature = "gzip")]
    Gzip,
}

impl Codec {
    /// As it is to be stored.
    pub(crate) fn encode(self, data: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Plain => Cow::Borrowed(data),
            #[cfg(feature = "gzip")]
            Self::Gzip => Cow::Owned(gzip::compress(data)),
        }
    }

    /// As it was before it was stored.
    pub(crate) fn decode(self, data: Bytes) -> io::Result<Bytes> {
        match self {
            Self::Plain => Ok(data),
            #[cfg(feature = "gzip")]
            Self::Gzip => gzip::decompress(&data),
        }
    }
}

#[cfg(feature = "gzip")]
mod gzip {
    use std::io::{self, Read, Write};

    use bytes::Bytes;
    use flate2::Compression;
    use flate2::read::MultiGzDecoder;
    use flate2::write::GzEncoder;

    use crate::client::Client;

    use super::Codec;

    /// How long data may become: 64 times what a server accepts, which real data hardly reaches,
    /// and little enough that nobody can fill our memory with a node.
    const DATA_LEN_MAX: u64 = 64 * 1024 * 1024;

    impl Client {
        /// A view of the same session that writes data compressed and expects it so when it
        /// reads: as a gzip stream, which is how Curator's `compressed()` and `decompressed()`
        /// do it. (Feature `gzip`.)
        ///
        /// All its verbs do so, in transactions too, and so does everything that is made of
        /// them, but for the empty nodes that [`ensure_path`](Self::ensure_path) makes. Data is
        /// compressed in the call; what `Stat` says of its length is that of the stored one. A
        /// node without data reads as empty.
        ///
        /// A read of what is no gzip stream, or would have more than 64 MiB, fails with
        /// `InvalidData`.
        ///
        /// ```no_run
        /// # async fn example(client: znode::Client) -> Result<(), znode::Error> {
        /// use znode::CreateMode;
        ///
        /// let packed = client.with_compression();
        /// packed.create("/report", "a".repeat(10_000), CreateMode::Persistent).await?;
        /// let (report, stat) = packed.get_data("/report").await?;
        /// println!("{} bytes are stored as {}", report.len(), stat.data_length);
        /// # Ok(())
        /// # }
        /// ```
        #[must_use]
        pub fn with_compression(&self) -> Self {
            Self { codec: Codec::Gzip, ..self.clone() }
        }
    }

    pub(super) fn compress(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let written = encoder.write_all(data).and_then(|()| encoder.finish());
        written.expect("memory takes whatever is written")
    }

    pub(super) fn decompress(data: &[u8]) -> io::Result<Bytes> {
        if data.is_empty() {
            return Ok(Bytes::new());
        }
        let mut read = Vec::new();
        MultiGzDecoder::new(data).take(DATA_LEN_MAX + 1).read_to_end(&mut read)?;
        if u64::try_from(read.len()).is_ok_and(|len| len > DATA_LEN_MAX) {
            let what = format!("the data has more than {DATA_LEN_MAX} bytes");
            return Err(io::Error::other(what));
        }
        Ok(read.into())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn data_survives_and_what_is_none_is_refused() {
            for data in [&b""[..], b"x", &[7; 100_000]] {
                assert_eq!(decompress(&compress(data)).unwrap(), data);
            }
            assert!(decompress(b"").unwrap().is_empty());
            let whole = compress(b"some data");
            assert!(decompress(&whole[..whole.len() - 1]).is_err());
            assert!(decompress(b"some data").is_err());
        }

        #[test]
        fn a_bomb_is_refused() {
            let zeros = vec![0; usize::try_from(DATA_LEN_MAX + 1).unwrap()];
            assert!(decompress(&compress(&zeros)).is_err());
        }

        #[test]
        fn what_others_write_is_read() {
            // `gzip.compress(b"znode", mtime=0)` of Python, which writes as zlib does.
            let python: &[u8] = &[
                0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0xca, 0xcb, 0x4f,
                0x49, 0x05, 0x00, 0x2a, 0x38, 0x7b, 0xd1, 0x05, 0x00, 0x00, 0x00,
            ];
            assert_eq!(&decompress(python).unwrap()[..], b"znode");
        }
    }
}
