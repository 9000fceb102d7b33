//! A snapshot as a file: written piece by piece under another name, compressed or not, and given
//! its own once it is whole.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use znode::proto::Zxid;

use super::directory::{Kind, at, file, folder, sync_folder};
use super::storage::{Storage, StoredFile as _};
use super::{Compression, DiskOptions};
use crate::log::snapshot::Seal;
use crate::node::snapshots::SnapshotId;

/// A snapshot that is being written. Unless it is [finished](Self::finish), nothing stays of it.
pub(crate) struct SnapshotFile<S: Storage> {
    storage: S,
    folder: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
    force_sync: bool,
    /// Nothing once it is finished.
    file: Option<S::File>,
    /// How much of it was written.
    len: u64,
    seal: Seal,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl<S: Storage> SnapshotFile<S> {
    /// Begins the file of a snapshot that is to be named after `zxid`.
    pub(crate) fn create(storage: &S, options: &DiskOptions, zxid: Zxid) -> io::Result<Self> {
        let plain = file(&options.data_dir, Kind::Snapshot, zxid);
        let (path, gzip) = match options.compression {
            Compression::Gzip => {
                let gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                (plain.with_extension(format!("{:x}.gz", zxid.0)), Some(gzip))
            }
            _ => (plain.clone(), None),
        };
        let temporary = plain.with_extension(format!("{:x}.tmp", zxid.0));
        let file = storage.create(&temporary).map_err(|error| at(&temporary, &error))?;
        Ok(Self {
            storage: storage.clone(),
            folder: folder(&options.data_dir),
            path,
            temporary,
            force_sync: options.force_sync,
            file: Some(file),
            len: 0,
            seal: Seal::new(),
            gzip,
        })
    }

    /// Appends a piece.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seal.note(bytes);
        self.pack(bytes)
    }

    /// Appends the end, and gives the file its name.
    pub(crate) fn finish(mut self, id: SnapshotId) -> io::Result<u64> {
        let tail = self.seal.tail(id.digest, id.zxid);
        self.pack(&tail)?;
        if let Some(gzip) = self.gzip.take() {
            let rest = gzip.finish()?;
            self.write(&rest)?;
        }
        let mut file = self.file.take().expect("a snapshot is finished once");
        let Self { storage, path, temporary, .. } = &self;
        if self.force_sync {
            file.sync().map_err(|error| at(temporary, &error))?;
        }
        drop(file);
        storage.rename(temporary, path).map_err(|error| at(path, &error))?;
        if self.force_sync {
            sync_folder(storage, &self.folder)?;
        }
        Ok(self.len)
    }

    fn pack(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(gzip) = &mut self.gzip else {
            return self.write(bytes);
        };
        gzip.write_all(bytes)?;
        let packed = std::mem::take(gzip.get_mut());
        self.write(&packed)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().expect("a snapshot is written before it is finished");
        file.write_at(self.len, bytes).map_err(|error| at(&self.temporary, &error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl<S: Storage> Drop for SnapshotFile<S> {
    fn drop(&mut self) {
        // What cannot be removed now, the next start removes.
        if self.file.take().is_some() {
            let _ = self.storage.remove(&self.temporary);
        }
    }
}

/// The bytes of a snapshot that was compressed with gzip.
pub(super) fn unpacked(bytes: &[u8]) -> impl Read {
    MultiGzDecoder::new(bytes)
}

/// The bytes of a snapshot, whether it was compressed or not.
pub(super) fn read(
    storage: &impl Storage,
    path: &Path,
    compression: Compression,
) -> io::Result<Result<Vec<u8>, String>> {
    let bytes = storage.read(path).map_err(|error| at(path, &error))?;
    Ok(match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut plain = Vec::new();
            let read = unpacked(&bytes).read_to_end(&mut plain);
            read.map(|_| plain).map_err(|error| format!("the gzip stream is broken: {error}"))
        }
        Compression::Snappy => Err("compression with snappy is not supported; gz is".to_owned()),
    })
}
