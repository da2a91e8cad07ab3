//! A static-site builder whose work is done by plugins.
//!
//! - [`host`]: reads the content, decides what links mean, lays out pages, writes the site.
//! - [`plugins`]: render Markdown, highlight code, scale pictures, index words for search.
//! - [`markup`]: the escaping that both agree on.
//! - [`cli`]: the command line.
//!
//! Host and plugins are one program: the host starts it again as `site plugin NAME`, once for each.

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

/// What shells expect of a program that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build(args) => build(args).await,
        Command::Serve(args) => serve_until_interrupted(args).await,
        Command::Plugin { name } => match plugins::run(name).await {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(error.to_string()),
        },
    };
    done.unwrap_or_else(|message| {
        // Faults of the content come several to a message, a line each.
        for line in message.lines() {
            eprintln!("error: {line}");
        }
        ExitCode::FAILURE
    })
}

async fn build(args: BuildArgs) -> Result<ExitCode, String> {
    let chaos = args.chaos_plan();
    let progress = Progress::detect();
    progress.show_log();
    let built = async {
        let plugins = Plugins::start(args.plugins.transport, chaos).await?;
        let builder = Builder::new(&args.content, &args.out, args.plugins.jobs, false, plugins);
        let report = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                progress.clear();
                None
            }
            report = builder.build(&progress) => Some(report),
        };
        // Also after a fault, so that no process is left behind by any way out.
        builder.shutdown().await;
        report.transpose()
    };
    match built.await.map_err(|error: BuildError| error.to_string())? {
        Some(report) => {
            // A reader that went away, as `| head` does, is no failure of the build.
            let _ = writeln!(
                std::io::stdout(),
                "{}\n{report} -> {}",
                report.summary,
                args.out.display()
            );
            Ok(ExitCode::SUCCESS)
        }
        None => {
            eprintln!("interrupted");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn serve_until_interrupted(args: ServeArgs) -> Result<ExitCode, String> {
    let progress = Progress::detect();
    progress.show_log();
    let plugins = Plugins::start(args.plugins.transport, None)
        .await
        .map_err(|error| error.to_string())?;
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
    let served = tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| error.to_string()),
        served = serve::serve(&builder, &args.content, &out, args.port, progress) => {
            served.map_err(|error| error.to_string())
        }
    };
    builder.shutdown().await;
    served.map(|()| ExitCode::SUCCESS)
}
