//! The plugin of these tests, and what the tests need to start and observe it.

use std::future::Future;
use std::time::{Duration, Instant};

use rapace_plugin::{Plugin, PluginHost, Wire};
use rapace_session::{Caller, Streaming};

/// Longer than anything takes that is not stuck.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What the plugin can be asked to do.
#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Lab {
    /// Its process id.
    async fn pid(&self) -> u32;
    /// Sleeps, then returns `millis`.
    async fn nap(&self, millis: u32) -> u32;
    /// The process id, after `millis`; harmless to repeat.
    #[rapace(idempotent)]
    async fn pid_after(&self, millis: u32) -> u32;
    /// Exits with `code` after writing `last_words` to standard error.
    async fn exit(&self, code: i32, last_words: String);
    /// Writes a line to standard output and one to standard error.
    async fn print(&self, line: String);
    /// 0, 1, … then nothing more, and no end.
    async fn count_without_end(&self, n: u32) -> Streaming<u32>;
    /// Blocks the thread that runs the handler for ever.
    async fn spin(&self);
    /// Blocks a thread of the runtime's blocking pool for ever.
    async fn block(&self);
    /// What the host's desk says.
    async fn ask_host(&self, question: String) -> String;
    /// What `run` says when it is called once more.
    async fn run_again(&self) -> String;
    /// What a child of the plugin prints that takes itself for a plugin.
    async fn run_in_child(&self) -> String;
    /// How much processor time the process has used, in microseconds.
    async fn cpu_micros(&self) -> u64;
    /// What it was started with: `NAME=value` of `LAB_…` variables, and the directory.
    async fn surroundings(&self) -> Vec<String>;
}

/// What the host offers.
#[rapace_macros::service(crate = "rapace_session")]
pub(crate) trait Desk {
    /// An answer.
    async fn answer(&self, question: String) -> String;
}

pub(crate) struct Answers;

impl Desk for Answers {
    async fn answer(&self, question: String) -> String {
        format!("{question} 42.")
    }
}

struct InPlugin {
    desk: DeskClient,
}

impl Lab for InPlugin {
    async fn pid(&self) -> u32 {
        std::process::id()
    }

    async fn nap(&self, millis: u32) -> u32 {
        tokio::time::sleep(Duration::from_millis(u64::from(millis))).await;
        millis
    }

    async fn pid_after(&self, millis: u32) -> u32 {
        tokio::time::sleep(Duration::from_millis(u64::from(millis))).await;
        std::process::id()
    }

    async fn exit(&self, code: i32, last_words: String) {
        eprintln!("{last_words}");
        std::process::exit(code);
    }

    async fn print(&self, line: String) {
        println!("{line}");
        eprintln!("{line}");
    }

    async fn count_without_end(&self, n: u32) -> Streaming<u32> {
        use futures_util::StreamExt;
        Streaming::new(futures_util::stream::iter(0..n).chain(futures_util::stream::pending()))
    }

    async fn spin(&self) {
        loop {
            std::hint::spin_loop();
        }
    }

    async fn block(&self) {
        let forever = tokio::task::spawn_blocking(|| {
            loop {
                std::thread::park();
            }
        });
        let _ = forever.await;
    }

    async fn ask_host(&self, question: String) -> String {
        match self.desk.answer(question).await {
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        }
    }

    async fn run_again(&self) -> String {
        match rapace_plugin::run(DeskServer::new(Answers)).await {
            Ok(()) => "it ran".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    async fn run_in_child(&self) -> String {
        let exe = std::env::current_exe().expect("a path");
        let child = tokio::process::Command::new(exe)
            .args(role("lab::plugin_process"))
            .output();
        String::from_utf8_lossy(&child.await.expect("a child").stderr).into_owned()
    }

    async fn cpu_micros(&self) -> u64 {
        cpu_micros()
    }

    async fn surroundings(&self) -> Vec<String> {
        let dir = std::env::current_dir()
            .expect("a directory")
            .display()
            .to_string();
        let mut all: Vec<String> = std::env::vars()
            .filter(|(name, _)| name.starts_with("LAB_"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.push(dir);
        all
    }
}

/// The plugin's `main`.
#[test]
#[ignore = "the plugin process of the other tests; does nothing when started by hand"]
fn plugin_process() {
    if !rapace_plugin::started_by_host() {
        return;
    }
    match std::env::var("LAB_BEFORE_HELLO").as_deref() {
        Ok("exit") => {
            eprintln!("cannot read lab.toml");
            std::process::exit(3);
        }
        Ok("hang") => std::thread::sleep(SOON),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let lab = |host: Caller| {
            LabServer::new(InPlugin {
                desk: DeskClient::new(&host),
            })
        };
        rapace_plugin::run_with(lab)
            .await
            .expect("an end in good order");
    });
    // Not the harness's report: nobody may be left to read it.
    std::process::exit(0);
}

/// The arguments that make this executable run one of its ignored tests.
pub(crate) fn role(name: &str) -> [&str; 5] {
    [
        name,
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]
}

/// A plugin that has not been started.
pub(crate) fn lab() -> Plugin {
    Plugin::current_exe()
        .args(role("lab::plugin_process"))
        .name("lab")
        .wire(wire())
}

/// All tests run over every kind of link, each kind in a test executable of its own.
pub(crate) fn wire() -> Wire {
    match env!("CARGO_CRATE_NAME") {
        "plugins_over_stream" => Wire::Stream,
        _ => Wire::default(),
    }
}

/// A plugin that answers.
pub(crate) async fn ready(plugin: Plugin) -> (PluginHost, LabClient) {
    let host = plugin.spawn().await.expect("a process");
    soon(host.ready()).await.expect("a plugin");
    let client = host.client();
    (host, client)
}

/// Fails the test when `future` is stuck.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(SOON, future).await {
            Ok(output) => output,
            Err(elapsed) => panic!("stuck: {caller}: {elapsed}"),
        }
    }
}

/// Signals a process as anybody on the machine could.
pub(crate) fn kill_9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("a process");
}

/// Whether a process runs: zombies do not.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

/// Waits until a process is gone.
#[track_caller]
pub(crate) fn gone_within(pid: u32, limit: Duration) {
    let started = Instant::now();
    while is_alive(pid) {
        assert!(
            started.elapsed() < limit,
            "process {pid} lives after {limit:?}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How much processor time the threads of this process have used, in microseconds.
pub(crate) fn cpu_micros() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    let nanos = threads.map(|thread| {
        let stat = thread.expect("a thread").path().join("schedstat");
        let stat = std::fs::read_to_string(stat).expect("a thread's time");
        stat.split(' ')
            .next()
            .and_then(|nanos| nanos.parse::<u64>().ok())
            .expect("a number")
    });
    nanos.sum::<u64>() / 1000
}
