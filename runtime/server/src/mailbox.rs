//! A bounded queue into a thread that sleeps in a poll of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Wakes the owner of a mailbox; called once each time it becomes non-empty.
type Wake = Box<dyn Fn() + Send + Sync>;

/// A bounded queue with many senders and one owner. Clones share it.
pub struct Mailbox<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    queue: Mutex<VecDeque<T>>,
    room: Condvar,
    capacity: usize,
    wake: Wake,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> std::fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox")
            .field("capacity", &self.inner.capacity)
            .finish_non_exhaustive()
    }
}

impl<T> Mailbox<T> {
    /// A mailbox for at most `capacity` messages.
    pub fn new(capacity: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let inner = Inner {
            queue: Mutex::new(VecDeque::new()),
            room: Condvar::new(),
            capacity,
            wake: Box::new(wake),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Puts a message in; waits while the mailbox is full.
    pub fn send(&self, message: T) {
        let mut queue = self.lock();
        while queue.len() >= self.inner.capacity {
            queue = self
                .inner
                .room
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let first = queue.is_empty();
        queue.push_back(message);
        drop(queue);
        if first {
            (self.inner.wake)();
        }
    }

    /// Puts a message in if there is room, else gives it back.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        let mut queue = self.lock();
        if queue.len() >= self.inner.capacity {
            return Err(message);
        }
        let first = queue.is_empty();
        queue.push_back(message);
        drop(queue);
        if first {
            (self.inner.wake)();
        }
        Ok(())
    }

    /// Takes everything out, in order.
    pub fn drain(&self) -> VecDeque<T> {
        let mut queue = self.lock();
        let full = queue.len() >= self.inner.capacity;
        let all = std::mem::take(&mut *queue);
        drop(queue);
        if full {
            self.inner.room.notify_all();
        }
        all
    }

    /// Messages waiting.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.inner
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_is_bounded_ordered_and_wakes_once() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let mailbox = Mailbox::new(2, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(mailbox.try_send(1), Ok(()));
        assert_eq!(mailbox.try_send(2), Ok(()));
        assert_eq!(mailbox.try_send(3), Err(3));
        assert_eq!(mailbox.drain(), [1, 2]);
        assert_eq!(mailbox.try_send(4), Ok(()));
        assert_eq!((woken.load(Ordering::Relaxed), mailbox.len()), (2, 1));
    }
}
