//! `rapace subject`: what an outside conformance suite drives (docs/protocol.md §9).

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use rapace_session::{BuildError, Session, SessionBuilder, SessionEnd};
use rapace_stream::Listener;
use rapace_testbed::{Subject, TestbedServer};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::limits::LimitsArgument;
use crate::signals::Signals;
use crate::testbed_call::{self, Failure, Planned};

/// How long to wait after the system refused a connection, for example for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const AFTER_HELP: &str = "\
Addresses:
  tcp:HOST:PORT   port 0 lets the system choose when listening; the choice is printed
  unix:PATH       the file is removed at the end

Examples:
  rapace subject --listen tcp:127.0.0.1:0
  rapace subject --listen unix:/tmp/subject.sock --once --limits window_bytes=4096,grace_ms=500
  rapace subject --connect tcp:127.0.0.1:4000
  rapace subject --connect unix:/tmp/subject.sock --call Testbed.add --args '[1, 2]'
  rapace subject --connect unix:/tmp/subject.sock --call Testbed.sum --args '[[1, 2, 3]]'

Output of --call, one line: `ok JSON`, or `error CODE message` where CODE is a status code such as
UNIMPLEMENTED or INTERNAL, or what kept the call from an answer: PEER_DIED (the link broke),
HANDSHAKE (the sides could not agree to talk), SCHEMA (other types at the peer), UNAVAILABLE (the
peer closed), PROTOCOL_ERROR. Streams are arrays; bytes are base64, text, or arrays of numbers, and
come back in the form in which they were given; a Result is {\"Ok\": …} or {\"Err\": …}, and both are ok.

A connection ends cleanly when the peer closes it (CloseChannel of channel 0 without an error), when
it drained after a GoAway, or when the peer hangs up between two frames while nothing is under way.
It does not when the handshake fails or never happens, when either side breaks the protocol, or when
the peer hangs up, even only its writing half, while calls or streams are under way.

SIGINT and SIGTERM announce the end with a GoAway, finish what is under way within `grace_ms`, and
exit. A second one exits at once, with 1.

Exit codes:
  0   --listen: stopped by a signal; with --once, the first connection ended cleanly
      --connect: the call was ok; without --call, the connection ended cleanly
  1   otherwise; the reason is on stderr, or in the `error` line
  2   the command line is wrong";

/// Serve the testbed service, or call a peer that does.
///
/// Both roles serve the testbed to the peer, on every connection.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Listen on `tcp:HOST:PORT` or `unix:PATH`, print `listening ADDRESS`, and serve every
    /// connection until stopped.
    #[arg(
        long,
        value_name = "ADDRESS",
        conflicts_with = "connect",
        required_unless_present = "connect"
    )]
    listen: Option<String>,
    /// Serve only the first connection; exit 0 if it ended cleanly, else 1.
    #[arg(long, requires = "listen", conflicts_with = "connect")]
    once: bool,
    /// Connect to a listening peer as the initiator, and stay until it closes.
    #[arg(long, value_name = "ADDRESS")]
    connect: Option<String>,
    /// Make this call first, and print `ok JSON` or `error CODE message`.
    #[arg(long, value_name = "SERVICE.METHOD", requires = "connect")]
    call: Option<String>,
    /// The arguments of the call, as a JSON array.
    #[arg(
        long,
        value_name = "JSON",
        requires = "call",
        default_value = "[]",
        allow_hyphen_values = true
    )]
    args: String,
    /// Limits of each session: max_payload_size (bytes), max_channels, max_pending_calls,
    /// window_bytes, handshake_timeout_ms (at most 30000), grace_ms.
    #[arg(
        long,
        value_name = "KEY=VALUE,…",
        default_value = "",
        hide_default_value = true
    )]
    limits: LimitsArgument,
}

/// Runs the subject until it is stopped or done. The exit codes are those of `--help`.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match (&arguments.listen, &arguments.connect) {
        (Some(address), _) => listen(address, &arguments, &mut signals).await,
        (None, Some(address)) => connect(address, &arguments, &mut signals).await,
        (None, None) => Err("give --listen ADDRESS or --connect ADDRESS".to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(
    address: &str,
    arguments: &Arguments,
    signals: &mut Signals,
) -> Result<bool, String> {
    check_transport(address)?;
    let listener = Listener::bind(address)
        .await
        .map_err(|error| error.to_string())?;
    say(&format!("listening {}", listener.local_addr()));

    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut first_was_clean = true;
    let mut listener = Some(listener);
    while let Some(open) = &listener {
        let accepted = tokio::select! {
            biased;
            () = signals.next() => {
                stop.send_replace(true);
                break;
            }
            Some(_) = connections.join_next() => continue,
            accepted = open.accept() => accepted,
        };
        let transport = match accepted {
            Ok(transport) => transport,
            Err(error) => {
                eprintln!("error: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let session = builder(arguments).accept(transport).map_err(refused)?;
        connections.spawn(serve(session, stopping.clone()));
        if arguments.once {
            // Whoever comes second is refused, not left waiting.
            listener = None;
        }
    }
    drop(listener);

    loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                // The first signal asks with --once too; otherwise this is the second.
                if stop.send_replace(true) {
                    return Ok(false);
                }
            }
            ended = connections.join_next() => match ended {
                Some(clean) => first_was_clean &= clean.unwrap_or(false),
                None => return Ok(first_was_clean || !arguments.once),
            },
        }
    }
}

/// Waits for the end of one connection; says whether it was clean.
async fn serve(session: Session, mut stopping: watch::Receiver<bool>) -> bool {
    let stop = async {
        // The sender outlives every connection; the guard of the value must not be kept.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let ended = tokio::select! {
        biased;
        end = session.closed() => Some(end),
        () = stop => None,
    };
    let end = match ended {
        Some(end) => end,
        None => session.close().await,
    };
    if !end.is_clean() {
        eprintln!("connection ended: {end}");
    }
    end.is_clean()
}

async fn connect(
    address: &str,
    arguments: &Arguments,
    signals: &mut Signals,
) -> Result<bool, String> {
    check_transport(address)?;
    // Before anything is sent: a mistake on the command line is not the peer's business.
    let planned = match &arguments.call {
        None => None,
        Some(method) => match plan(method, &arguments.args) {
            Ok(planned) => Some(planned),
            Err(failure) => {
                say(&format!("error {failure}"));
                return Ok(false);
            }
        },
    };
    // A silent host can keep this waiting for minutes.
    let transport = tokio::select! {
        biased;
        () = signals.next() => return Ok(false),
        connected = rapace_stream::connect(address) => {
            connected.map_err(|error| error.to_string())?
        }
    };
    let session = builder(arguments).connect(transport).map_err(refused)?;

    let asked = tokio::select! {
        biased;
        () = signals.next() => None,
        answer = ask(&session, planned) => Some(answer),
    };
    let end = match asked {
        None => tokio::select! {
            biased;
            () = signals.next() => return Ok(false),
            end = session.close() => end,
        },
        Some(_) => tokio::select! {
            biased;
            () = signals.next() => session.close().await,
            end = session.closed() => end,
        },
    };
    Ok(match asked {
        Some(Answer::Ok) => true,
        Some(Answer::Failed) | None => false,
        Some(Answer::NotAsked) => {
            if !end.is_clean() {
                eprintln!("connection ended: {end}");
            }
            end.is_clean()
        }
    })
}

enum Answer {
    Ok,
    Failed,
    NotAsked,
}

/// Makes the call, if there is one, and prints how it ended.
async fn ask(session: &Session, planned: Option<Planned>) -> Answer {
    let Some(planned) = planned else {
        return match session.ready().await {
            Err(end @ SessionEnd::Handshake(_)) => {
                say(&format!("error {}", Failure::from(end)));
                Answer::Failed
            }
            // Ready, or over again already: how it ended is asked next.
            Ok(()) | Err(_) => Answer::NotAsked,
        };
    };
    match testbed_call::make(session, planned).await {
        Ok(value) => {
            say(&format!("ok {value}"));
            Answer::Ok
        }
        Err(failure) => {
            say(&format!("error {failure}"));
            Answer::Failed
        }
    }
}

fn plan(method: &str, args: &str) -> Result<Planned, Failure> {
    let args: Value = serde_json::from_str(args)
        .map_err(|error| Failure::argument(format!("--args is not JSON: {error}")))?;
    let Value::Array(args) = args else {
        let message = format!("--args must be a JSON array of the arguments, not {args}");
        return Err(Failure::argument(message));
    };
    Planned::new(method, &args)
}

fn builder(arguments: &Arguments) -> SessionBuilder {
    Session::builder()
        .serve(TestbedServer::new(Subject))
        .limits(arguments.limits.0.clone())
        .name("subject")
}

fn refused(error: BuildError) -> String {
    error.to_string()
}

/// A line of the answer, at once even when standard output is a pipe.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads it any more: there is nobody to tell, and the exit code says the rest.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn check_transport(address: &str) -> Result<(), String> {
    if address.starts_with("ws:") {
        return Err(format!(
            "{address}: this build has no WebSocket transport; use tcp:HOST:PORT or unix:PATH"
        ));
    }
    Ok(())
}

/// The word for how a session ended.
pub(crate) fn end_code(end: &SessionEnd) -> &'static str {
    match end {
        SessionEnd::Handshake(_) => "HANDSHAKE",
        SessionEnd::PeerDied(_) | SessionEnd::PingTimeout => "PEER_DIED",
        SessionEnd::Protocol(_) => "PROTOCOL_ERROR",
        _ => "UNAVAILABLE",
    }
}
