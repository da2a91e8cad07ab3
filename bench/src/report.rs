//! The table for people and the JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::codec::Timing;
use crate::machine::Machine;
use crate::summary::{Outcome, Table};
use crate::targets::{self, Target, Wanted};
use crate::work::Work;

/// A whole run.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) round: Duration,
    pub(crate) spinner: bool,
    pub(crate) tables: Vec<Table>,
    pub(crate) codec: Vec<Timing>,
}

impl Report {
    /// Each target with what it was measured in.
    fn targets(&self) -> Vec<(String, Target)> {
        let of_table = |table: &Table| {
            let place = table.setting.title();
            targets::of_table(table)
                .into_iter()
                .map(move |target| (place.clone(), target))
        };
        let of_codec = targets::of_codec(&self.codec);
        let of_codec = of_codec
            .into_iter()
            .map(|target| ("codec alone".to_owned(), target));
        self.tables
            .iter()
            .flat_map(of_table)
            .chain(of_codec)
            .collect()
    }
}

/// The tables, in Markdown.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for table in &report.tables {
        link_table(&mut text, table, "", |work| !work.is_of_link());
        link_table(&mut text, table, ": the link alone", Work::is_of_link);
    }
    if !report.codec.is_empty() {
        codec_table(&mut text, &report.codec);
    }
    target_table(&mut text, &report.targets());
    let Machine {
        cores,
        processor,
        kernel,
        rustc,
        load_before,
    } = &report.machine;
    let load = load_before.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
    line(
        &mut text,
        format_args!(
            "Medians of {} rounds of {} ms. {cores} cores, {processor}, Linux {kernel}, {rustc}, \
             load before {load}{}.",
            report.rounds,
            report.round.as_millis(),
            if report.spinner {
                ""
            } else {
                ", cores may halt"
            },
        ),
    );
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String does not fail");
}

fn row<I: IntoIterator<Item = String>>(text: &mut String, cells: I) {
    let cells: Vec<_> = cells.into_iter().collect();
    line(text, format_args!("| {} |", cells.join(" | ")));
}

/// A figure of an outcome as a cell; None where the work does not have it.
type Cell = fn(&Outcome) -> Option<String>;

/// The works of `table` that are `chosen`, if there are any.
fn link_table(text: &mut String, table: &Table, addition: &str, chosen: fn(Work) -> bool) {
    let mut peers = Vec::new();
    let mut works = Vec::new();
    for outcome in table.outcomes.iter().filter(|it| chosen(it.work)) {
        if !peers.contains(&outcome.peer) {
            peers.push(outcome.peer);
        }
        if !works.contains(&outcome.work) {
            works.push(outcome.work);
        }
    }
    if works.is_empty() {
        return;
    }
    let title = capitalised(&table.setting.title());
    line(text, format_args!("### {title} runtime{addition}\n"));
    let names = peers.iter().map(|peer| (*peer).to_owned());
    row(
        text,
        ["work".to_owned(), "figure".to_owned()]
            .into_iter()
            .chain(names),
    );
    let right = peers.iter().map(|_| "---:".to_owned());
    row(
        text,
        ["---".to_owned(), "---".to_owned()]
            .into_iter()
            .chain(right),
    );
    for work in works {
        let mut title = work.title();
        for (figure, cell) in figures(work) {
            let cells = peers.iter().map(|peer| {
                table
                    .find(peer, work)
                    .and_then(cell)
                    .unwrap_or_else(|| "–".to_owned())
            });
            row(text, [title.to_owned(), figure].into_iter().chain(cells));
            title = "";
        }
    }
    line(text, format_args!(""));
}

/// The lines of one work: what they show, and how.
fn figures(work: Work) -> Vec<(String, Cell)> {
    let mut figures: Vec<(String, Cell)> = Vec::new();
    if work.is_timed() {
        figures.push(("p50 µs".to_owned(), |it| Some(number(it.p50_us?.median))));
        figures.push(("p99 µs".to_owned(), |it| Some(number(it.p99_us?.median))));
    }
    if work.is_bulk() {
        figures.push(("MB/s".to_owned(), |it| {
            Some(number(it.megabytes_per_second()))
        }));
    } else {
        figures.push((format!("{}s/s", work.operation()), |it| {
            Some(number(it.rate.median))
        }));
    }
    let cpu = format!("CPU µs per {}", work.operation());
    figures.push((cpu, |it| Some(number(it.cpu_us.median))));
    if work.counts_system_calls() {
        let calls = format!("system calls per {}", work.operation());
        figures.push((calls, |it| Some(number(it.system_calls?))));
    }
    figures
}

fn codec_table(text: &mut String, timings: &[Timing]) {
    line(
        text,
        format_args!("### Encoding and decoding, ns per value\n"),
    );
    let header = [
        "type",
        "bytes",
        "codec",
        "encode",
        "decode",
        "encode ×",
        "decode ×",
    ];
    row(text, header.map(str::to_owned));
    row(
        text,
        ["---", "---:", "---", "---:", "---:", "---:", "---:"].map(str::to_owned),
    );
    for timing in timings {
        // The first codec of each kind is what the others are held against.
        let first = timings
            .iter()
            .find(|other| other.kind == timing.kind)
            .unwrap_or(timing);
        row(
            text,
            [
                timing.kind.to_owned(),
                number(timing.encoded_len as f64),
                timing.codec.to_owned(),
                number(timing.encode_ns.median),
                number(timing.decode_ns.median),
                format!("{:.2}", timing.encode_ns.median / first.encode_ns.median),
                format!("{:.2}", timing.decode_ns.median / first.decode_ns.median),
            ],
        );
    }
    line(text, format_args!(""));
}

fn target_table(text: &mut String, targets: &[(String, Target)]) {
    if targets.is_empty() {
        return;
    }
    line(text, format_args!("### Targets\n"));
    row(
        text,
        ["target", "measured in", "wanted", "measured", ""].map(str::to_owned),
    );
    row(
        text,
        ["---", "---", "---:", "---:", "---"].map(str::to_owned),
    );
    for (place, target) in targets {
        let unit = target.unit;
        let wanted = match target.wanted {
            Wanted::AtMost(bound) => format!("≤ {} {unit}", number(bound)),
            Wanted::AtLeast(bound) => format!("≥ {} {unit}", number(bound)),
        };
        let measured = format!("{} {unit}", number(target.measured));
        let verdict = if target.met() { "met" } else { "**missed**" };
        let cells = [target.what.clone(), place.clone(), wanted, measured];
        row(text, cells.into_iter().chain([verdict.to_owned()]));
    }
    line(text, format_args!(""));
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Three significant digits, or whole with thousands apart.
fn number(figure: f64) -> String {
    if figure >= 99.95 || figure.fract() == 0.0 {
        let digits = format!("{figure:.0}");
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        return text;
    }
    match figure {
        10.0.. => format!("{figure:.1}"),
        1.0.. => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// The same figures, and the spread of each over its rounds.
pub(crate) fn json(report: &Report) -> Value {
    let targets: Vec<_> = report
        .targets()
        .iter()
        .map(|(at, it)| target_json(at, it))
        .collect();
    json!({
        "version": 1,
        "machine": report.machine,
        "settings": {
            "rounds": report.rounds,
            "round_ms": report.round.as_millis() as u64,
            "spinner": report.spinner,
        },
        "tables": report.tables.iter().map(table_json).collect::<Vec<_>>(),
        "codec": report.codec.iter().map(timing_json).collect::<Vec<_>>(),
        "targets": targets,
    })
}

fn table_json(table: &Table) -> Value {
    json!({
        "runtime": table.setting.runtime.name(),
        "processes": if table.setting.in_process { 1 } else { 2 },
        "cores": table.setting.placement.name(),
        "outcomes": table.outcomes.iter().map(outcome_json).collect::<Vec<_>>(),
    })
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "work": outcome.work.name(),
        "peer": outcome.peer,
        "operation": outcome.work.operation(),
        "payload_bytes": outcome.work.payload_len(),
        "operations_per_second": outcome.rate,
        "megabytes_per_second": outcome.megabytes_per_second(),
        "p50_us": outcome.p50_us,
        "p99_us": outcome.p99_us,
        "cpu_us_per_operation": outcome.cpu_us,
        "client_cpu_us_per_operation": outcome.client_cpu_us,
        "server_cpu_us_per_operation": outcome.server_cpu_us,
        "system_calls_per_operation": outcome.system_calls,
    })
}

fn timing_json(timing: &Timing) -> Value {
    json!({
        "type": timing.kind,
        "codec": timing.codec,
        "encoded_bytes": timing.encoded_len,
        "encode_ns": timing.encode_ns,
        "decode_ns": timing.decode_ns,
    })
}

fn target_json(place: &str, target: &Target) -> Value {
    let (bound, kind) = match target.wanted {
        Wanted::AtMost(bound) => (bound, "at_most"),
        Wanted::AtLeast(bound) => (bound, "at_least"),
    };
    json!({
        "what": target.what,
        "measured_in": place,
        "unit": target.unit,
        kind: bound,
        "measured": target.measured,
        "met": target.met(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let figures = [0.2894, 6.4, 22.0, 27.93, 99.96, 139_000.4, 31_000_000.0];
        let texts = figures.map(number);
        assert_eq!(
            texts,
            [
                "0.289",
                "6.40",
                "22",
                "27.9",
                "100",
                "139,000",
                "31,000,000"
            ]
        );
    }
}
