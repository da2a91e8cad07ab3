//! `shrink`: from a failure to the faults that matter, and how far that is.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rapace_sim::scenario::SavedPlan;
use rapace_sim::shrink::{Progress, shrink_with};
use rapace_sim::{Shrunk, WorldBuilder};

use crate::Done;
use crate::args::ShrinkArgs;
use crate::single::write;
use crate::subject::Subject;

/// Takes faults away, and makes those that are left simpler, as long as the run fails.
pub(crate) fn shrink(args: &ShrinkArgs) -> Done {
    let subject = Subject::find(&args.subject, None)?;
    let world = subject.world();
    let begun = Instant::now();
    let Some(shrunk) = shrunk(&world) else {
        say!(
            "nothing that must hold in every run is broken by {}; there is nothing to shrink",
            subject.title()
        );
        if let Subject::Scenario { .. } = subject {
            say!("(what the scenario itself expects does not count here: see `cargo sim run`)");
        }
        return Ok(true);
    };
    let before = world.planned().faults.len();
    say!("{}", line(before, &shrunk, begun.elapsed()));
    let failure = shrunk.report.failures.first();
    let about = failure.map(ToString::to_string).unwrap_or_default();
    say!("fails {about}");
    let mut saved = SavedPlan::standard(about, shrunk.plan);
    if let Subject::Scenario {
        world, transport, ..
    } = &subject
    {
        saved.world.clone_from(world);
        saved.transport = Some(*transport);
    }
    say!("\n{saved}");
    if let Some(path) = &args.out {
        write(path, &saved.to_string())?;
        say!("see it again: cargo sim replay {}", path.display());
    }
    Ok(false)
}

/// What it came to: `268 faults → 2 (1 of them simpler), 34 runs, 0.4 s`.
fn line(before: usize, shrunk: &Shrunk, time: Duration) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let simpler = match (shrunk.simplified, shrunk.kept.len()) {
        (0, _) => String::new(),
        (1, 1) => " (simpler)".to_owned(),
        (some, all) if some == all => " (all simpler)".to_owned(),
        (some, _) => format!(" ({some} of them simpler)"),
    };
    format!(
        "{before} fault{} → {}{simpler}, {} run{}, {:.1} s",
        plural(before),
        shrunk.kept.len(),
        shrunk.runs,
        plural(usize::try_from(shrunk.runs).unwrap_or(usize::MAX)),
        time.as_secs_f64()
    )
}

/// Who waits no longer than this needs no progress.
const PATIENCE: Duration = Duration::from_secs(1);
/// Without a terminal a line is printed this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// On a terminal the line changes this often.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Shrinks, and says on stderr how far it is if that takes long.
pub(crate) fn shrunk(world: &WorldBuilder) -> Option<Shrunk> {
    let is_terminal = std::io::stderr().is_terminal();
    let mut bar: Option<ProgressBar> = None;
    let mut next = Instant::now() + PATIENCE;
    let shrunk = shrink_with(world, |so_far| {
        let now = Instant::now();
        if now < next {
            return;
        }
        if is_terminal {
            let bar = bar.get_or_insert_with(|| {
                let bar = ProgressBar::no_length();
                // The template is a constant; without it the bar's own style would do.
                if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                    bar.set_style(style);
                }
                bar
            });
            bar.set_message(so_far_line(so_far));
            next = now + BAR_EVERY;
        } else {
            complain!("{}", so_far_line(so_far));
            next = now + PLAIN_EVERY;
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    shrunk
}

fn so_far_line(so_far: &Progress) -> String {
    format!(
        "shrinking: {} faults → {} after {} runs",
        so_far.faults_before, so_far.faults, so_far.runs
    )
}
