use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(5);

fn shell(script: &str) -> Launch {
    Launch {
        name: "shell".into(),
        program: "/bin/sh".into(),
        arg0: None,
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        env_clear: false,
        current_dir: None,
        own_process_group: true,
        wire: Wire::Stream,
        stdout_level: None,
        stderr_level: None,
        stderr_lines_max: 3,
    }
}

/// Starts the process with one end of a socket; the other is returned.
async fn spawn(launch: &Launch) -> io::Result<(Process, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let process = Process::spawn(launch, theirs.into()).await?;
    Ok((process, UnixStream::from_std(ours)?))
}

async fn ended(script: &str) -> Exit {
    let (process, _socket) = spawn(&shell(script)).await.expect("a shell");
    let mut exit = process.exit_watch();
    timeout(SOON, exit.wait()).await.expect("an exit")
}

fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    assert_eq!(ended("exit 7").await.reason, Some(ExitReason::Code(7)));
    assert_eq!(
        ended("kill -9 $$").await.reason,
        Some(ExitReason::Signal(9))
    );
}

#[tokio::test]
async fn the_last_stderr_lines_come_with_the_exit() {
    let exit = ended("for i in 1 2 3 4 5; do echo line $i >&2; done; echo not this; exit 1").await;
    assert_eq!(&*exit.stderr, ["line 3", "line 4", "line 5"]);
}

#[tokio::test]
async fn a_plugin_inherits_its_own_socket_and_no_other() {
    let inode = |socket: &dyn AsFd| rustix::fs::fstat(socket.as_fd()).expect("a socket").st_ino;
    let (first, first_socket) = spawn(&shell("exec sleep 60")).await.expect("a shell");
    let script = "for fd in /proc/$$/fd/*; do readlink $fd >&2; done; echo $RAPACE_PLUGIN >&2";
    let mut launch = shell(script);
    launch.stderr_lines_max = 100;
    let (second, second_socket) = spawn(&launch).await.expect("a shell");
    let exit = timeout(SOON, second.exit_watch().wait())
        .await
        .expect("an exit");
    let (variable, inherited) = exit.stderr.split_last().expect("lines");
    let told = variable.rsplit(':').next().expect("an inode");
    assert!(
        inherited.contains(&format!("socket:[{told}]")),
        "{:?}",
        exit.stderr
    );
    for ours in [inode(&first_socket), inode(&second_socket)] {
        assert!(
            !inherited.contains(&format!("socket:[{ours}]")),
            "{:?}",
            exit.stderr
        );
    }
    drop(first);
}

#[tokio::test]
async fn row_12_a_sibling_does_not_keep_the_socket_open() {
    // Overlapping spawns: while some are between fork and exec, others are born.
    let spawns: Vec<_> = (0..16)
        .map(|_| tokio::spawn(async { spawn(&shell("exec sleep 60")).await }))
        .collect();
    let mut plugins = Vec::new();
    for spawn in spawns {
        plugins.push(spawn.await.expect("no panic").expect("a shell"));
    }
    while let Some((process, mut socket)) = plugins.pop() {
        process.want(Wanted::Kill);
        let mut byte = [0];
        let end = timeout(SOON, socket.read(&mut byte)).await;
        let end = end.expect("a living sibling holds this plugin's end of the socket");
        assert_eq!(end.expect("end of stream"), 0);
    }
}

#[tokio::test]
async fn a_dropped_process_is_killed_with_its_children_and_reaped() {
    let (process, mut socket) = spawn(&shell("sleep 1000 & echo $! >&2; wait"))
        .await
        .expect("a shell");
    let watch = process.exit_watch();
    let child = timeout(SOON, async {
        loop {
            if let Some(line) = watch.stderr().first() {
                break line.parse::<u32>().expect("a process id");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let child = child.await.expect("the shell's child");
    let pid = process.pid;
    assert!(is_alive(pid) && is_alive(child));
    drop(process);
    let exit = timeout(SOON, watch.clone().wait()).await.expect("an exit");
    assert_eq!(exit.reason, Some(ExitReason::Signal(9)));
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "reaped"
    );
    let started = Instant::now();
    while is_alive(child) {
        assert!(started.elapsed() < SOON, "the grandchild lives");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut rest = Vec::new();
    timeout(SOON, socket.read_to_end(&mut rest))
        .await
        .expect("a hang-up")
        .expect("no error");
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_holds_no_task_of_ours() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let exit = ended("sleep 1000 & echo $! >&2; exit 0").await;
    let grandchild: i32 = exit.stderr[0].parse().expect("a process id");
    let started = Instant::now();
    while tasks() > before {
        assert!(
            started.elapsed() < SOON,
            "{} tasks, {before} before",
            tasks()
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(is_alive(grandchild as u32), "it was left alone");
    kill_process(
        Pid::from_raw(grandchild).expect("a process id"),
        Signal::KILL,
    )
    .expect("alive");
}

#[tokio::test]
async fn termination_can_be_raised_to_a_kill_but_not_lowered() {
    let script = "trap '' TERM; echo ready >&2; while :; do sleep 0.01; done";
    let (process, _socket) = spawn(&shell(script)).await.expect("a shell");
    let mut exit = process.exit_watch();
    while exit.stderr().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.want(Wanted::Termination);
    let still = timeout(Duration::from_millis(100), exit.wait()).await;
    assert!(still.is_err(), "it ignores the signal: {still:?}");
    let signaller = process.signaller();
    assert!(signaller.want(Wanted::Kill));
    process.want(Wanted::Termination);
    let exit = timeout(SOON, exit.wait()).await.expect("an exit");
    assert_eq!(exit.reason, Some(ExitReason::Signal(9)));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_writes_nothing_to_the_socket() {
    let mut launch = shell("");
    launch.program = "/no/such/program".into();
    let error = spawn(&launch).await.expect_err("no such program");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_socket_below_the_standard_streams_is_moved_above_them() {
    let (socket, mut other) = StdUnixStream::pair().expect("a pair");
    let before = socket.as_raw_fd();
    assert!(before > 2, "the test has standard streams");
    let socket = above_stdio(OwnedFd::from(socket)).expect("a socket");
    assert_eq!(socket.as_raw_fd(), before, "nothing to move");
    drop(socket);
    assert_eq!(other.read(&mut [0]).expect("end of stream"), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_whose_host_died_before_it_asked_for_the_signal_does_not_start() {
    let (_ours, theirs) = StdUnixStream::pair().expect("a pair");
    let mut command = shell("exit 0").command();
    // The child finds this process as its parent, and is told to expect another.
    let other = rustix::process::getppid().expect("a parent");
    os::prepare_child(&mut command, OwnedFd::from(theirs), other);
    let error = command.spawn().expect_err("an orphan");
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::SRCH.raw_os_error())
    );
}
