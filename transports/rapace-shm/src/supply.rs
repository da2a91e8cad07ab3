//! Payload memory for those who send: from the heap of the own lane, and the heap's from the system.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use rapace_transport::LinkError;

use crate::control::{Control, Outgoing, Platform};
use crate::heap::{Heap, Purpose, Wish};
use crate::shared::{Shared, lock};

impl<P: Platform> Shared<P> {
    /// A slot of `bytes`, or `None` when that means waiting.
    pub(crate) fn allocate(
        &self,
        bytes: usize,
        purpose: Purpose,
    ) -> Result<Option<u32>, LinkError> {
        let mut heap = lock(&self.heap);
        let mut grown = false;
        let slot = loop {
            let wish = heap.wish(&*self.peer, bytes, purpose);
            match wish.map_err(|what| self.corrupt(what))? {
                Wish::Granted(slot) => break Some(slot),
                Wish::Grow { generous, exact } => {
                    // Making memory takes the system milliseconds, and others need the heap
                    // meanwhile.
                    heap.begin_growth(generous);
                    drop(heap);
                    let made = self.make(generous, exact);
                    heap = lock(&self.heap);
                    heap.end_growth(generous);
                    let Some(memory) = made else {
                        if !heap.could_hold(bytes) {
                            self.bear_shortage(bytes, purpose)?;
                        }
                        break None;
                    };
                    if !self.announce(&mut heap, memory)? {
                        break None;
                    }
                    grown = true;
                }
                Wish::Crowded if self.drop_unused(&mut heap, true)? => {}
                Wish::Crowded | Wish::Full => break None,
            }
        };
        drop(heap);
        if grown {
            // It sets the alarm by which this memory is given back, and may have been asleep.
            self.waiting.source.wake();
            // Who has found the bounds reached by this growth may fit beside this payload.
            self.waiting.wake_room();
        }
        Ok(slot)
    }

    /// Memory for a further segment; `None` when the system refuses it, or has lately. Those who wait
    /// are woken when it should be asked again.
    fn make(&self, generous: usize, exact: usize) -> Option<Arc<P::Memory>> {
        let now = P::now_ns();
        let may_ask = lock(&self.shortage).may_ask(now);
        // A statement of its own: the system is asked without the lock.
        let made = may_ask.then(|| match self.control.create(generous) {
            // There may be enough for this payload and not for the ones to come.
            Err(_) if exact < generous => self.control.create(exact),
            made => made,
        });
        let mut shortage = lock(&self.shortage);
        match made {
            Some(Ok(memory)) => {
                shortage.end();
                return Some(Arc::new(memory));
            }
            Some(Err(error)) => shortage.refused(now, error.to_string().into()),
            None => {}
        }
        if shortage.unarmed().is_some() {
            self.short.store(true, Ordering::Release);
            drop(shortage);
            // It sets the alarm, and may be asleep.
            self.waiting.source.wake();
        }
        None
    }

    /// Whether to go on waiting although nothing that is returned could help.
    fn bear_shortage(&self, bytes: usize, purpose: Purpose) -> Result<(), LinkError> {
        let Some((lasting_ns, why)) = lock(&self.shortage).lasting(P::now_ns()) else {
            return Ok(());
        };
        let timeout = self.config.memory_timeout;
        if u128::from(lasting_ns) < timeout.as_nanos() {
            return Ok(());
        }
        let what = format!("the system has refused {bytes} bytes for {timeout:?}: {why}");
        let error = LinkError::NoMemory(what.into());
        Err(match purpose {
            // What stands behind it in the order of the link could never be sent.
            Purpose::Frame => self.end(error),
            Purpose::Loan => error,
        })
    }

    /// Takes a further segment into use, once the peer was told; `false` when that means waiting.
    fn announce(
        &self,
        heap: &mut Heap<Arc<P::Memory>>,
        memory: Arc<P::Memory>,
    ) -> Result<bool, LinkError> {
        let message = Outgoing::Segment {
            serial: heap.next_serial(),
            memory: &*memory,
        };
        let sent = self.send_control(&message)?;
        if sent {
            heap.grow(memory);
        }
        Ok(sent)
    }

    /// Gives segments back to the system that nothing is in; says whether there were any.
    pub(crate) fn drop_unused(
        &self,
        heap: &mut Heap<Arc<P::Memory>>,
        pressed: bool,
    ) -> Result<bool, LinkError> {
        let mut any = false;
        while let Some((serial, memory)) = heap.take_unused(pressed) {
            if !self.send_control(&Outgoing::Drop { serial })? {
                heap.put_back(serial, memory);
                break;
            }
            any = true;
        }
        Ok(any)
    }

    /// Sends on the control channel; `false` when the peer does not read it now.
    fn send_control(&self, message: &Outgoing<'_, P::Memory>) -> Result<bool, LinkError> {
        let mut cx = Context::from_waker(&self.waiting_waker);
        match self.control.poll_send(&mut cx, message) {
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => {
                // A peer that is gone is seen by the source, which knows more about it.
                self.poll_control()?;
                match self.peer_ending() {
                    Some(_) => Ok(false),
                    None => Err(self.failed(&error)),
                }
            }
        }
    }

    /// Frees a slot that this side held.
    pub(crate) fn let_go(&self, slot: u32) {
        lock(&self.heap).let_go(slot);
        self.waiting.wake_room();
    }
}
