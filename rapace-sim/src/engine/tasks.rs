//! The tasks of a world.

use std::sync::Arc;
use std::task::Waker;

use rapace_session::runtime::Task;

use super::ready::{TaskId, TaskWaker};

/// What a task is to its process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskKind {
    /// Runs as long as its process or session does: drivers, supervisors. It need not end before
    /// a world is quiet.
    Daemon,
    /// Ends by itself: main functions, handlers, what they spawn.
    Work,
}

/// A task and whose it is.
pub(crate) struct TaskEntry {
    pub(crate) process: usize,
    pub(crate) life: u32,
    pub(crate) kind: TaskKind,
    pub(crate) name: &'static str,
    pub(crate) waker: Waker,
    pub(crate) cell: Arc<TaskWaker>,
    /// Away while it is being polled.
    pub(crate) future: Option<Task>,
}

struct Slot {
    birth: u32,
    entry: Option<TaskEntry>,
}

/// All tasks of a world, in a table whose places are used again.
#[derive(Default)]
pub(crate) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Tasks {
    /// A place for a task that is about to be made.
    pub(crate) fn reserve(&mut self) -> TaskId {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.birth += 1;
            return TaskId {
                index,
                birth: slot.birth,
            };
        }
        self.slots.push(Slot {
            birth: 0,
            entry: None,
        });
        TaskId {
            index: self.slots.len() as u32 - 1,
            birth: 0,
        }
    }

    pub(crate) fn put(&mut self, id: TaskId, entry: TaskEntry) {
        self.slots[id.index as usize].entry = Some(entry);
    }

    /// The task, unless it has ended.
    pub(crate) fn entry(&mut self, id: TaskId) -> Option<&mut TaskEntry> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.birth == id.birth {
            slot.entry.as_mut()
        } else {
            None
        }
    }

    /// Takes a task out for good.
    pub(crate) fn remove(&mut self, id: TaskId) -> Option<TaskEntry> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.birth != id.birth {
            return None;
        }
        let entry = slot.entry.take()?;
        self.free.push(id.index);
        Some(entry)
    }

    /// Takes out all tasks that `whose` picks; in the order of their places.
    pub(crate) fn remove_all(&mut self, whose: impl Fn(&TaskEntry) -> bool) -> Vec<TaskEntry> {
        let mut gone = Vec::new();
        for index in 0..self.slots.len() {
            if self.slots[index].entry.as_ref().is_some_and(&whose) {
                gone.extend(self.slots[index].entry.take());
                self.free.push(index as u32);
            }
        }
        gone
    }

    /// Those that still run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskEntry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }
}
