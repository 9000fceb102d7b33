//! How operations are made: checked, written in line, and awaited.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::client::{BODY_LEN_MAX, Client};
use crate::error::Error;
use crate::io::observer::Note;
use crate::io::submissions::NotTaken;
use crate::io::watch_queue::WatchQueue;
use crate::io::watchers::{SlotKind, WatcherSlot};
use crate::path;
use crate::proto::OpCode;
use crate::reply::{Call, DecodeFn, Reply};
use crate::session::{Registration, Want, WatchEffect, WatcherId};
use crate::watcher::{Armed, Claim, OneshotWatcher, PersistentWatcher};

impl Client {
    /// An operation on a path: the record is written with the path that the server knows.
    pub(super) fn on_path<T>(
        &self,
        op: OpCode,
        name: &'static str,
        path: &str,
        encode: impl FnOnce(Cow<'_, str>, &mut Vec<u8>),
        decode: DecodeFn<T>,
    ) -> Reply<T> {
        match path::validate(path) {
            Ok(()) => {
                let full = self.chroot.full(path);
                self.call(op, name, Some(path), WatchEffect::None, |out| encode(full, out), decode)
            }
            Err(invalid) => Reply::refused(Error::invalid_path(name, invalid)),
        }
    }

    /// Any operation.
    pub(super) fn call<T>(
        &self,
        op: OpCode,
        name: &'static str,
        path: Option<&str>,
        watch: WatchEffect,
        encode: impl FnOnce(&mut Vec<u8>),
        decode: DecodeFn<T>,
    ) -> Reply<T> {
        let call = Call::new(name, path, &self.chroot);
        self.submit(op, call, watch, None, encode, decode)
    }

    /// An operation that brings a watcher.
    pub(super) fn watching<T>(
        &self,
        op: OpCode,
        name: &'static str,
        path: &str,
        want: Want,
        encode: impl FnOnce(Cow<'_, str>, &mut Vec<u8>),
        decode: DecodeFn<T>,
    ) -> Reply<T> {
        if let Err(invalid) = path::validate(path) {
            return Reply::refused(Error::invalid_path(name, invalid));
        }
        let (claim, registration) = self.claim(path, want);
        let (kind, armed) = match want {
            Want::Data | Want::Existence | Want::Children => {
                let (teller, told) = oneshot::channel();
                (SlotKind::Oneshot(teller), Armed::Oneshot(OneshotWatcher::new(claim, told)))
            }
            Want::Persistent | Want::PersistentRecursive => {
                let queue = WatchQueue::default();
                let watcher = PersistentWatcher::new(claim, queue.clone());
                (SlotKind::Persistent(queue), Armed::Persistent(watcher))
            }
        };
        let full = self.chroot.full(path);
        let slot = (registration.watcher, WatcherSlot { chroot: self.chroot.clone(), kind });
        let call = Call { armed: Some(armed), ..Call::new(name, Some(path), &self.chroot) };
        let watch = WatchEffect::Register(registration);
        self.submit(op, call, watch, Some(slot), |out| encode(full, out), decode)
    }

    fn claim(&self, path: &str, want: Want) -> (Claim, Registration) {
        let watcher = self.shared().next_watcher();
        let claim = Claim { handle: Arc::clone(&self.handle), id: watcher, is_spent: false };
        (claim, Registration { path: self.chroot.full(path).into(), want, watcher })
    }

    pub(super) fn submit<T>(
        &self,
        op: OpCode,
        call: Call,
        watch: WatchEffect,
        slot: Option<(WatcherId, WatcherSlot)>,
        encode: impl FnOnce(&mut Vec<u8>),
        decode: DecodeFn<T>,
    ) -> Reply<T> {
        let call = Call { codec: self.codec, ..call };
        let shared = self.shared();
        let note = Note::of(shared, call.op, call.path.as_deref());
        match shared.submissions.request(op, watch, slot, BODY_LEN_MAX, note, encode) {
            Ok(answer) => Reply::waiting(answer, call, decode, self.deadline),
            Err(NotTaken::Ended(ending)) => {
                Reply::refused(call.name(Error::ended(call.op, ending)))
            }
            Err(NotTaken::TooLarge(len)) => {
                Reply::refused(call.name(Error::too_large(call.op, len, BODY_LEN_MAX)))
            }
        }
    }
}
