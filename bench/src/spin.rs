//! Keeps every core from halting while measuring.
//!
//! An idle core halts, and waking it goes through the hypervisor in a virtual machine: the same
//! round trip then takes 5 µs in one run and 66 in the next. One thread per core of the scheduling
//! class `SCHED_IDLE` runs only when nothing else wants the core, and gives it up at once. It is a
//! process of its own, so that its CPU time is not counted as a peer's.

use std::hint::black_box;
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

use crate::child::Process;
use crate::cores::{self, Cores};

const SPINNING: &str = "spinning";

/// Spins until dropped.
pub(crate) struct Spinner {
    _process: Process,
}

impl Spinner {
    /// Returns once every core has its spinner.
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = Process::start(command.arg("spin"))?;
        process
            .expect(SPINNING)
            .context("keep the cores from halting; --no-spin does without")?;
        Ok(Self { _process: process })
    }
}

/// The spinner process itself: ends when its stdin closes.
pub(crate) fn spin() -> Result<()> {
    for core in Cores::allowed()?.iter() {
        let (report, ready) = mpsc::channel();
        std::thread::spawn(move || {
            let settled = settle_on(core);
            let failed = settled.is_err();
            // The other side waits for exactly this.
            let _ = report.send(settled);
            if failed {
                return;
            }
            let mut turns = 0_u64;
            loop {
                // Not `spin_loop`: a hypervisor takes the core away from who pauses much.
                turns = black_box(turns).wrapping_add(1);
            }
        });
        ready
            .recv()?
            .with_context(|| format!("spin on core {core}"))?;
    }
    println!("{SPINNING}");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

fn settle_on(core: usize) -> Result<()> {
    cores::stay_on([core])?;
    // At normal priority it would take half of the core.
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
        .map_err(|error| anyhow::anyhow!("SCHED_IDLE was refused: {error:?}"))
}
