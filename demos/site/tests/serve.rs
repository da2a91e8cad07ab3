//! `site serve` as a user runs it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A server that is ended with the test.
struct Server {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    fn start(content: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_site"))
            .arg("serve")
            .arg(content)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn({
            let log = log.clone();
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    log.lock().unwrap().push_str(&(line + "\n"));
                }
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .trim_start_matches("serving http://")
            .trim_end_matches('/')
            .into();
        Self {
            child,
            address,
            log,
        }
    }

    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_change_is_built_once_and_a_fault_keeps_the_last_site() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("index.md");
    fs::write(folder.path().join("site.toml"), "title = 'T'\n").unwrap();
    fs::write(&page, "+++\ntitle = 'Home'\n+++\nfirst words\n").unwrap();
    let server = Server::start(folder.path());
    let home = server.page("/");
    assert!(
        home.contains("first words") && home.contains("/_live/script.js"),
        "{home}"
    );

    fs::write(&page, "+++\ntitle = 'Home'\n+++\nsecond words\n").unwrap();
    eventually("the change is served", || {
        server.page("/").contains("second words")
    });
    // A build reads its sources, and that must not count as a change to them.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(
        server.log().matches(" files (").count(),
        2,
        "{}",
        server.log()
    );

    fs::write(
        &page,
        "+++\ntitle = 'Home'\n+++\nthird [words](nowhere.md)\n",
    )
    .unwrap();
    eventually("the fault is reported", || {
        server.log().contains("broken link `nowhere.md`")
    });
    assert!(server.page("/").contains("second words"));
}
