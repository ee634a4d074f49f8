//! Datagrams over `io_uring`: the kernel puts what arrives into buffers that it was given, and takes
//! all that is to be sent in one call.
//!
//! Each open socket has one receive request that goes on until it is cancelled ("multishot"). The
//! kernel works on it only while this thread is in `io_uring_enter` (`DEFER_TASKRUN`), so packets
//! wake nobody, and what comes while the thread stands still waits in the sockets' own buffers.

// Requests hold pointers that the kernel follows later; each block states why they are good.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, CancelBuilder, Fixed, RecvMsgOut};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;

use super::io::{DATAGRAM_BYTES, Datagram};

/// Requests handed over at once, and datagrams on their way out. A call for 64 costs little more than
/// one for 512, and what they use stays in the cache: measured, it is 10 % cheaper.
const REQUESTS: u32 = 64;

/// Least and most buffers for what arrives. The kernel takes up to 32,768.
const BUFFERS_MIN: usize = 256;
const BUFFERS_MAX: usize = 32_768;

/// Buffers given to the kernel before any socket is open, and one more for each session, which gets
/// one datagram in two looks. Kernels since 6.13 fill some 20 in a call, older ones all they have.
const BUFFERS_FIRST: usize = 128;

/// An IPv6 address is the longest sender.
const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// What the kernel writes before the sender: four numbers (`struct io_uring_recvmsg_out`).
const HEAD_BYTES: usize = 16;

/// One buffer, and how far it is to the next one: each begins with a line of the cache.
const BUFFER_BYTES: usize = HEAD_BYTES + NAME_BYTES + DATAGRAM_BYTES;
const BUFFER_STRIDE: usize = BUFFER_BYTES.next_multiple_of(64);

/// Datagrams taken from one socket in a turn, as many as its buffer holds: of a flood the rest stays
/// in the kernel.
const BURST: u32 = 256;

/// Calls in one turn, and one more for each open socket: the kernel serves 20 sockets in each, and
/// a socket that found no buffer is asked again.
const LOOKS: usize = 64;

/// The group of our buffers: there is one.
const GROUP: u16 = 0;

/// What requests are, in the two highest bits of their mark.
const KIND_SHIFT: u32 = 62;
const RECEIVE: u64 = 0;
const SEND: u64 = 1;
const OTHER: u64 = 2;

/// Bits of a generation; 30 of them wrap after a billion calls on one port.
const GENERATION_MASK: u32 = (1 << 30) - 1;

/// How a socket is read.
///
/// | | open | close | ended | too much | begin |
/// |---|---|---|---|---|---|
/// | Closed | Armed | | | | |
/// | Armed | | Closed | Waiting | Waiting | |
/// | Waiting | | Closed | | | Armed |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Not at all.
    Closed,
    /// The kernel has a request for it.
    Armed,
    /// It is to get a request again.
    Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    state: State,
    /// Of its last request: what comes under an older one was for an earlier call.
    generation: u32,
    /// The last turn in which something came, and how much.
    turn: u64,
    burst: u32,
}

/// A completed receive request, or a part of one.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    mark: u64,
    result: i32,
    flags: u32,
}

/// A datagram on its way out.
struct Slot {
    bytes: [u8; DATAGRAM_BYTES],
    to: SockAddr,
}

/// The ring of one thread, for sockets by number.
pub(super) struct Uring {
    /// Closed before the memory it points to is given back: see `drop`.
    ring: IoUring,
    buffers: Buffers,
    /// What all receive requests share: how much room the sender's address has.
    header: Box<libc::msghdr>,
    slots: Box<[Slot]>,
    /// Slots that nothing on its way out is in.
    free: Vec<u16>,
    sockets: Vec<Socket>,
    /// Sockets to be armed at the next turn.
    waiting: Vec<u32>,
    /// Sockets to be armed as soon as there are buffers.
    starved: Vec<u32>,
    /// Requests to be cancelled for which there was no room.
    uncancelled: Vec<u64>,
    arrived: VecDeque<Arrival>,
    /// The buffer that is being looked at.
    lent: Option<u16>,
    /// Turns so far.
    turn: u64,
    /// Calls left in this one.
    looks: usize,
    open: usize,
    /// Receive requests that the kernel has not ended.
    armed: usize,
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("open", &self.open)
            .field("armed", &self.armed)
            .field("sending", &(self.slots.len() - self.free.len()))
            .finish_non_exhaustive()
    }
}

impl Uring {
    /// A ring for these sockets, which must outlive it. It belongs to the calling thread.
    ///
    /// # Errors
    /// When the kernel has no `io_uring`, forbids it, or is older than 6.1.
    pub(super) fn new(sockets: &[UdpSocket]) -> io::Result<Self> {
        let buffers = sockets.len().next_power_of_two();
        let buffers = buffers.clamp(BUFFERS_MIN, BUFFERS_MAX);
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            // All that can complete between two looks: every buffer, every send, every socket's end.
            .setup_cqsize((buffers * 2 + REQUESTS as usize).next_power_of_two() as u32)
            .setup_clamp()
            .build(REQUESTS)?;
        let descriptors: Vec<_> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
        ring.submitter().register_files(&descriptors)?;
        let mut buffers = Buffers::new(buffers);
        // SAFETY: the entries are page-aligned, live and zeroed, there are as many as stated, and they
        // are given back only after the ring: see `drop`.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.entries.as_ptr() as u64,
                buffers.count as u16,
                GROUP,
                0,
            )?;
        }
        for _ in 0..BUFFERS_FIRST {
            buffers.add();
        }
        buffers.publish();
        // SAFETY: all-zero bytes are a valid `msghdr`: plain C data.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_BYTES as libc::socklen_t;
        let nowhere = SockAddr::from(SocketAddr::from(([0; 4], 0)));
        let slots = (0..REQUESTS).map(|_| Slot {
            bytes: [0; DATAGRAM_BYTES],
            to: nowhere.clone(),
        });
        let closed = Socket {
            state: State::Closed,
            generation: 0,
            turn: 0,
            burst: 0,
        };
        Ok(Self {
            ring,
            buffers,
            header,
            slots: slots.collect(),
            free: (0..REQUESTS as u16).rev().collect(),
            sockets: vec![closed; sockets.len()],
            waiting: Vec::new(),
            starved: Vec::new(),
            uncancelled: Vec::new(),
            arrived: VecDeque::new(),
            lent: None,
            turn: 0,
            looks: 0,
            open: 0,
            armed: 0,
        })
    }

    /// Begins to read a socket.
    pub(super) fn open(&mut self, number: usize) {
        if self.sockets[number].state != State::Closed {
            return;
        }
        self.open += 1;
        if self.buffers.used < BUFFERS_FIRST + self.open / 2 {
            self.buffers.add();
        }
        self.arm(number);
    }

    /// Reads it no longer.
    pub(super) fn close(&mut self, number: usize) {
        match self.sockets[number].state {
            State::Closed => return,
            State::Armed => self.cancel(receive_mark(number, self.sockets[number].generation)),
            State::Waiting => {}
        }
        self.sockets[number].state = State::Closed;
        self.open -= 1;
    }

    /// Begins a turn.
    pub(super) fn begin(&mut self) {
        self.turn += 1;
        self.looks = LOOKS + self.open;
        for mark in std::mem::take(&mut self.uncancelled) {
            self.cancel(mark);
        }
        for number in std::mem::take(&mut self.waiting) {
            self.arm_again(number);
        }
        self.look();
    }

    /// The next datagram.
    pub(super) fn take_next(&mut self) -> Option<Datagram<'_>> {
        loop {
            if let Some(buffer) = self.lent.take() {
                self.buffers.give(buffer);
            }
            let Some(arrival) = self.arrived.pop_front() else {
                if self.look_again() {
                    continue;
                }
                return None;
            };
            let Some((number, buffer, length)) = self.arrival(arrival) else {
                continue;
            };
            self.lent = Some(buffer);
            let Some(from) = sender(self.buffers.bytes(buffer, length), &self.header) else {
                continue;
            };
            return Some(Datagram {
                socket: number,
                from,
                bytes: &self.buffers.bytes(buffer, length)[HEAD_BYTES + NAME_BYTES..],
            });
        }
    }

    /// Looks for more once everything is read, if there may be some.
    fn look_again(&mut self) -> bool {
        if self.looks == 0 || (self.starved.is_empty() && !self.has_work()) {
            self.waiting.append(&mut self.starved);
            self.buffers.publish();
            return false;
        }
        self.looks -= 1;
        for number in std::mem::take(&mut self.starved) {
            self.arm_again(number);
        }
        self.look();
        true
    }

    /// Whether the kernel has something for us that it does or tells only when it is called.
    fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// What a completion means: the socket, the buffer and how much of it is filled, if it brings a
    /// datagram of a session that is there.
    fn arrival(&mut self, arrival: Arrival) -> Option<(usize, u16, usize)> {
        let number = arrival.mark as u32;
        let generation = (arrival.mark >> 32) as u32 & GENERATION_MASK;
        let more = cqueue::more(arrival.flags);
        let socket = &mut self.sockets[number as usize];
        let ours = socket.generation == generation && socket.state == State::Armed;
        if !more {
            self.armed -= 1;
            if ours {
                socket.state = State::Waiting;
                if arrival.result == -libc::ENOBUFS || arrival.result >= 0 {
                    // Nothing is wrong with it: there was no buffer, or no room for completions.
                    self.starved.push(number);
                } else {
                    self.waiting.push(number);
                }
            }
        }
        let buffer = cqueue::buffer_select(arrival.flags)?;
        let length = usize::try_from(arrival.result).ok();
        let (true, Some(length)) = (ours, length) else {
            self.buffers.give(buffer);
            return None;
        };
        if socket.turn != self.turn {
            (socket.turn, socket.burst) = (self.turn, 0);
        }
        socket.burst += 1;
        if more && socket.burst == BURST {
            // A flood: the rest stays where it is until the next turn.
            socket.state = State::Waiting;
            self.waiting.push(number);
            self.cancel(arrival.mark);
        }
        Some((number as usize, buffer, length))
    }

    /// Takes a datagram that is to be sent.
    pub(super) fn send(&mut self, number: usize, to: SocketAddr, bytes: &[u8]) {
        if self.free.is_empty() {
            self.flush();
        }
        // The kernel is done with a send when the call returns; were it not, this is a full network.
        let Some(slot) = self.free.pop() else {
            return;
        };
        let held = &mut self.slots[usize::from(slot)];
        held.bytes[..bytes.len()].copy_from_slice(bytes);
        held.to = SockAddr::from(to);
        let entry = opcode::Send::new(
            Fixed(number as u32),
            held.bytes.as_ptr(),
            bytes.len() as u32,
        )
        .flags(libc::MSG_DONTWAIT)
        .dest_addr(held.to.as_ptr().cast())
        .dest_addr_len(held.to.len())
        .build()
        .user_data(SEND << KIND_SHIFT | u64::from(slot));
        // SAFETY: bytes and address lie in a slot on the heap, which is not written to again until
        // this request is completed, and not given back before the ring is closed.
        if !unsafe { self.push(&entry) } {
            self.free.push(slot);
        }
    }

    /// Hands everything over that is to be sent.
    pub(super) fn flush(&mut self) {
        if self.ring.submission().is_empty() {
            return;
        }
        self.enter(EnterFlags::empty());
        self.reap();
    }

    fn arm_again(&mut self, number: u32) {
        let number = number as usize;
        if self.sockets[number].state == State::Waiting {
            self.arm(number);
        }
    }

    fn arm(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        socket.generation = (socket.generation + 1) & GENERATION_MASK;
        socket.state = State::Armed;
        let entry = opcode::RecvMsgMulti::new(Fixed(number as u32), &raw const *self.header, GROUP)
            .build()
            .user_data(receive_mark(number, socket.generation));
        // SAFETY: the header and the buffers of the group are given back only after the ring.
        if unsafe { self.push(&entry) } {
            self.armed += 1;
        } else {
            self.sockets[number].state = State::Waiting;
            self.waiting.push(number as u32);
        }
    }

    /// Ends a receive request; what it still brings is thrown away.
    fn cancel(&mut self, mark: u64) {
        let entry = opcode::AsyncCancel::new(mark)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(OTHER << KIND_SHIFT);
        // SAFETY: a cancellation points to nothing.
        if !unsafe { self.push(&entry) } {
            self.uncancelled.push(mark);
        }
    }

    /// Adds a request; false if there is no room even after all others were handed over.
    ///
    /// # Safety
    /// What the request points to must live until it is completed.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        if self.ring.submission().is_full() {
            self.flush();
        }
        // SAFETY: the caller's promise.
        unsafe { self.ring.submission().push(entry).is_ok() }
    }

    /// Lets the kernel work, and takes what it has for us.
    fn look(&mut self) {
        self.buffers.publish();
        if self.has_work() || !self.ring.submission().is_empty() {
            self.enter(EnterFlags::GETEVENTS);
        }
        self.reap();
    }

    fn enter(&mut self, flags: EnterFlags) {
        // An interrupted call is made again; any other error leaves the requests for the next one.
        for _ in 0..4 {
            let count = self.ring.submission().len() as u32;
            // SAFETY: without an argument the call follows no pointers but those of the requests,
            // whose targets live: see `push`.
            let entered = unsafe {
                let submitter = self.ring.submitter();
                submitter.enter::<libc::sigset_t>(count, 0, flags.bits(), None)
            };
            match entered {
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => self.reap(),
                Ok(_) | Err(_) => break,
            }
        }
    }

    /// Takes all completions.
    fn reap(&mut self) {
        for entry in self.ring.completion() {
            let mark = entry.user_data();
            match mark >> KIND_SHIFT {
                SEND => self.free.push(mark as u16),
                RECEIVE => self.arrived.push_back(Arrival {
                    mark,
                    result: entry.result(),
                    flags: entry.flags(),
                }),
                _ => {}
            }
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The kernel must be done with our memory before it is given back. What was never handed over
        // could not be cancelled.
        self.enter(EnterFlags::empty());
        let cancelled = self
            .ring
            .submitter()
            .register_sync_cancel(None, CancelBuilder::any());
        for _ in 0..LOOKS + self.open {
            self.enter(EnterFlags::GETEVENTS);
            self.reap();
            while let Some(arrival) = self.arrived.pop_front() {
                if !cqueue::more(arrival.flags) {
                    self.armed -= 1;
                }
            }
            if self.armed == 0 && self.free.len() == self.slots.len() {
                // The ring itself goes later, and its hold on the sockets with it.
                drop(self.ring.submitter().unregister_files());
                return;
            }
        }
        tracing::debug!(?cancelled, "a ring did not become idle: its memory is kept");
        self.buffers.keep = true;
        std::mem::forget(std::mem::take(&mut self.slots));
        Box::leak(std::mem::replace(
            &mut self.header,
            // SAFETY: all-zero bytes are a valid `msghdr`: plain C data.
            Box::new(unsafe { std::mem::zeroed() }),
        ));
    }
}

fn receive_mark(number: usize, generation: u32) -> u64 {
    RECEIVE << KIND_SHIFT | u64::from(generation) << 32 | number as u64
}

/// Who sent what is in a buffer; `None` if it was cut, or is nothing we know.
fn sender(bytes: &[u8], header: &libc::msghdr) -> Option<SocketAddr> {
    let out = RecvMsgOut::parse(bytes, header).ok()?;
    if out.is_payload_truncated() || out.is_name_data_truncated() {
        return None;
    }
    // `struct sockaddr_in` and `sockaddr_in6`: the family in the machine's order, the rest as sent.
    let name = out.name_data();
    let (family, rest) = name.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let ip = rest.first_chunk::<4>()?;
            Some(SocketAddrV4::new((*ip).into(), port).into())
        }
        libc::AF_INET6 => {
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(*rest.first_chunk::<4>()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, 0, scope).into())
        }
        _ => None,
    }
}

/// The buffers that the kernel fills, and the ring by which it is given them.
struct Buffers {
    /// `count` entries at a page boundary. The kernel reads them; the tail lies in the first one.
    entries: NonNull<BufRingEntry>,
    /// `count` times [`BUFFER_STRIDE`]. Pages that were never used take no memory.
    memory: NonNull<u8>,
    count: usize,
    /// Buffers in use so far; the others have never been given to the kernel.
    used: usize,
    tail: u16,
    /// Not to be given back.
    keep: bool,
}

impl Buffers {
    /// `count` is a power of two.
    fn new(count: usize) -> Self {
        assert!(count.is_power_of_two() && count <= BUFFERS_MAX);
        let (entries, memory) = (Self::entries_layout(count), Self::memory_layout(count));
        // SAFETY: neither layout has a size of zero.
        let (entries_at, memory_at) = unsafe { (alloc_zeroed(entries), alloc_zeroed(memory)) };
        let Some(entries_at) = NonNull::new(entries_at) else {
            handle_alloc_error(entries);
        };
        let Some(memory_at) = NonNull::new(memory_at) else {
            handle_alloc_error(memory);
        };
        Self {
            entries: entries_at.cast(),
            memory: memory_at,
            count,
            used: 0,
            tail: 0,
            keep: false,
        }
    }

    fn entries_layout(count: usize) -> Layout {
        let bytes = count * size_of::<BufRingEntry>();
        Layout::from_size_align(bytes, 4_096).expect("invariant: half a megabyte at most")
    }

    fn memory_layout(count: usize) -> Layout {
        Layout::from_size_align(count * BUFFER_STRIDE, 64).expect("invariant: 52 MB at most")
    }

    /// Gives the kernel one more, if there is one.
    fn add(&mut self) {
        if self.used < self.count {
            self.give(self.used as u16);
            self.used += 1;
        }
    }

    /// Gives the kernel a buffer; it sees it after [`Self::publish`].
    fn give(&mut self, buffer: u16) {
        let at = usize::from(self.tail) & (self.count - 1);
        assert!(usize::from(buffer) < self.count);
        // SAFETY: both offsets are below `count`, so they stay within the two allocations. The kernel
        // does not look at this entry before the tail says so, and no other reference to it exists.
        unsafe {
            let address = self.memory.add(usize::from(buffer) * BUFFER_STRIDE);
            let entry = &mut *self.entries.add(at).as_ptr();
            entry.set_addr(address.as_ptr() as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see the buffers that were given to it.
    fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry, which is live and aligned; it is written by
        // nobody else, and `give` leaves this field of an entry alone.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// What the kernel wrote into a buffer.
    fn bytes(&self, buffer: u16, length: usize) -> &[u8] {
        assert!(usize::from(buffer) < self.count && length <= BUFFER_BYTES);
        // SAFETY: within the allocation by the line above; it was zeroed, and the kernel, which has
        // said that it is done with this buffer, does not write to it until it is given back.
        unsafe {
            let at = self.memory.add(usize::from(buffer) * BUFFER_STRIDE);
            std::slice::from_raw_parts(at.as_ptr(), length)
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // SAFETY: both were allocated with these layouts, and the ring that knew them is idle.
        unsafe {
            dealloc(
                self.entries.as_ptr().cast(),
                Self::entries_layout(self.count),
            );
            dealloc(self.memory.as_ptr(), Self::memory_layout(self.count));
        }
    }
}
