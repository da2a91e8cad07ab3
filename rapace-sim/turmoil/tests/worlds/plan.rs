//! Short names for faults.

use std::time::Duration;

use rapace_sim_turmoil::{Fault, World};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Plans faults by milliseconds of virtual time.
pub(crate) trait Plan {
    fn crash(&mut self, at: u64, host: &str);
    fn bounce(&mut self, at: u64, host: &str);
    fn hold(&mut self, at: u64, a: &str, b: &str);
    fn release(&mut self, at: u64, a: &str, b: &str);
    fn partition(&mut self, at: u64, a: &str, b: &str);
    fn repair(&mut self, at: u64, a: &str, b: &str);
    fn latency(&mut self, at: u64, a: &str, b: &str, millis: u64);
}

impl Plan for World {
    fn crash(&mut self, at: u64, host: &str) {
        self.at(ms(at), Fault::Crash(host.to_owned()));
    }

    fn bounce(&mut self, at: u64, host: &str) {
        self.at(ms(at), Fault::Bounce(host.to_owned()));
    }

    fn hold(&mut self, at: u64, a: &str, b: &str) {
        self.at(ms(at), Fault::Hold(a.to_owned(), b.to_owned()));
    }

    fn release(&mut self, at: u64, a: &str, b: &str) {
        self.at(ms(at), Fault::Release(a.to_owned(), b.to_owned()));
    }

    fn partition(&mut self, at: u64, a: &str, b: &str) {
        self.at(ms(at), Fault::Partition(a.to_owned(), b.to_owned()));
    }

    fn repair(&mut self, at: u64, a: &str, b: &str) {
        self.at(ms(at), Fault::Repair(a.to_owned(), b.to_owned()));
    }

    fn latency(&mut self, at: u64, a: &str, b: &str, millis: u64) {
        self.at(
            ms(at),
            Fault::Latency(a.to_owned(), b.to_owned(), ms(millis)),
        );
    }
}
