//! A memory of bounded size that forgets.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Values that are remembered for a while, at most so many of them.
#[derive(Debug)]
pub struct Memory<K, V> {
    most: usize,
    entries: HashMap<K, (Instant, V)>,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    /// An empty memory for at most so many values.
    pub fn new(most: usize) -> Self {
        Memory { most, entries: HashMap::new() }
    }

    /// The value, while it may be used.
    pub fn get(&self, key: &K, now: Instant) -> Option<V> {
        let (until, value) = self.entries.get(key)?;
        (now < *until).then(|| value.clone())
    }

    /// Remembers a value that was true at `since`, for a while from then. Where there is no room, that which would be
    /// forgotten first goes.
    pub fn put(&mut self, key: K, value: V, since: Instant, during: Duration) {
        if !self.entries.contains_key(&key) && self.entries.len() >= self.most {
            self.sweep(since);
            if self.entries.len() >= self.most {
                let first = self.entries.iter().min_by_key(|(_, (until, _))| *until);
                if let Some(first) = first.map(|(key, _)| key.clone()) {
                    self.entries.remove(&first);
                }
            }
        }
        self.entries.insert(key, (since + during, value));
    }

    /// Forgets what may not be used any more.
    pub fn sweep(&mut self, now: Instant) {
        self.entries.retain(|_, (until, _)| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHILE: Duration = Duration::from_secs(10);

    #[test]
    fn a_value_is_forgotten_after_a_while() {
        let start = Instant::now();
        let mut memory = Memory::new(2);
        memory.put("a", 1, start, WHILE);
        assert_eq!(memory.get(&"a", start + WHILE - Duration::from_nanos(1)), Some(1));
        assert_eq!(memory.get(&"a", start + WHILE), None);
        memory.sweep(start + WHILE);
        assert!(memory.entries.is_empty());
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let start = Instant::now();
        let mut memory = Memory::new(2);
        let later = |seconds| start + Duration::from_secs(seconds);
        memory.put("b", 2, later(1), WHILE);
        memory.put("a", 1, later(0), WHILE);
        memory.put("b", 3, later(2), WHILE);
        memory.put("c", 4, later(3), WHILE);
        assert_eq!(memory.get(&"a", later(3)), None, "the one that had the least time left is gone");
        assert_eq!((memory.get(&"b", later(3)), memory.get(&"c", later(3))), (Some(3), Some(4)));
        memory.put("d", 5, later(12), WHILE);
        assert_eq!(memory.entries.len(), 2, "what is too old makes room first");
        assert_eq!((memory.get(&"c", later(12)), memory.get(&"d", later(12))), (Some(4), Some(5)));
    }
}
