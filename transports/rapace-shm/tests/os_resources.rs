//! What links take of the system, and what they leave behind.
#![allow(clippy::disallowed_methods, reason = "real processes have ids")]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rapace_shm::ShmConfig;
use rapace_shm::os::{self, Listener, connect};
use rapace_transport::Transport;
use rapace_transport::conformance::traffic::{check, frame, recv, send};

/// These tests count what belongs to the whole process, so one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs a test while no other one has a runtime, which has descriptors too.
fn alone(test: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// What the descriptors of a process are, without their numbers, and how many of each.
fn descriptors(of: &str) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    let entries = std::fs::read_dir(format!("/proc/{of}/fd")).expect("descriptors");
    for entry in entries {
        let Ok(target) = std::fs::read_link(entry.expect("an entry").path()) else {
            continue;
        };
        let target = target.to_string_lossy();
        let kind = target.split('[').next().unwrap_or_default();
        let kind = match target.as_ref() {
            "anon_inode:[eventfd]" | "anon_inode:[pidfd]" => &*target,
            _ => kind,
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

/// Lines of this process's memory map that are memory files of links.
fn lanes() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    maps.lines()
        .filter(|line| line.contains("memfd:rapace"))
        .count()
}

/// Those and a link's other traces on the file system.
fn named_files() -> Vec<PathBuf> {
    ["/dev/shm", "/tmp", "/run"]
        .into_iter()
        .filter_map(|path| std::fs::read_dir(path).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_lane(path))
        .collect()
}

fn is_lane(path: &Path) -> bool {
    path.to_string_lossy().contains("rapace-lane")
}

#[test]
fn row_12_nothing_of_a_link_is_inherited() {
    alone(async {
        // A program that lists what it was given; `ls` itself opens the directory.
        let list = || {
            let mut child = Command::new("ls")
                .args(["-l", "/proc/self/fd"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .expect("ls");
            let mut text = String::new();
            let mut output = child.stdout.take().expect("output");
            output.read_to_string(&mut text).expect("text");
            child.wait().expect("its end");
            text.lines().count()
        };
        let before = list();
        let links = os::pair(ShmConfig::default()).await.expect("a pair");
        let name = format!("shm:@rapace-cloexec-{}", std::process::id());
        let mut listener = Listener::bind(name.as_str(), ShmConfig::default()).expect("listening");
        let connecting = connect(name.as_str(), ShmConfig::default());
        let by_address = tokio::join!(listener.accept(), connecting);
        assert!(by_address.0.is_ok() && by_address.1.is_ok());
        assert_eq!(list(), before, "a child got more than without a link");
        drop((links, by_address));
    });
}

#[test]
fn row_18_a_thousand_links_leave_nothing_behind() {
    alone(async {
        let once = || async {
            let (a, b) = os::pair(ShmConfig::default()).await.expect("a pair");
            let ((mut sink, _), (_, mut source)) = (Box::new(a).split(), Box::new(b).split());
            send(&mut *sink, frame(1, 4_000)).await.expect("sent");
            check(&recv(&mut *source).await.expect("received"), 1, 4_000);
        };
        once().await;
        let (fds, maps) = (descriptors("self"), lanes());
        for _ in 0..1_000 {
            once().await;
        }
        assert_eq!(descriptors("self"), fds);
        assert_eq!((lanes(), maps), (0, 0));
        assert_eq!(named_files(), Vec::<PathBuf>::new());
    });
}

#[test]
fn a_link_takes_six_descriptors_and_its_lanes_none() {
    alone(async {
        let before = descriptors("self");
        let links = os::pair(ShmConfig::default()).await.expect("a pair");
        let mut taken = descriptors("self");
        for (kind, count) in before {
            *taken.get_mut(&kind).expect("still there") -= count;
        }
        taken.retain(|_, count| *count > 0);
        let expected = [
            ("socket:", 2),
            ("anon_inode:[eventfd]", 8),
            ("anon_inode:[pidfd]", 2),
        ];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(taken, BTreeMap::from(expected));
        // One's own and the other's, of both ends.
        assert_eq!(lanes(), 4);
        drop(links);
    });
}
