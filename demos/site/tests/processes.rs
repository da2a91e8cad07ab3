//! The plugins as processes: the same site over every transport and under every death, and nobody
//! left behind.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::{stderr, tree, write};
use tempfile::TempDir;

/// Longer than anything takes that is not stuck.
const SOON: Duration = Duration::from_secs(30);

/// 24 pages that link to each other and hold code, and 4 pictures in several widths.
fn content() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "content/site.toml",
        "title = 'Many'\npicture_widths = [80, 160, 320]\n",
    );
    for number in 0..24 {
        let page = format!(
            "+++\ntitle = 'Page {number}'\n+++\n\n## One\n\nTo the [next](page-{}.md#one).\n\n\
             ```rust\nfn page() -> u32 {{ {number} }}\n```\n\n![A picture](p{}.png)\n",
            (number + 1) % 24,
            number % 4,
        );
        write(folder.path(), &format!("content/page-{number}.md"), &page);
    }
    write(
        folder.path(),
        "content/index.md",
        "+++\ntitle = 'Home'\n+++\n\n[first](page-0.md)\n",
    );
    for number in 0..4_u32 {
        let picture = image::RgbImage::from_fn(400, 300, |x, y| {
            image::Rgb([(x * y + number) as u8, (x ^ y) as u8, number as u8])
        });
        let name = format!("content/p{number}.png");
        picture.save(folder.path().join(name)).unwrap();
    }
    folder
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_site"))
}

fn build(folder: &Path, out: &str, arguments: &[&str]) -> Output {
    program()
        .current_dir(folder)
        .args(["build", "content", "--out", out])
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The restarts that the summary names, of all plugins together.
fn restarts(output: &Output) -> u32 {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| {
            let plugins = ["markdown", "highlight", "images", "search"];
            plugins.iter().any(|name| line.starts_with(name))
        })
        .collect();
    assert_eq!(rows.len(), 4, "{text}");
    let last = |row: &&str| row.split_whitespace().last().unwrap().parse::<u32>();
    rows.iter().map(|row| last(row).unwrap()).sum()
}

/// The plugin processes of a host, by name.
fn plugins_of(host: u32) -> BTreeMap<String, u32> {
    let mut plugins = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // State and parent stand behind the name, which may hold anything.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let mut fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
        let state = fields.next();
        if state == Some("Z") || fields.next() != Some(host.to_string().as_str()) {
            continue;
        }
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let mut arguments = line.split('\0').skip(1);
        if arguments.next() == Some("plugin") {
            plugins.insert(arguments.next().unwrap_or("").to_owned(), pid);
        }
    }
    plugins
}

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

fn signal(pid: u32, signal: Signal) {
    // It may have ended by itself in between.
    let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A `serve` whose first build is done.
struct Server {
    child: Child,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = program()
            .current_dir(folder)
            .args(["serve", "content", "--out", "out", "--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("serving "), "{line}");
        Self { child }
    }

    fn plugins(&self) -> BTreeMap<String, u32> {
        plugins_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_site_is_the_same_over_every_transport_and_under_chaos() {
    let folder = content();
    let runs: [(&str, &[&str]); 5] = [
        ("shm", &["--transport", "shm"]),
        ("unix", &["--transport", "unix"]),
        ("mem", &["--transport", "mem"]),
        ("chaos", &["--chaos", "0.5", "--seed", "3"]),
        (
            "unix-chaos",
            &["--transport", "unix", "--chaos", "0.5", "--seed", "3"],
        ),
    ];
    for (out, arguments) in runs {
        let built = build(folder.path(), out, arguments);
        assert!(built.status.success(), "{out}: {}", stderr(&built));
        if out.ends_with("chaos") {
            assert!(restarts(&built) > 0, "nothing was killed");
        } else {
            assert_eq!(restarts(&built), 0, "{out}");
        }
    }
    let [shm, others @ ..] = runs.map(|(out, _)| (out, tree(&folder.path().join(out))));
    assert!(shm.1.len() > 24 + 4 * 4, "{:?}", shm.1.keys());
    for (out, tree) in others {
        assert!(tree == shm.1, "shm and {out} differ");
    }
}

#[test]
fn chaos_needs_processes() {
    let folder = content();
    let refused = build(
        folder.path(),
        "out",
        &["--transport", "mem", "--chaos", "0.1"],
    );
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("--transport mem has none"),
        "{}",
        stderr(&refused)
    );
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_plugin_that_does_not_start_ends_the_build_with_its_name() {
    let folder = content();
    // The plugin is killed as soon as it appears. When that was after it had said Hello, it is
    // started again and the build goes well, so this is repeated until it comes in time.
    let message = (0..50).find_map(|attempt| {
        let out = format!("out-{attempt}");
        let mut host = program()
            .current_dir(folder.path())
            .args(["build", "content", "--out", &out])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while host.try_wait().unwrap().is_none() {
            if let Some(pid) = plugins_of(host.id()).get("search") {
                signal(*pid, Signal::KILL);
                break;
            }
        }
        let output = host.wait_with_output().unwrap();
        let built = folder.path().join(&out).exists();
        assert_eq!(output.status.code(), Some(i32::from(!built)));
        (!built).then(|| stderr(&output))
    });
    let message = message.expect("one of fifty kills comes in time");
    for part in ["error: plugin `search` did not become ready", "signal 9"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_plugin_by_hand_says_that_it_needs_a_host() {
    let output = program().args(["plugin", "markdown"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("error: "), "{}", stderr(&output));
}

#[test]
fn an_interrupted_host_takes_its_plugins_with_it() {
    let folder = content();
    for (how, code) in [(Signal::INT, Some(0)), (Signal::KILL, None)] {
        let mut server = Server::start(folder.path());
        let plugins = server.plugins();
        assert_eq!(plugins.len(), 4, "{plugins:?}");
        signal(server.child.id(), how);
        assert_eq!(server.child.wait().unwrap().code(), code);
        eventually("the plugins are gone", || {
            !plugins.values().any(|pid| is_alive(*pid))
        });
    }
}

#[test]
fn an_interrupted_build_takes_its_plugins_with_it() {
    let folder = content();
    let mut host = program()
        .current_dir(folder.path())
        .args(["build", "content", "--out", "out"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut plugins = BTreeMap::new();
    eventually("the plugins appear", || {
        plugins = plugins_of(host.id());
        plugins.len() == 4
    });
    // One that does not do anything any more: the build cannot end, and has to use force.
    signal(plugins["images"], Signal::STOP);
    signal(host.id(), Signal::INT);
    // By the signal itself when it came before the build began, in good order after that.
    assert!(!host.wait().unwrap().success());
    eventually("the plugins are gone", || {
        !plugins.values().any(|pid| is_alive(*pid))
    });
}

#[test]
fn serve_builds_on_with_plugins_that_were_killed_in_between() {
    let folder = content();
    let server = Server::start(folder.path());
    let first = server.plugins();
    for round in 0..8 {
        let killed = server.plugins();
        for pid in killed.values() {
            signal(*pid, Signal::KILL);
        }
        let words = format!("words of round {round}");
        write(
            folder.path(),
            "content/index.md",
            &format!("+++\ntitle = 'Home'\n+++\n\n{words}\n"),
        );
        eventually("the change is built", || {
            fs::read_to_string(folder.path().join("out/index.html"))
                .unwrap()
                .contains(&words)
        });
        eventually("the plugins are back", || server.plugins().len() == 4);
    }
    let last = server.plugins();
    assert!(first.iter().all(|(name, pid)| last[name] != *pid));
}
