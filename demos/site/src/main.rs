//! A static-site builder whose work is done by plugins.
//!
//! - [`host`]: reads the content, decides what links mean, lays out pages, writes the site.
//! - [`plugins`]: render Markdown, highlight code, scale pictures, index words for search.
//! - [`markup`]: the escaping that both agree on.
//! - [`cli`]: the command line.

#![forbid(unsafe_code)]

mod cli;
mod host;
mod markup;
mod plugins;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{BuildArgs, Cli, Command, ServeArgs};
use host::build::Builder;
use host::error::BuildError;
use host::plugins::Plugins;
use host::progress::Progress;
use host::serve;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build(args) => build(args).await.map_err(|error| error.to_string()),
        Command::Serve(args) => serve_until_interrupted(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Faults of the content come several to a message, a line each.
            for line in message.lines() {
                eprintln!("error: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn build(args: BuildArgs) -> Result<(), BuildError> {
    if args.chaos > 0.0 {
        return Err(BuildError::Unsupported(
            "--chaos kills plugin processes, and there are none yet",
        ));
    }
    let plugins = Plugins::start(args.plugins.transport)?;
    let builder = Builder::new(&args.content, &args.out, args.plugins.jobs, false, plugins);
    let report = builder.build(&Progress::detect()).await?;
    // A reader that went away, as `| head` does, is no failure of the build.
    let _ = writeln!(
        std::io::stdout(),
        "{}\n{report} -> {}",
        report.summary,
        args.out.display()
    );
    Ok(())
}

async fn serve_until_interrupted(args: ServeArgs) -> Result<(), String> {
    let plugins = Plugins::start(args.plugins.transport).map_err(|error| error.to_string())?;
    // Kept until the end: dropping it removes the folder.
    let temporary = match &args.out {
        Some(_) => None,
        None => {
            Some(tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?)
        }
    };
    let out = match (&args.out, &temporary) {
        (Some(out), _) => out.clone(),
        (None, Some(folder)) => folder.path().to_owned(),
        (None, None) => unreachable!("one of the two was just chosen"),
    };
    let builder = Builder::new(&args.content, &out, args.plugins.jobs, true, plugins);
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| error.to_string()),
        served = serve::serve(builder, &args.content, &out, args.port, Progress::detect()) => {
            served.map_err(|error| error.to_string())
        }
    }
}
