//! Comparing what happened with what was expected, in sentences.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::{CallScript, HOST, PortScript, Reads, Scenario};
use super::outcome::Ending;
use super::perform::Outcome;
use super::run::Verdict;
use crate::fault::{Fault, FaultKind};
use crate::link::LinkKind;
use crate::report::Report;
use crate::time::Nanos;
use crate::trace::{Happening, ProcessChange, Trace};

/// Of many calls of a kind, only so many are reported.
const SAME_MAX: usize = 3;

pub(super) fn problems(
    scenario: &Scenario,
    transport: LinkKind,
    outcomes: &[Vec<Outcome>],
    report: &Report,
) -> Vec<String> {
    let mut problems: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    for (call, outcomes) in scenario.calls.iter().zip(outcomes) {
        of_call(call, outcomes, &mut problems);
    }
    of_faults(scenario, transport, report, &mut problems);
    of_world(scenario, report, &mut problems);
    problems
}

fn of_call(call: &CallScript, outcomes: &[Outcome], problems: &mut Vec<String>) {
    let who = format!("call `{}` (line {})", call.name, call.line);
    let made = call.total();
    if outcomes.len() as u64 != made {
        problems.push(format!(
            "{who}: {} of {made} calls ended; the others never did",
            outcomes.len()
        ));
    }
    let wrong: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| judge(call, outcome))
        .collect();
    for text in wrong.iter().take(SAME_MAX) {
        problems.push(format!("{who} {text}"));
    }
    if wrong.len() > SAME_MAX {
        problems.push(format!("{who}: {} more like this", wrong.len() - SAME_MAX));
    }
}

/// What is wrong with one outcome, as the rest of a sentence.
fn judge(call: &CallScript, outcome: &Outcome) -> Option<String> {
    let expect = &call.expect;
    if let Some(wrong) = &outcome.wrong {
        return Some(format!("got something wrong: {wrong}"));
    }
    match &outcome.ended {
        Ok(value) => {
            if !expect.fails.is_empty() {
                let should = listed(&expect.fails);
                return Some(format!(
                    "should fail with {should}, but it returned {value}"
                ));
            }
            if let Some(wanted) = &expect.returns
                && without_nulls(wanted) != without_nulls(value)
            {
                return Some(format!("should return {wanted}, but it returned {value}"));
            }
        }
        Err((ending, says)) => {
            let allowed: Vec<Ending> = expect
                .fails
                .iter()
                .chain(&expect.may_fail)
                .copied()
                .collect();
            if !allowed.contains(ending) {
                let should = match (&expect.returns, allowed.is_empty()) {
                    (Some(wanted), true) => format!("should return {wanted}"),
                    (None, true) => "should succeed".to_owned(),
                    (_, false) => format!("should fail with {}", listed(&allowed)),
                };
                return Some(format!("{should}, but it failed with `{ending}`: {says}"));
            }
            if let Some(wanted) = &expect.says
                && !says.contains(wanted.as_str())
            {
                return Some(format!("should say `{wanted}`, but it said: {says}"));
            }
        }
    }
    let took = outcome.over - outcome.begun;
    if let Some(within) = expect.within
        && took > within
    {
        return Some(format!("should end within {within}, but it took {took}"));
    }
    if let Some(least) = expect.not_before
        && took < least
    {
        return Some(format!("should take at least {least}, but it took {took}"));
    }
    let several = call.ports.iter().filter(|port| port.gives()).count() > 1;
    call.ports
        .iter()
        .find_map(|port| misread(port, outcome, several))
}

/// What is wrong with what was read from one stream or tunnel of a call.
fn misread(port: &PortScript, outcome: &Outcome, several: bool) -> Option<String> {
    let read = outcome.reads.get(&port.name).copied();
    let (least, most) = match &port.reads {
        Reads::Any => return None,
        Reads::Absent => {
            return read
                .map(|_| format!("should be left without `{}`, but it is there", port.name));
        }
        Reads::Count { least, most } => (*least, *most),
        Reads::Items(items) if outcome.ended.is_ok() => (items.len() as u64, items.len() as u64),
        Reads::Items(items) => (0, items.len() as u64),
    };
    if read.is_none() && outcome.ended.is_ok() {
        return Some(format!("should give `{}`, but it is absent", port.name));
    }
    let read = read.unwrap_or(0);
    if (least..=most).contains(&read) {
        return None;
    }
    let wanted = match (least, most) {
        _ if least == most => least.to_string(),
        (_, u64::MAX) => format!("at least {least}"),
        (0, _) => format!("at most {most}"),
        _ => format!("{least} to {most}"),
    };
    if several {
        let name = &port.name;
        return Some(format!(
            "should read {wanted} from `{name}`, but it read {read}"
        ));
    }
    Some(format!("should read {wanted}, but it read {read}"))
}

/// TOML has no `null`: a field that is not there is meant, as in arguments.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(name, value)| (name.clone(), without_nulls(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        value => value.clone(),
    }
}

fn listed(endings: &[Ending]) -> String {
    let words: Vec<String> = endings.iter().map(|ending| format!("`{ending}`")).collect();
    words.join(" or ")
}

/// A fault that hit nothing makes a scenario say less than it seems to.
fn of_faults(
    scenario: &Scenario,
    transport: LinkKind,
    report: &Report,
    problems: &mut Vec<String>,
) {
    if !scenario.has_faults(&report.plan) {
        return;
    }
    let mut happened: Vec<(&Fault, bool)> = events(report)
        .filter_map(|event| match event {
            Happening::Fault { fault, hit } => Some((fault, *hit)),
            _ => None,
        })
        .collect();
    for script in scenario.faults.iter().filter(|script| !script.may_miss) {
        let place = happened
            .iter()
            .position(|(fault, _)| **fault == script.fault);
        let what = format!("fault `{}` (line {})", script.fault, script.line);
        let came = place.map(|at| happened.remove(at));
        if came.is_some_and(|(_, hit)| hit) {
            continue;
        }
        problems.push(match (foreign(&script.fault, transport), came) {
            (Some(why), _) => format!("{what} cannot happen over `{}`, {why}", transport.name()),
            (None, Some(_)) => format!("{what} came when there was nothing to hit"),
            (None, None) => format!("{what} never came"),
        });
    }
}

/// Why a fault hits nothing over this transport, whenever it comes, and where it would.
fn foreign(fault: &Fault, transport: LinkKind) -> Option<String> {
    let kind = fault.what.kind();
    if transport.can_have(kind) {
        return None;
    }
    let lacks = match (transport, kind) {
        (LinkKind::Mem, FaultKind::Corrupt) => "which has no bytes",
        (LinkKind::Mem, FaultKind::Window | FaultKind::ShortIo) => "which hands over whole frames",
        (_, FaultKind::Doorbell) => "which has no doorbells",
        _ => "which has nothing like that",
    };
    let can = [LinkKind::Stream, LinkKind::Mem, LinkKind::Shm].into_iter();
    let can = can.filter(|other| other.can_have(kind));
    let can: Vec<String> = can.map(|other| format!("\"{}\"", other.name())).collect();
    let can = can.join(", ");
    Some(format!(
        "{lacks}; write `transports = [{can}]` at the top of the file"
    ))
}

/// What is wrong whatever goes wrong, when the run had other faults than the scenario's own.
pub(super) fn essential(scenario: &Scenario, verdict: &Verdict) -> Vec<String> {
    let report = &verdict.report;
    let own = |fault: &Fault| scenario.faults.iter().any(|script| script.fault == *fault);
    let others = report.plan.faults.iter().filter(|fault| !own(fault));
    let deaths = others.filter(|fault| {
        matches!(
            fault.what.kind(),
            FaultKind::Kill
                | FaultKind::KillLosing
                | FaultKind::KillAfterStore
                | FaultKind::Restart
        )
    });
    let crashed: Vec<&str> = deaths.filter_map(|fault| fault.what.process()).collect();
    let mut problems: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    if let Some(trace) = &report.trace {
        problems.extend(unended(trace));
    }
    for (call, outcomes) in scenario.calls.iter().zip(&verdict.outcomes) {
        let (ended, made) = (outcomes.len() as u64, call.total());
        // Who dies before it has begun to call has nothing to end; and nobody outlives the host.
        let all_begin = !crashed.contains(&call.from.as_str()) && !crashed.contains(&HOST);
        if ended > made || (ended < made && all_begin) {
            problems.push(format!("{ended} of {made} calls `{}` ended", call.name));
        }
        let mut wrong = outcomes.iter().filter_map(|outcome| outcome.wrong.as_ref());
        if let Some(wrong) = wrong.next() {
            problems.push(format!("call `{}` got something wrong: {wrong}", call.name));
        }
    }
    problems
}

/// Calls that were begun and never ended, in whichever process.
fn unended(trace: &Trace) -> Vec<String> {
    let mut open = BTreeMap::new();
    for event in &trace.events {
        if let Happening::Call {
            process,
            call,
            label,
            outcome,
        } = &event.what
        {
            match outcome {
                None => open.insert(
                    *call,
                    format!("call {call} `{label}` of {process} never ended"),
                ),
                Some(_) => open.remove(call),
            };
        }
    }
    open.into_values().collect()
}

fn of_world(scenario: &Scenario, report: &Report, problems: &mut Vec<String>) {
    let expect = &scenario.expect;
    for mark in &expect.marks {
        if report.marks.get(mark).is_none_or(|count| *count == 0) {
            problems.push(format!("the mark `{mark}` was never reached"));
        }
    }
    for (plugin, wanted) in &expect.lives {
        let lives = changes(report, plugin)
            .filter(|change| **change == ProcessChange::Spawned)
            .count() as u64;
        if lives != *wanted {
            problems.push(format!(
                "{plugin} should have {wanted} lives, but it had {lives}"
            ));
        }
    }
    for process in &expect.dead {
        let alive = changes(report, process).last().is_none_or(|change| {
            !matches!(
                change,
                ProcessChange::Killed | ProcessChange::Exited(_) | ProcessChange::Panicked(_)
            )
        });
        if alive {
            problems.push(format!("{process} should be dead at the end, but it lives"));
        }
    }
    if let Some(by) = expect.over_by
        && report.virtual_time > by
    {
        let took = Nanos(report.virtual_time.0 / 1_000 * 1_000);
        problems.push(format!(
            "all should be over by {by}, but it took until {took}"
        ));
    }
}

fn events(report: &Report) -> impl Iterator<Item = &Happening> {
    let trace = report.trace.iter();
    trace.flat_map(|trace| trace.events.iter().map(|event| &event.what))
}

fn changes<'r>(report: &'r Report, name: &str) -> impl Iterator<Item = &'r ProcessChange> {
    events(report).filter_map(move |event| match event {
        Happening::Process {
            process, change, ..
        } if process == name => Some(change),
        _ => None,
    })
}
