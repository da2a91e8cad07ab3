//! Leaving faults out.

use std::collections::BTreeMap;

use super::search::{Kept, Search};
use crate::fault::What;

/// With so few faults groups of them are not worth runs of their own.
const GROUPED_MIN: usize = 8;

/// The process or link that something happens to. They are named apart: a plugin and its link
/// share a name.
fn concerns(what: &What) -> String {
    match (what.process(), what.link()) {
        (Some(process), _) => format!("process {process}"),
        (None, link) => format!("link {}", link.unwrap_or_default()),
    }
}

impl Search<'_> {
    /// Leaves out what can be left out: many at once, then ever fewer.
    pub(super) fn leave_out(&mut self) {
        if self.keep(Vec::new()) {
            return;
        }
        self.leave_what_had_no_effect();
        self.leave_groups(concerns);
        self.leave_groups(|what| what.kind().to_string());
        self.leave_pieces();
    }

    /// One run says which faults happened before the failure; the rest can hardly matter.
    fn leave_what_had_no_effect(&mut self) {
        let mut hit = self.report().hit.clone();
        hit.sort_unstable();
        let hit = hit.into_iter().map(|at| self.kept()[at].clone());
        let hit = hit.collect();
        self.keep(hit);
    }

    /// Leaves out all faults with something in common at once, largest groups first.
    fn leave_groups(&mut self, group: impl Fn(&What) -> String) {
        if self.kept().len() < GROUPED_MIN {
            return;
        }
        let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
        for kept in self.kept() {
            *sizes.entry(group(&kept.fault.what)).or_default() += 1;
        }
        let mut groups: Vec<(String, usize)> = sizes.into_iter().collect();
        groups.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        for (name, size) in groups {
            // Single ones come later, together with others.
            if size > 1 && size < self.kept().len() {
                let others = self.kept().iter();
                let others = others.filter(|kept| group(&kept.fault.what) != name);
                let others = others.cloned().collect();
                self.keep(others);
            }
        }
    }

    /// Delta debugging: keeps or leaves ever smaller pieces, until no single fault can be left out.
    /// Says whether any was.
    pub(super) fn leave_pieces(&mut self) -> bool {
        let before = self.kept().len();
        let mut parts = 2;
        while self.kept().len() > 1 {
            let size = self.kept().len().div_ceil(parts);
            let pieces: Vec<Vec<Kept>> = self.kept().chunks(size).map(<[Kept]>::to_vec).collect();
            let mut smaller = false;
            for (at, piece) in pieces.iter().enumerate() {
                if self.keep(piece.clone()) {
                    parts = 2;
                    smaller = true;
                    break;
                }
                let rest = pieces.iter().enumerate();
                let rest = rest.filter(|(other, _)| *other != at);
                let rest = rest.flat_map(|(_, piece)| piece.iter().cloned()).collect();
                if self.keep(rest) {
                    parts = (parts - 1).max(2);
                    smaller = true;
                    break;
                }
            }
            if !smaller && parts >= self.kept().len() {
                break;
            }
            if !smaller {
                parts = (parts * 2).min(self.kept().len());
            }
        }
        self.kept().len() < before
    }
}
