//! A plugin does not outlive its host.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rapace_plugin::Plugin;

use crate::lab::{LabClient, SOON, gone_within, is_alive, lab, role};

/// A host with one plugin, which prints the plugin's process id and then just lives.
#[test]
#[ignore = "the host process of the other tests; does nothing when started by hand"]
fn host_process() {
    let Ok(how) = std::env::var("LAB_HOST") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let plugin = match how.as_str() {
            // A shell in between: the parent-death signal ends the shell, not the plugin.
            "behind a shell" => Plugin::command("/bin/sh")
                .arg("-c")
                .arg("\"$0\" \"$@\"; exit")
                .arg(std::env::current_exe().expect("a path"))
                .args(role("lab::plugin_process"))
                .wire(crate::lab::wire()),
            _ => lab(),
        };
        let plugin = plugin.spawn().await.expect("a process");
        let client: LabClient = plugin.client();
        let pid = client.pid().await.expect("an answer");
        if how.ends_with("spinning") {
            let client = client.clone();
            tokio::spawn(async move { client.spin().await });
        }
        if how.ends_with("a shell") {
            let client = client.clone();
            tokio::spawn(async move { client.block().await });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        println!("plugin {pid}");
        tokio::time::sleep(SOON * 2).await;
        drop(plugin);
    });
}

fn host(how: &str) -> (Child, u32) {
    let mut host = Command::new(std::env::current_exe().expect("a path"))
        .args(role("host_death::host_process"))
        .env("LAB_HOST", how)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a host");
    let out = BufReader::new(host.stdout.take().expect("its output"));
    let pid = out
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("plugin ")?.1.parse().ok())
        .expect("a plugin");
    (host, pid)
}

#[test]
fn a_plugin_dies_with_its_host() {
    let (mut host, plugin) = host("plain");
    assert!(is_alive(plugin));
    host.kill().expect("SIGKILL");
    gone_within(plugin, Duration::from_secs(2));
    host.wait().expect("a zombie");
}

#[test]
fn a_plugin_whose_handler_never_yields_dies_with_its_host() {
    let (mut host, plugin) = host("spinning");
    assert!(is_alive(plugin));
    host.kill().expect("SIGKILL");
    gone_within(plugin, Duration::from_secs(2));
    host.wait().expect("a zombie");
}

#[test]
fn the_hang_up_ends_a_busy_plugin_that_no_signal_reaches() {
    let (mut host, plugin) = host("behind a shell");
    assert!(is_alive(plugin));
    host.kill().expect("SIGKILL");
    // It may linger for a second: one of its threads is blocked for ever.
    gone_within(plugin, Duration::from_secs(3));
    host.wait().expect("a zombie");
}
