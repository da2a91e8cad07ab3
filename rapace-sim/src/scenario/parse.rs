//! From a file to a [`Scenario`]; calls, limits and expectations have files of their own.

use std::ops::Range;

use rapace_session::Limits;
use toml::de::DeTable;

use super::calls::Calls;
use super::document::{Field, Table, in_order, inside};
use super::error::{Problem, ScriptError};
use super::expect;
use super::limits;
use super::model::{FaultScript, HOST, Party, PluginScript, Scenario};
use super::sentence;
use super::services::Services;
use crate::fault::{Fault, What};
use crate::link::{LinkConfig, LinkKind};
use crate::program::Restart;

/// Files longer than this are refused: nobody wrote them by hand.
const FILE_BYTES_MAX: usize = 1 << 20;
const TRANSPORTS: [(&str, LinkKind); 3] = [
    ("stream", LinkKind::Stream),
    ("mem", LinkKind::Mem),
    ("shm", LinkKind::Shm),
];

/// The tables and keys of the format; what is not here is refused.
const TOP: &[&str] = &[
    "about",
    "transports",
    "seed",
    "host",
    "plugin",
    "call",
    "fault",
    "expect",
];
const PARTY: &[&str] = &["serves", "limits"];
const PLUGIN: &[&str] = &["serves", "limits", "link", "restart"];
const LINK: &[&str] = &[
    "latency",
    "jitter",
    "window_bytes",
    "short_io",
    "ring_frames",
    "slots_max",
    "lane_bytes_max",
];
const FAULT: &[&str] = &["when", "what", "may_miss"];

/// All keys of the format, for the test that they are documented.
#[cfg(test)]
pub(super) fn all_keys() -> impl Iterator<Item = &'static str> {
    let tables = [TOP, PARTY, PLUGIN, LINK, FAULT, expect::KEYS, limits::KEYS];
    let tables = tables.into_iter().chain(super::calls::KEYS.iter().copied());
    tables.flatten().copied()
}

impl Scenario {
    /// Reads a scenario that uses the standard services. `name` is what it is called.
    ///
    /// Never panics, whatever the text.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be understood, with its line and what was expected there.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, ScriptError> {
        Scenario::parse_with(name, text, &Services::standard())
    }

    /// As [`Scenario::parse`], with services of one's own.
    ///
    /// # Errors
    ///
    /// As for [`Scenario::parse`].
    pub fn parse_with(
        name: &str,
        text: &str,
        services: &Services,
    ) -> Result<Scenario, ScriptError> {
        let stem = name.rsplit('/').next().unwrap_or(name);
        let stem = stem.strip_suffix(".toml").unwrap_or(stem);
        let parser = Parser { text, services };
        parser
            .scenario(stem)
            .map_err(|problem| problem.at(name, text))
    }
}

pub(super) struct Parser<'t> {
    text: &'t str,
    pub(super) services: &'t Services,
}

impl Parser<'_> {
    fn scenario(&self, name: &str) -> Result<Scenario, Problem> {
        if self.text.len() > FILE_BYTES_MAX {
            let message = format!("a scenario is at most {FILE_BYTES_MAX} bytes long");
            return Err(Problem::new(0..0, message));
        }
        let document = DeTable::parse(self.text).map_err(|error| {
            let end = self.text.len();
            Problem::new(error.span().unwrap_or(end..end), error.message())
        })?;
        let top = Table::new(document.get_ref(), 0..0, "a scenario", TOP)?;
        let about = top.need("about", "say in a sentence what the scenario shows")?;
        let plugins = self.plugins(&top)?;
        let calls = Calls {
            parser: self,
            plugins: &plugins,
        }
        .read(&top)?;
        let scenario = Scenario {
            name: name.to_owned(),
            about: about.text()?.trim().to_owned(),
            transports: transports(&top)?,
            seed: top.number("seed", i64::MAX as u64)?.unwrap_or(1),
            host: match top.get("host") {
                Some(host) => {
                    let (span, entries) = host.table()?;
                    self.party(&Table::new(entries, span, "the host", PARTY)?)?
                }
                None => self.everything(),
            },
            faults: self.faults(&top, &plugins)?,
            expect: expect::of_world(&top, &plugins)?,
            plugins,
            calls,
        };
        Ok(scenario)
    }

    fn everything(&self) -> Party {
        Party {
            serves: self.services.by_default(),
            limits: Limits::default(),
        }
    }

    fn plugins(&self, top: &Table<'_, '_>) -> Result<Vec<PluginScript>, Problem> {
        let field = top.need(
            "plugin",
            "a world has at least one plugin: write [plugin.images]",
        )?;
        let (span, entries) = field.table()?;
        let mut plugins = Vec::new();
        for (key, node) in in_order(entries) {
            let name = key.get_ref();
            let simple = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if name.is_empty() || !name.chars().all(simple) || name == HOST {
                let message = format!("a plugin cannot be called `{name}`");
                let hint = "use letters, digits, - and _; `host` is taken";
                return Err(Problem::new(key.span(), message).hint(hint));
            }
            let (span, entries) = Field { key: name, node }.table()?;
            plugins.push(self.plugin(name, &Table::new(entries, span, "a plugin", PLUGIN)?)?);
        }
        if plugins.is_empty() {
            return Err(
                Problem::new(span, "a world has at least one plugin").hint("write [plugin.images]")
            );
        }
        Ok(plugins)
    }

    fn plugin(&self, name: &str, table: &Table<'_, '_>) -> Result<PluginScript, Problem> {
        let mut link = LinkConfig::default();
        if let Some(field) = table.get("link") {
            let (span, entries) = field.table()?;
            let table = Table::new(entries, span, "a link", LINK)?;
            link.latency = table.nanos("latency")?.unwrap_or(link.latency);
            link.jitter = table.nanos("jitter")?.unwrap_or(link.jitter);
            link.short_io = table.flag("short_io")?.unwrap_or(link.short_io);
            let positive = |key, place: &mut u32| match table.get(key) {
                Some(field) => at_least_one(field, field.bytes()?).map(|number| *place = number),
                None => Ok(()),
            };
            positive("window_bytes", &mut link.window_bytes)?;
            positive("ring_frames", &mut link.shm.ring_frames)?;
            positive("slots_max", &mut link.shm.slots_max)?;
            positive("lane_bytes_max", &mut link.shm.lane_bytes_max)?;
        }
        let restart = match table.get("restart") {
            None => Restart::default(),
            Some(field) if field.text() == Ok("never") => Restart::Never,
            Some(field) => {
                let after = field.nanos().map_err(|problem| {
                    problem.hint("write \"never\", or how long it stays down: \"20ms\"")
                })?;
                Restart::Backoff {
                    initial: after,
                    max: after,
                }
            }
        };
        Ok(PluginScript {
            name: name.to_owned(),
            party: self.party(table)?,
            link,
            restart,
        })
    }

    fn party(&self, table: &Table<'_, '_>) -> Result<Party, Problem> {
        let serves = match table.get("serves") {
            None => self.services.by_default(),
            Some(field) => {
                let mut serves = Vec::new();
                for (span, name) in field.texts()? {
                    if !self.services.names().contains(&name) {
                        let message = format!("there is no service `{name}`");
                        return Err(
                            Problem::new(span, message).suggest(name, self.services.names())
                        );
                    }
                    serves.push(name.to_owned());
                }
                serves
            }
        };
        let limits = match table.get("limits") {
            Some(field) => limits::read(field)?,
            None => Limits::default(),
        };
        Ok(Party { serves, limits })
    }

    fn faults(
        &self,
        top: &Table<'_, '_>,
        plugins: &[PluginScript],
    ) -> Result<Vec<FaultScript>, Problem> {
        let Some(field) = top.get("fault") else {
            return Ok(Vec::new());
        };
        let tables = field.tables()?.into_iter();
        let read = |(span, entries): (Range<usize>, _)| {
            let table = Table::new(entries, span, "a fault", FAULT)?;
            let when = table.need("when", "say when: when = \"at 20ms\"")?;
            let what = table.need("what", "say what happens: what = \"kill images\"")?;
            let fault = Fault {
                when: sentence::when(when.text()?).map_err(|it| self.within(&when, it))?,
                what: sentence::what(what.text()?).map_err(|it| self.within(&what, it))?,
            };
            self.who_is_there(&fault, plugins, &when, &what)?;
            Ok(FaultScript {
                fault,
                may_miss: table.flag("may_miss")?.unwrap_or(false),
                line: self.line(table.span.start),
            })
        };
        tables.map(read).collect()
    }

    /// Whether everybody and everything that a fault names is there.
    fn who_is_there(
        &self,
        fault: &Fault,
        plugins: &[PluginScript],
        when: &Field<'_, '_>,
        what: &Field<'_, '_>,
    ) -> Result<(), Problem> {
        let names = names(plugins);
        for name in fault.when.processes() {
            process(self.word(when, name), name, &names)?;
        }
        if let Some(name) = fault.what.process() {
            process(self.word(what, name), name, &names)?;
        }
        if let What::CutHalf { from, .. } | What::Corrupt { from, .. } = &fault.what {
            process(self.word(what, from), from, &names)?;
        }
        if let Some(link) = fault.what.link()
            && !names[1..].contains(&link)
        {
            let message = format!("there is no link `{link}`");
            let links = names[1..].iter().copied();
            return Err(Problem::new(self.word(what, link), message).suggest(link, links));
        }
        Ok(())
    }

    /// Where a word stands that a sentence has.
    fn word(&self, field: &Field<'_, '_>, word: &str) -> Range<usize> {
        let at = field
            .text()
            .ok()
            .and_then(|text| sentence::place(text, word));
        at.map_or_else(|| field.span(), |at| inside(field, self.text, at))
    }

    /// A problem inside of a text, as a problem of the file.
    pub(super) fn within(&self, field: &Field<'_, '_>, problem: Problem) -> Problem {
        Problem {
            span: inside(field, self.text, problem.span),
            ..problem
        }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

pub(super) fn at_least_one(field: Field<'_, '_>, number: u32) -> Result<u32, Problem> {
    if number == 0 {
        let message = format!("`{}` is at least 1", field.key);
        return Err(Problem::new(field.span(), message));
    }
    Ok(number)
}

fn transports(top: &Table<'_, '_>) -> Result<Vec<LinkKind>, Problem> {
    let Some(field) = top.get("transports") else {
        return Ok(TRANSPORTS.iter().map(|(_, kind)| *kind).collect());
    };
    let names = field.texts()?.into_iter();
    let kinds: Vec<LinkKind> = names
        .map(|(span, name)| transport(span, name))
        .collect::<Result<_, _>>()?;
    if kinds.is_empty() {
        return Err(Problem::new(
            field.span(),
            "a scenario runs over at least one transport",
        ));
    }
    Ok(kinds)
}

/// The transport of this name.
pub(super) fn transport(span: Range<usize>, name: &str) -> Result<LinkKind, Problem> {
    let known = TRANSPORTS.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let names = TRANSPORTS.iter().map(|(name, _)| *name);
        Problem::new(span, format!("there is no transport `{name}`")).suggest(name, names)
    })
}

/// All processes, the host first.
pub(super) fn names(plugins: &[PluginScript]) -> Vec<&str> {
    let plugins = plugins.iter().map(|plugin| plugin.name.as_str());
    std::iter::once(HOST).chain(plugins).collect()
}

pub(super) fn process(span: Range<usize>, name: &str, names: &[&str]) -> Result<String, Problem> {
    if names.contains(&name) {
        return Ok(name.to_owned());
    }
    let message = format!("there is no process `{name}`");
    Err(Problem::new(span, message).suggest(name, names.iter().copied()))
}
