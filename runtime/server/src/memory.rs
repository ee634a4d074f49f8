//! How the allocator keeps memory.

// The allocator is told by a call of C.
#![allow(unsafe_code)]

/// Fewest arenas: the control thread and one that runs plugins allocate at the same time.
#[cfg(target_env = "gnu")]
const ARENAS_MIN: usize = 2;

/// Has few threads' memory apart from others'. The C library gives nearly each thread an arena of its own,
/// eight for each core: what a call needs is then spread over many, each with holes, and a call took 105 KB
/// where 76 do. The threads that allocate for calls are few; those of media do not at all.
pub(crate) fn keep_together() {
    #[cfg(target_env = "gnu")]
    {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let arenas = (cores / 2).max(ARENAS_MIN);
        let arenas = libc::c_int::try_from(arenas).unwrap_or(libc::c_int::MAX);
        // SAFETY: it takes two numbers, and is called before there is another thread. Refused, all stays
        // as it was.
        let taken = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
        if taken == 0 {
            tracing::debug!("the allocator keeps its arenas");
        }
    }
}
