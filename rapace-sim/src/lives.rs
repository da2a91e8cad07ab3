//! Lives of processes: how they begin, how they are linked, how they end.
//!
//! A host's supervisor task does what a plugin host does in production: it starts the plugin, makes
//! a session with it, publishes that once it is ready, and starts the plugin anew after it went
//! down. A plugin whose session has ended exits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::{Either, select};
use rapace_session::{Session, SessionBuilder};
use rapace_transport::LinkError;

use crate::engine::process::LifeCell;
use crate::engine::tasks::TaskKind;
use crate::link;
use crate::panics::{self, Caught};
use crate::process::Process;
use crate::report::Oracle;
use crate::stage::{Peering, Stage, Wish};
use crate::tap::{Tap, Tapped};
use crate::trace::record::{Entry, Route};
use crate::trace::{LinkChange, ProcessChange};

/// A plugin that was up for so long counts as having worked.
const UP_NS: u64 = 10_000_000_000;

/// Starts a process: a new life, its main function, and the supervisors of its plugins.
pub(crate) fn start(stage: &Arc<Stage>, process: usize) -> Process {
    end(stage, process, ProcessChange::Exited("started anew".into()));
    let life = {
        let mut processes = stage.engine.processes();
        let state = &mut processes[process];
        let life = LifeCell::new(state.cell.clone(), state.life.life + 1);
        state.life = life.clone();
        state.alive = true;
        state.spawned = 0;
        state.busy_until = 0;
        state.hangs = false;
        state.each = 0;
        life
    };
    stage.changed(&life, ProcessChange::Spawned);
    let kind = if stage.is_root(process) {
        TaskKind::Work
    } else {
        TaskKind::Daemon
    };
    let here = Process::new(stage.clone(), life, kind);
    for (at, link) in stage.links.iter().enumerate() {
        if link.ends[0] == process {
            let task = Box::pin(supervise(here.clone(), at));
            let daemon = TaskKind::Daemon;
            stage.engine.spawn(&here.life, daemon, "supervisor", task);
        }
    }
    if let Some(main) = &stage.programs[process].main {
        let (main, ends) = (main.clone(), here.clone());
        let task = Box::pin(async move {
            // Here, so that it is this task that panics, if what makes the future does.
            main(ends.clone()).await;
            ends.stage.changed(&ends.life, ProcessChange::Finished);
        });
        stage.engine.spawn(&here.life, kind, "main", task);
    }
    here
}

/// Ends the current life of a process as SIGKILL does; false when it was down.
///
/// First what it writes goes nowhere, then the others hear of it, then its tasks are dropped.
pub(crate) fn end(stage: &Arc<Stage>, process: usize, change: ProcessChange) -> bool {
    let life = {
        let mut processes = stage.engine.processes();
        let state = &mut processes[process];
        if !state.alive {
            return false;
        }
        state.alive = false;
        state.held.clear();
        state.busy_until = 0;
        state.each = 0;
        state.life.clone()
    };
    life.become_ghost();
    if change == ProcessChange::Killed {
        life.note_killed();
    }
    stage.changed(&life, change);
    let (mut gone, mut forgotten) = (Vec::new(), Vec::new());
    for link in &stage.links {
        let Some(end) = link.end_of(process) else {
            continue;
        };
        let mut state = link.state();
        if let Some(live) = &state.live
            && Arc::ptr_eq(&live.lives[end], &life)
        {
            let words = live.died(&stage.engine, end);
            stage.unreleased.fetch_max(words, Ordering::Relaxed);
        }
        let (of_dead, left): (Vec<_>, Vec<_>) = std::mem::take(&mut state.open)
            .into_iter()
            .partition(|(at, _)| *at == end);
        state.open = left;
        drop(state);
        gone.extend(of_dead);
        forgotten.push(link.peers[end].send_replace(Peering::Awaited));
    }
    stage.engine.drop_tasks(process, life.life);
    drop((gone, forgotten));
    true
}

/// Keeps one plugin of a host going.
async fn supervise(host: Process, at: usize) {
    let stage = host.stage.clone();
    let link = &stage.links[at];
    let plugin = link.ends[1];
    let policy = stage.programs[plugin].restart;
    let mut failures = 0;
    loop {
        let there = start(&stage, plugin);
        let begun = host.runtime.local_now();
        let Some(session) = connect(&stage, at, &host, &there) else {
            return;
        };
        if session.ready().await.is_ok() {
            let ready = ProcessChange::Ready(stage.names[plugin].to_string());
            stage.changed(&host.life, ready);
            link.peers[0].send_replace(Peering::Up(session.clone()));
        }
        let end = session.closed().await;
        link.peers[0].send_replace(Peering::Awaited);
        stage.wish(Wish::Exit {
            life: there.life.clone(),
            why: "its host let it go".into(),
        });
        drop(there);
        drop(session);
        if host.runtime.local_now().saturating_sub(begun) >= UP_NS {
            failures = 0;
        }
        let wait = policy.wait(failures);
        failures += 1;
        let by_policy = wait.map(|wait| host.runtime.local_now().saturating_add(wait.0));
        let mut planned = None;
        loop {
            planned = link.state().start_at.take().or(planned);
            let by_plan = planned.map(|at| host.life.process.to_local(at));
            let again = std::pin::pin!(link.restarted.notified());
            let next = by_plan.or(by_policy);
            let is_down = matches!(&*link.peers[0].borrow(), Peering::Down(_));
            if is_down != next.is_none() {
                // As in production: nobody waits for what nobody will start again.
                link.peers[0].send_replace(match next {
                    Some(_) => Peering::Awaited,
                    None => {
                        let plugin = &stage.names[plugin];
                        Peering::Down(format!("plugin `{plugin}` is down for good: {end}").into())
                    }
                });
            }
            match next {
                None => again.await,
                Some(at) => {
                    let due = std::pin::pin!(host.runtime.until(at));
                    match select(again, due).await {
                        Either::Left(_) => {}
                        Either::Right(_) => break,
                    }
                }
            }
        }
    }
}

/// Links a host and a fresh plugin and makes their sessions. The host's comes back.
fn connect(stage: &Arc<Stage>, at: usize, host: &Process, plugin: &Process) -> Option<Session> {
    let link = &stage.links[at];
    let [here, there] = match open(stage, at, [&host.life, &plugin.life]) {
        Ok(ends) => ends,
        Err(error) => {
            let text = format!("link `{}` cannot be opened: {error}", link.name);
            stage.fail(Oracle::Assertion, text);
            return None;
        }
    };
    let accepted = builder(plugin)?.accept(there);
    let connected = builder(host)?.connect(here);
    let (host_side, plugin_side) = match (connected, accepted) {
        (Ok(host_side), Ok(plugin_side)) => (host_side, plugin_side),
        (Err(error), _) | (_, Err(error)) => {
            let text = format!("link `{}` cannot be served: {error}", link.name);
            stage.fail(Oracle::Assertion, text);
            return None;
        }
    };
    link.state().open = vec![(0, host_side.clone()), (1, plugin_side.clone())];
    let attend = Box::pin(attend(plugin.clone(), at, plugin_side));
    stage
        .engine
        .spawn(&plugin.life, TaskKind::Daemon, "attendant", attend);
    Some(host_side)
}

/// The plugin's own side: it exits when its session has ended.
async fn attend(plugin: Process, at: usize, session: Session) {
    let stage = plugin.stage.clone();
    let link = &stage.links[at];
    if session.ready().await.is_ok() {
        let host = stage.names[link.ends[0]].to_string();
        stage.changed(&plugin.life, ProcessChange::Ready(host));
        link.peers[1].send_replace(Peering::Up(session.clone()));
    }
    let end = session.closed().await;
    link.peers[1].send_replace(Peering::Awaited);
    stage.wish(Wish::Exit {
        life: plugin.life.clone(),
        why: end.to_string(),
    });
}

/// `None` when a service cannot be made.
fn builder(process: &Process) -> Option<SessionBuilder> {
    let stage = &process.stage;
    let program = &stage.programs[process.life.process.index];
    let mut builder = Session::builder()
        .name(process.name())
        .limits(program.limits.clone())
        .runtime(process.runtime.clone());
    for service in &program.services {
        let Ok(service) = catch_unwind(AssertUnwindSafe(|| service(process))) else {
            if let Some(Caught { message, place }) = panics::take().pop() {
                let text = format!("{} cannot start: {message}", process.name());
                stage.fail_at(Oracle::Assertion, text, place);
            }
            return None;
        };
        stage.serves(service.descriptor());
        builder = builder.serve_shared(service);
    }
    Some(builder)
}

/// A new life of a link.
fn open(
    stage: &Arc<Stage>,
    at: usize,
    lives: [&Arc<LifeCell>; 2],
) -> Result<[Tapped; 2], LinkError> {
    let link = &stage.links[at];
    let (config, life) = {
        let mut state = link.state();
        state.life += 1;
        (state.config.clone(), state.life)
    };
    let label = (at as u64) << 32 | u64::from(life);
    let opened = link::open(&stage.engine, &config, label, lives.map(Arc::clone))?;
    let route = |end: usize| Route {
        link: at,
        life,
        end,
        from: link.ends[end],
    };
    stage.recorder.open([route(0), route(1)]);
    stage.note(Entry::Link {
        link: at,
        life,
        change: LinkChange::Up,
    });
    let incoming = [1, 0].map(|end: usize| opened.link.carrier(end));
    let before = {
        let mut state = link.state();
        state.start_at = None;
        let before = (state.live.take(), std::mem::take(&mut state.open));
        state.live = Some(opened.link);
        before
    };
    drop(before);
    let mut ends = opened.ends.into_iter().zip(incoming).enumerate();
    Ok(std::array::from_fn(|_| {
        let (end, ((inner, gate), incoming)) = ends.next().expect("a link has two ends");
        Tapped {
            inner,
            gate,
            incoming,
            // Only who has started a process is told how it ended.
            child: (end == 0).then(|| lives[1].clone()),
            tap: Tap {
                engine: stage.engine.clone(),
                recorder: stage.recorder.clone(),
                life: lives[end].clone(),
                sends: route(end),
                receives: route(1 - end),
                name: stage.names[link.ends[end]].clone(),
            },
        }
    }))
}

/// Lets a process be gone without a trace: the world is over.
pub(crate) fn vanish(stage: &Arc<Stage>, process: usize) {
    let life = {
        let mut processes = stage.engine.processes();
        let state = &mut processes[process];
        state.alive = false;
        state.life.clone()
    };
    life.become_ghost();
    let mut gone = Vec::new();
    for link in &stage.links {
        if let Some(end) = link.end_of(process) {
            gone.push(std::mem::take(&mut link.state().open));
            link.peers[end].send_replace(Peering::Awaited);
        }
    }
    stage.engine.drop_tasks(process, life.life);
    drop(gone);
}
