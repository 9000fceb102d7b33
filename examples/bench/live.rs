//! How many bytes are allocated and not freed, counted from when somebody asks for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

/// Nobody pays for being counted until then.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts from now on.
pub(crate) fn watch() {
    IS_WATCHED.store(true, Ordering::Relaxed);
}

/// What was allocated more than was freed since then, in MiB.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn mib() -> f64 {
    LIVE.load(Ordering::Relaxed) as f64 / 1024.0 / 1024.0
}

fn count(bytes: usize, sign: isize) {
    if IS_WATCHED.load(Ordering::Relaxed) {
        let bytes = isize::try_from(bytes).expect("no allocation is that large");
        LIVE.fetch_add(sign * bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's as well.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the pointer came from `alloc` or `realloc` here, and so from the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(len, 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, len) }
    }
}
