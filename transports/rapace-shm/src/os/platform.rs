//! This system as one [`Platform`].

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep};

use super::{Bell, Mapping, Socket};
use crate::{Alarm, Platform};

/// The operating system that this program runs on, under a tokio runtime.
#[derive(Clone, Copy, Debug)]
pub struct Os;

impl Platform for Os {
    type Memory = Mapping;
    type Doorbell = Bell;
    type Control = Socket;

    /// `CLOCK_MONOTONIC`: the same in every process of the machine.
    #[inline]
    fn now_ns() -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        // Counted from the start of the system, so neither part is negative.
        now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
    }

    #[inline]
    fn processor() -> Option<u64> {
        #[cfg(target_os = "linux")]
        return Some(rustix::thread::sched_getcpu() as u64);
        #[cfg(not(target_os = "linux"))]
        None
    }

    fn yield_now(cx: &mut Context<'_>) {
        // Polled once, it leaves the waker with the runtime; what is left of it does nothing.
        let mut yielded = std::pin::pin!(tokio::task::yield_now());
        if yielded.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    fn alarm() -> Box<dyn Alarm> {
        Box::new(TokioAlarm {
            sleep: None,
            on: false,
        })
    }
}

/// An alarm of the runtime. Most links never grow, so the timer is made when it is first set.
struct TokioAlarm {
    sleep: Option<Pin<Box<Sleep>>>,
    on: bool,
}

impl Alarm for TokioAlarm {
    fn set(&mut self, after: Option<Duration>) {
        self.on = after.is_some();
        let Some(after) = after else { return };
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + after),
            None => self.sleep = Some(Box::pin(tokio::time::sleep(after))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.on => {
                ready!(sleep.as_mut().poll(cx));
                self.on = false;
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn an_alarm_goes_off_once_each_time_it_is_set() {
        let mut alarm = Os::alarm();
        for _ in 0..2 {
            alarm.set(Some(Duration::from_millis(2)));
            poll_fn(|cx| alarm.poll(cx)).await;
            let again = poll_fn(|cx| Poll::Ready(alarm.poll(cx).is_pending())).await;
            assert!(again, "it rang twice");
        }
        alarm.set(Some(Duration::ZERO));
        alarm.set(None);
        let off = tokio::time::timeout(Duration::from_millis(20), poll_fn(|cx| alarm.poll(cx)));
        assert!(off.await.is_err(), "an alarm that is off went off");
    }

    #[test]
    fn the_clock_is_the_one_of_the_system() {
        let before = Os::now_ns();
        std::thread::sleep(Duration::from_millis(2));
        let passed = Os::now_ns() - before;
        assert!((2_000_000..10_000_000_000).contains(&passed), "{passed}");
    }
}
