//! Simulated memory: words that two processes see, and what a death leaves of the last ones.
//!
//! Everything that is stored is there at once. What is remembered besides is which words were stored
//! since the last store with release order (or fence, or call into the system): a compiler may have
//! put those off, so that a process that dies may leave any subset of them. Once the other process
//! has looked, they are settled: what was seen cannot be taken back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rapace_shm::Memory;
use rapace_shm::layout::HEAD;

use super::{Flaw, Tear};
use crate::draw::{Purpose, draw};
use crate::engine::process::LifeCell;

/// The words of one memory file.
pub(crate) struct Words(Box<[AtomicU64]>);

impl Words {
    pub(crate) fn zeros(bytes: usize) -> Arc<Self> {
        let words = (0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0));
        Arc::new(Words(words.collect()))
    }

    /// Stores the word at this offset in bytes, without anybody's knowledge.
    pub(crate) fn set(&self, at: usize, value: u64) {
        self.0[at / 8].store(value, Ordering::Relaxed);
    }

    fn load(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Relaxed)
    }

    fn swap(&self, word: usize, value: u64) -> u64 {
        self.0[word].swap(value, Ordering::Relaxed)
    }
}

/// One end of a link as the writer of its memory.
pub(crate) struct Writer {
    pub(crate) life: Arc<LifeCell>,
    flaw: Flaw,
    /// There is something in the log that the other end may settle.
    unsettled: AtomicBool,
    corrupted: AtomicBool,
    log: Mutex<Log>,
    /// What its death left may be looked at, and that is written down.
    watched: AtomicBool,
    unseen: Mutex<Unseen>,
}

/// The places of stores that a death may have taken back, until somebody looks there.
#[derive(Default)]
struct Unseen {
    /// By the address of the memory, which is alive below, and the word in it.
    stores: BTreeMap<(usize, usize), Vec<u32>>,
    memories: Vec<Arc<Words>>,
}

#[derive(Default)]
struct Log {
    /// Oldest first.
    unreleased: Vec<Unreleased>,
    /// Runs of bytes that a flaw holds back.
    late: Vec<(Arc<Words>, usize, Vec<u8>)>,
    /// Words to be changed: after how many more stores, and which bits.
    corrupt: Vec<(u64, u64)>,
}

/// Neighbouring words that were stored, with what was there before.
struct Unreleased {
    words: Arc<Words>,
    first: usize,
    old: Vec<u64>,
}

impl Writer {
    pub(crate) fn new(life: Arc<LifeCell>, flaw: Flaw) -> Arc<Self> {
        Arc::new(Writer {
            life,
            flaw,
            unsettled: AtomicBool::new(false),
            corrupted: AtomicBool::new(false),
            log: Mutex::default(),
            watched: AtomicBool::new(false),
            unseen: Mutex::default(),
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was stored cannot be put off beyond this.
    pub(crate) fn settle(&self) {
        if self.unsettled.swap(false, Ordering::Relaxed) {
            self.log().unreleased.clear();
        }
    }

    /// A call into the system that others notice, at which a process can die as at a store. Says
    /// whether it takes place.
    pub(crate) fn calls_system(&self) -> bool {
        if self.life.store(1) == 0 {
            return false;
        }
        self.settle();
        true
    }

    fn store(&self, words: &Arc<Words>, at: usize, value: u64, order: Ordering) {
        if self.life.store(1) == 0 {
            return;
        }
        let releases = order == Ordering::Release && self.flaw != Flaw::RelaxedRelease;
        if releases {
            self.settle();
        }
        self.put(words, at / 8, &[value], !releases);
        if self.flaw == Flaw::PayloadAfterPublish && at == HEAD {
            let late = std::mem::take(&mut self.log().late);
            for (words, at, bytes) in late {
                self.write_now(&words, at, &bytes);
            }
        }
    }

    /// Writes a payload: descriptors and cursors are stored word by word.
    fn write(&self, words: &Arc<Words>, at: usize, bytes: &[u8]) {
        if self.flaw == Flaw::PayloadAfterPublish {
            self.log().late.push((words.clone(), at, bytes.to_vec()));
            return;
        }
        self.write_now(words, at, bytes);
    }

    fn write_now(&self, words: &Arc<Words>, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let first = at / 8;
        let mut values = Vec::with_capacity(bytes.len() / 8 + 2);
        let (mut at, mut left) = (at, bytes);
        while !left.is_empty() {
            let mut word = words.load(at / 8).to_le_bytes();
            let place = &mut word[at % 8..];
            let (here, rest) = left.split_at(place.len().min(left.len()));
            place[..here.len()].copy_from_slice(here);
            values.push(u64::from_le_bytes(word));
            at += here.len();
            left = rest;
        }
        let out = self.life.store(values.len());
        self.put(words, first, &values[..out], true);
    }

    /// Stores words, and remembers what was there if they are not settled by that.
    fn put(&self, words: &Arc<Words>, first: usize, values: &[u64], keep: bool) {
        let mut log = self.log();
        let mut old = Vec::with_capacity(if keep { values.len() } else { 0 });
        for (index, value) in values.iter().enumerate() {
            let mut value = *value;
            if !log.corrupt.is_empty() {
                value ^= log.spoil();
                if value != values[index] {
                    self.corrupted.store(true, Ordering::Relaxed);
                }
            }
            let before = words.swap(first + index, value);
            if keep {
                old.push(before);
            }
        }
        if !old.is_empty() {
            log.unreleased.push(Unreleased {
                words: words.clone(),
                first,
                old,
            });
            self.unsettled.store(true, Ordering::Relaxed);
        }
    }

    /// Changes the byte at `offset` of those stored from now on.
    pub(crate) fn corrupt(&self, offset: u64, xor: u8) {
        let bits = u64::from(xor.max(1)) << (offset % 8 * 8);
        self.log().corrupt.push((offset / 8, bits));
    }

    pub(crate) fn is_corrupted(&self) -> bool {
        self.corrupted.load(Ordering::Relaxed)
    }

    /// The process is dead: of what it had not released, some is not there. Says how many words
    /// that could concern.
    pub(crate) fn tear(&self, tear: Tear, seed: u64, label: u64) -> usize {
        self.unsettled.store(false, Ordering::Relaxed);
        let unreleased = std::mem::take(&mut self.log().unreleased);
        let stores: Vec<(&Arc<Words>, usize, u64)> = unreleased
            .iter()
            .flat_map(|run| {
                let old = run.old.iter().enumerate();
                old.map(|(index, old)| (&run.words, run.first + index, *old))
            })
            .collect();
        // A word may have been stored twice: everything is taken back, newest first, and then what
        // stays is stored again in order.
        let mut new: Vec<u64> = stores
            .iter()
            .rev()
            .map(|(words, word, old)| words.swap(*word, *old))
            .collect();
        new.reverse();
        let first = match self.life.loses() {
            Some(_) => self.life.process.count_last_stores(stores.len()),
            None => 0,
        };
        for (index, ((words, word, _), new)) in stores.iter().zip(new).enumerate() {
            let stays = match self.life.loses() {
                Some(lost) => {
                    let number = first + index as u32;
                    self.watch(words, *word, number);
                    !lost.contains(&number)
                }
                // Who ends by itself makes all of its stores.
                None if !self.life.was_killed() => true,
                None => tear.keeps(index, seed, label),
            };
            if stays {
                words.swap(*word, new);
            }
        }
        stores.len()
    }

    fn unseen(&self) -> MutexGuard<'_, Unseen> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down when somebody looks at this word.
    fn watch(&self, words: &Arc<Words>, word: usize, store: u32) {
        let mut unseen = self.unseen();
        let place = (Arc::as_ptr(words).addr(), word);
        unseen.stores.entry(place).or_default().push(store);
        if !unseen
            .memories
            .iter()
            .any(|known| Arc::ptr_eq(known, words))
        {
            unseen.memories.push(words.clone());
        }
        self.watched.store(true, Ordering::Relaxed);
    }

    /// The other end looks at so many words.
    fn looked_at(&self, words: &Arc<Words>, first: usize, count: usize) {
        self.settle();
        if !self.watched.load(Ordering::Relaxed) {
            return;
        }
        let mut unseen = self.unseen();
        for word in first..first + count {
            let place = (Arc::as_ptr(words).addr(), word);
            for store in unseen.stores.remove(&place).into_iter().flatten() {
                self.life.process.last_store_seen(store);
            }
        }
    }
}

impl Log {
    /// The bits of the word stored now that are to be changed.
    fn spoil(&mut self) -> u64 {
        let mut bits = 0;
        self.corrupt.retain_mut(|(left, xor)| {
            if *left == 0 {
                bits ^= *xor;
                return false;
            }
            *left -= 1;
            true
        });
        bits
    }
}

impl Tear {
    fn keeps(self, index: usize, seed: u64, label: u64) -> bool {
        match self {
            Tear::Nothing => true,
            Tear::Everything => false,
            Tear::Drawn => {
                // Half of all deaths leave or take everything: those are the likely ones.
                match draw(seed, Purpose::Tear, label, 0) & 3 {
                    0 => true,
                    1 => false,
                    _ => draw(seed, Purpose::Tear, label, index as u64 + 1) & 1 == 0,
                }
            }
        }
    }
}

/// A memory file in the hands of one process.
#[derive(Clone)]
pub(crate) struct Mapping {
    pub(crate) words: Arc<Words>,
    /// The end whose memory this is.
    pub(crate) owner: Arc<Writer>,
    /// Whether that is this process.
    pub(crate) writable: bool,
}

impl Mapping {
    /// What the peer gets.
    pub(crate) fn read_only(&self) -> Self {
        Mapping {
            writable: false,
            ..self.clone()
        }
    }

    fn looked_at(&self, first: usize, count: usize) {
        if !self.writable {
            self.owner.looked_at(&self.words, first, count);
        }
    }
}

impl Memory for Mapping {
    fn len_bytes(&self) -> usize {
        self.words.0.len() * 8
    }

    fn load(&self, at: usize, _: Ordering) -> u64 {
        self.looked_at(at / 8, 1);
        self.words.load(at / 8)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        assert!(self.writable, "a process stores into memory of its peer");
        self.owner.store(&self.words, at, value, order);
    }

    fn fence(&self) {
        if self.writable && !self.owner.life.is_dead() {
            self.owner.settle();
        }
    }

    fn read(&self, at: usize, out: &mut [u8]) {
        self.looked_at(at / 8, (at % 8 + out.len()).div_ceil(8));
        let mut at = at;
        let mut left = out;
        while !left.is_empty() {
            let word = self.words.load(at / 8).to_le_bytes();
            let part = &word[at % 8..];
            let (here, rest) = left.split_at_mut(part.len().min(left.len()));
            here.copy_from_slice(&part[..here.len()]);
            at += here.len();
            left = rest;
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(self.writable, "a process writes into memory of its peer");
        self.owner.write(&self.words, at, bytes);
    }
}
