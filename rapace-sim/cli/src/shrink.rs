//! `shrink`: from a failure to the faults that matter, and how far that is.

use std::path::Path;
use std::time::{Duration, Instant};

use rapace_sim::scenario::SavedPlan;
use rapace_sim::shrink::shrink_with;
use rapace_sim::{Shrunk, WorldBuilder};

use crate::Done;
use crate::args::ShrinkArgs;
use crate::names::world_of_plan;
use crate::progress::{Progress, counted};
use crate::single::write;
use crate::subject::{Subject, World, replay_again};

/// Takes faults away, and makes those that are left simpler, as long as the run fails.
pub(crate) fn shrink(args: &ShrinkArgs) -> Done {
    let subject = Subject::find(&args.subject, args.choice.choice())?;
    let world = subject.builder();
    let begun = Instant::now();
    let Some(shrunk) = shrunk(&world) else {
        say!(
            "nothing that must hold in every run is broken by {}; there is nothing to shrink",
            subject.title()
        );
        if let World::Scenario { .. } = subject.world {
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
    if let World::Scenario {
        scenario,
        file,
        transport,
        ..
    } = &subject.world
    {
        // What is only printed may be written to a file here.
        let plan = args.out.as_deref().unwrap_or(Path::new("plan.toml"));
        saved.world = world_of_plan(plan, file, scenario);
        saved.transport = Some(*transport);
    }
    say!("\n{saved}");
    if let Some(path) = &args.out {
        write(path, &saved.to_string())?;
        say!("see it again: {}", replay_again(&path.to_string_lossy()));
    }
    Ok(false)
}

/// What it came to: `268 faults → 2 (1 of them simpler), 34 runs, 0.4 s`.
fn line(before: usize, shrunk: &Shrunk, time: Duration) -> String {
    let simpler = match (shrunk.simplified, shrunk.kept.len()) {
        (0, _) => String::new(),
        (1, 1) => " (simpler)".to_owned(),
        (some, all) if some == all => " (all simpler)".to_owned(),
        (some, _) => format!(" ({some} of them simpler)"),
    };
    format!(
        "{} → {}{simpler}, {}, {:.1} s",
        counted(before as u64, "fault"),
        shrunk.kept.len(),
        counted(shrunk.runs, "run"),
        time.as_secs_f64()
    )
}

/// Shrinks, and says on stderr how far it is.
pub(crate) fn shrunk(world: &WorldBuilder) -> Option<Shrunk> {
    let mut progress = Progress::new();
    let shrunk = shrink_with(world, |so_far| {
        progress.show(|clock| {
            let faults = format!(
                "{clock}  shrinking: {} → {}",
                counted(so_far.faults_before as u64, "fault"),
                so_far.faults
            );
            (None, vec![faults, counted(so_far.runs, "run")])
        });
    });
    progress.end();
    shrunk
}
