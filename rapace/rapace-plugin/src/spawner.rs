//! One thread that starts all plugin processes.
//!
//! Linux binds the parent-death signal to the *thread* that forked, and threads of an async
//! runtime come and go: tokio's blocking threads end after ten idle seconds, and a runtime may be
//! shut down while the plugin of another one lives. This thread ends with the process, so the
//! signal means what it should. It sleeps unless a plugin is being started.

use std::io;
use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The way to the thread, once it has been started. The sender is never dropped, so the thread
/// never ends.
static SPAWNER: Mutex<Option<Sender<Job>>> = Mutex::new(None);

struct Job {
    command: Command,
    runtime: Handle,
    done: oneshot::Sender<io::Result<Child>>,
}

/// Starts a process. It is killed when the [`Child`] is dropped, which also happens when this
/// future is.
///
/// Must be called in a tokio runtime with I/O enabled.
pub(crate) async fn spawn(command: Command) -> io::Result<Child> {
    let (done, spawned) = oneshot::channel();
    submit(Job {
        command,
        runtime: Handle::current(),
        done,
    })?;
    spawned.await.unwrap_or_else(|_| {
        Err(io::Error::other(
            "the tokio runtime cannot watch the process",
        ))
    })
}

fn submit(job: Job) -> io::Result<()> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    let job = match &*spawner {
        Some(jobs) => match jobs.send(job) {
            Ok(()) => return Ok(()),
            Err(rejected) => rejected.0,
        },
        None => job,
    };
    let (jobs, queue) = channel::<Job>();
    std::thread::Builder::new()
        .name("rapace-spawner".into())
        .spawn(move || {
            for job in queue {
                // A runtime that is being shut down panics when something is registered with it.
                // This thread must outlive that: all plugins of the process die with it.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(|| job.run()));
            }
        })?;
    // The thread holds the receiver and has not ended, so this cannot fail; if it did, the
    // caller's `spawned` would say so.
    let _ = jobs.send(job);
    *spawner = Some(jobs);
    Ok(())
}

impl Job {
    fn run(self) {
        let Job {
            command,
            runtime,
            done,
        } = self;
        let entered = runtime.enter();
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let spawned = command.spawn();
        drop(entered);
        // The child's end of the link is in here; the plugin's death is only seen once no copy
        // of it is left in this process.
        drop(command);
        let _ = done.send(spawned);
    }
}
