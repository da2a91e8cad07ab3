//! Commands about one thing: `replay`, `show`.

use std::fs;
use std::path::Path;

use rapace_sim::{Report, html};

use crate::args::{ReplayArgs, ShowArgs};
use crate::progress::counted;
use crate::subject::Subject;
use crate::{Done, Unusable};

/// Runs something again; the last line is its trace hash.
pub(crate) fn replay(args: &ReplayArgs) -> Done {
    let subject = Subject::find(&args.subject, args.choice.choice())?;
    Ok(replayed(&subject, args.trace))
}

/// Runs it, says what came of it, and whether that is fine.
pub(crate) fn replayed(subject: &Subject, trace: bool) -> bool {
    let ran = subject.run();
    if let (true, Some(trace)) = (trace, &ran.report.trace) {
        say_on!("{trace}");
    }
    describe(subject, &ran.report);
    for problem in &ran.problems {
        say!("fails {problem}");
    }
    say!("trace hash {}", ran.report.hash);
    ran.problems.is_empty()
}

fn describe(subject: &Subject, report: &Report) {
    say!("{}", subject.title());
    for fault in &report.plan.faults {
        say!("  {fault}");
    }
    let calls = report.calls;
    say!(
        "{}: {} fine, {} failed, {} dropped; {}, {}, {} of virtual time",
        counted(calls.begun, "call"),
        calls.ok,
        calls.failed,
        calls.dropped,
        counted(report.frames, "frame"),
        counted(report.steps, "step"),
        report.virtual_time
    );
}

/// Prints a trace, or writes it as a page; and says what is wrong.
pub(crate) fn show(args: &ShowArgs) -> Done {
    let subject = Subject::find(&args.subject, args.choice.choice())?;
    let ran = subject.run();
    let Some(trace) = &ran.report.trace else {
        return Err(Unusable("the run has no trace".to_owned()));
    };
    let complaint = subject.complaint(&ran);
    if args.json {
        let json = serde_json::to_string_pretty(trace)
            .map_err(|error| Unusable(format!("the trace cannot be written: {error}")))?;
        say!("{json}");
        // Whoever reads stdout wants JSON and nothing else.
        if let Some(complaint) = &complaint {
            complain!("{complaint}");
        }
        return Ok(complaint.is_none());
    }
    if let Some(path) = &args.html {
        write(path, &html::page(trace, &subject.title()))?;
        say!(
            "{} in {}",
            counted(trace.events.len() as u64, "event"),
            path.display()
        );
    } else {
        say_on!("{trace}");
    }
    if let Some(complaint) = &complaint {
        say!("{complaint}");
    }
    Ok(complaint.is_none())
}

/// Writes a file, or says what can be done about it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Unusable> {
    fs::write(path, text).map_err(|error| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let hint = match parent {
            _ if path.is_dir() => {
                format!("; name a file in it: {}", path.join("trace.html").display())
            }
            Some(parent) if !parent.exists() => format!("; first `mkdir -p {}`", parent.display()),
            _ => String::new(),
        };
        Unusable(format!(
            "{} cannot be written: {error}{hint}",
            path.display()
        ))
    })
}
