//! Rows that may be millions.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::thread;

/// So many are freed at once.
const FEW: usize = 1 << 14;

/// Items that are freed by a thread of their own where they are many.
///
/// To free millions of rows takes longer than somebody who ended a query likes to wait.
#[derive(Debug)]
pub struct Many<T: Send + 'static>(Vec<T>);

impl<T: Send + 'static> Many<T> {
    /// The items, from now on freed as others are.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<T> {
        mem::take(&mut self.0)
    }
}

impl<T: Send + 'static> From<Vec<T>> for Many<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T: Send + 'static> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Send + 'static> Deref for Many<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T: Send + 'static> DerefMut for Many<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Send + 'static> Drop for Many<T> {
    fn drop(&mut self) {
        if self.0.len() > FEW {
            let items = mem::take(&mut self.0);
            // Where no thread starts, what it was to free is freed here.
            drop(thread::Builder::new().spawn(move || drop(items)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use std::thread::ThreadId;

    /// Says where it was freed.
    struct Item(Sender<ThreadId>);

    impl Drop for Item {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn many_are_freed_elsewhere_and_few_at_once() {
        let here = thread::current().id();
        for (count, elsewhere) in [(FEW, false), (FEW + 1, true)] {
            let (sender, freed) = channel();
            let items: Vec<_> = (0..count).map(|_| Item(sender.clone())).collect();
            drop(Many::from(items));
            drop(sender);
            let freed: Vec<_> = freed.iter().collect();
            assert_eq!(freed.len(), count);
            assert!(freed.iter().all(|thread| (*thread != here) == elsewhere), "{count}");
        }
        let (sender, freed) = channel();
        let items: Vec<_> = (0..=FEW).map(|_| Item(sender.clone())).collect();
        drop(Many::from(items).into_vec());
        assert_eq!(freed.try_iter().filter(|thread| *thread == here).count(), FEW + 1);
    }
}
