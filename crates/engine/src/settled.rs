//! Which targets need not be looked at: those of which nothing that they rest on has changed since
//! an earlier build left them as they should be. Where only their outputs have, these are put in place
//! again from the store.

use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;
use synth_core::TargetSpec;

use crate::commit::OutputPlace;
use crate::config::Pipeline;
use crate::graph::TargetGraph;
use crate::index::fact::{Fact, Kind, Seen, Verdict};
use crate::index::{Contents, Entry, Place};
use crate::plans::Answer;
use crate::report::TargetReport;
use crate::store::{KeptTree, Store};
use crate::tree::Tree;

/// A target of which nothing that it rests on has changed since an earlier build.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    name: String,
    /// What is to be put in place again: its outputs are not as that build left them.
    pub(crate) lost: Option<Tree>,
    /// What is said of it when its outputs are there.
    pub(crate) report: TargetReport,
    /// The tree that it exports.
    pub(crate) exports: KeptTree,
    /// Where its outputs are.
    pub(crate) place: OutputPlace,
}

/// The settled targets of a pipeline, by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settlement {
    settled: BTreeMap<usize, Settled>,
    /// Where targets left their outputs, by name.
    places: HashMap<String, OutputPlace>,
}

/// An index with what became of its facts.
struct Known<'a> {
    contents: &'a Contents<'a>,
    verdicts: &'a [Verdict],
}

impl Known<'_> {
    fn holds(&self, index: usize) -> bool {
        self.verdicts.get(index).is_some_and(|one| one.holds())
    }

    /// Whether what a target rests on is as it was. Some of that may be what it has left itself: a
    /// file among its sources that is none, because the target has written it, and the directories
    /// above. That these are gone changes nothing for the target.
    fn is_settled(&self, entry: &Entry<'_>) -> bool {
        entry.facts.iter().all(|index| {
            let Ok(place) = usize::try_from(*index) else {
                return false;
            };
            let gone = || self.verdicts.get(place) == Some(&Verdict::Gone);
            self.holds(place) || gone() && self.is_of_what_is_left(place, entry)
        })
    }

    /// Whether a fact is of something that the target has left, or of a directory above.
    fn is_of_what_is_left(&self, place: usize, entry: &Entry<'_>) -> bool {
        let fact = |place: usize| self.contents.facts.get(place);
        let Some(Fact { path, seen }) = fact(place) else {
            return false;
        };
        let left = entry.left.iter();
        let mut left = left.filter_map(|index| fact(usize::try_from(*index).ok()?));
        left.any(|left| match seen {
            Seen::Kind(Kind::Directory) => {
                let rest = left.path.strip_prefix(path.as_ref());
                rest.is_some_and(|rest| rest.starts_with('/'))
            }
            Seen::Stamped(_) | Seen::Kind(_) => left.path == *path,
            _ => false,
        })
    }

    /// Whether what a target has left is as it was.
    fn is_left(&self, entry: &Entry<'_>) -> bool {
        let mut left = entry.left.iter();
        left.all(|index| usize::try_from(*index).is_ok_and(|index| self.holds(index)))
    }
}

impl Settlement {
    /// The targets that an index speaks for, and of which it is known what was proven.
    pub(crate) fn of(
        pipeline: &Pipeline,
        graph: &TargetGraph,
        (contents, verdicts): (&Contents<'_>, &[Verdict]),
        store: &Store,
        is_proven: &dyn Fn(&TargetSpec) -> bool,
    ) -> Self {
        let known = Known { contents, verdicts };
        if !(0..contents.common).all(|index| known.holds(index)) {
            // Another configuration, or other kinds: every target may be another one.
            return Self::default();
        }
        let entries: HashMap<&str, &Entry<'_>> = contents
            .entries
            .iter()
            .map(|entry| (entry.name.as_ref(), entry))
            .collect();
        let places: HashMap<String, OutputPlace> = contents.places.iter().map(place).collect();
        let lost = contents.entries.par_iter();
        let lost = lost.filter(|entry| known.is_settled(entry) && !known.is_left(entry));
        let mut lost: HashMap<&str, Option<Tree>> = lost
            .map(|entry| (entry.name.as_ref(), store.tree(&entry.exports)))
            .collect();
        let mut settled = BTreeMap::new();
        for index in graph.order() {
            let target = &pipeline.targets[*index];
            let needs = graph.needs(*index);
            if !needs.iter().all(|needed| settled.contains_key(needed)) {
                continue;
            }
            let found = entries.get(target.name.as_str()).and_then(|entry| {
                let settled = known.is_settled(entry) && is_proven(target);
                let place = places.get(&target.name).filter(|_| settled)?.clone();
                let lost = match lost.remove(target.name.as_str()) {
                    None => None,
                    // Of what is not in the store any more, all is to be made again.
                    Some(tree) => Some(tree?),
                };
                Some(Settled {
                    name: target.name.clone(),
                    report: match &lost {
                        Some(_) => entry.report_of_cached()?,
                        None => entry.report()?,
                    },
                    lost,
                    exports: entry.exports.clone(),
                    place,
                })
            });
            if let Some(found) = found {
                settled.insert(*index, found);
            }
        }
        let mut all = Self { settled, places };
        all.open_what_is_lost(graph, store);
        all
    }

    /// What a target exports must be at hand for those that need it and are not settled: what is
    /// not in the store any more is made again.
    fn open_what_is_lost(&mut self, graph: &TargetGraph, store: &Store) {
        let mut at_hand: HashMap<usize, bool> = HashMap::new();
        loop {
            let open = graph.order().iter();
            let open = open.filter(|index| !self.settled.contains_key(index));
            let needed = open.flat_map(|index| graph.needs(*index));
            let lost = needed.copied().find(|needed| {
                self.settled.get(needed).is_some_and(|settled| {
                    !*at_hand
                        .entry(*needed)
                        .or_insert_with(|| store.tree(&settled.exports).is_some())
                })
            });
            let Some(lost) = lost else { return };
            self.settled.remove(&lost);
            for index in graph.order() {
                let needs = graph.needs(*index);
                if !needs.iter().all(|needed| self.settled.contains_key(needed)) {
                    self.settled.remove(index);
                }
            }
        }
    }

    /// The targets that are to be looked at, by index.
    pub(crate) fn open(&self, pipeline: &Pipeline) -> Vec<usize> {
        (0..pipeline.targets.len())
            .filter(|index| !self.settled.contains_key(index))
            .collect()
    }

    /// Whether a plan that was made anew leaves its outputs elsewhere than before: then they may
    /// be among what settled targets took for sources.
    pub(crate) fn is_upset_by(&self, pipeline: &Pipeline, answers: &[Answer]) -> bool {
        let open = self.open(pipeline);
        let specs = open.iter().map(|index| &pipeline.targets[*index]);
        !self.settled.is_empty()
            && specs.zip(answers).any(|(target, answer)| {
                let place = answer
                    .plan
                    .as_ref()
                    .map(|plan| OutputPlace::of(target, plan));
                place.is_some_and(|place| self.places.get(&target.name) != Some(&place))
            })
    }

    /// The names of the settled targets.
    pub(crate) fn names(&self) -> HashSet<String> {
        let settled = self.settled.values();
        settled.map(|settled| settled.name.clone()).collect()
    }

    /// Where the settled targets have their outputs.
    pub(crate) fn places(&self) -> impl Iterator<Item = (String, OutputPlace)> {
        let settled = self.settled.values();
        settled.map(|settled| (settled.name.clone(), settled.place.clone()))
    }

    /// The settled targets whose output directories are to be replaced.
    pub(crate) fn replaced<'a>(
        &self,
        pipeline: &'a Pipeline,
    ) -> impl Iterator<Item = &'a TargetSpec> {
        let lost = self.settled.iter();
        let lost = lost.filter(|(_, one)| one.lost.is_some() && !one.place.in_place);
        lost.map(|(index, _)| &pipeline.targets[*index])
    }

    /// A target, if it is settled.
    pub(crate) fn take(&mut self, index: usize) -> Option<Settled> {
        self.settled.remove(&index)
    }
}

fn place(place: &Place<'_>) -> (String, OutputPlace) {
    let patterns = place.patterns.as_ref();
    let patterns = patterns.map(|all| all.iter().map(|pattern| pattern.to_string()).collect());
    let found = OutputPlace {
        in_place: place.in_place,
        patterns,
    };
    (place.name.to_string(), found)
}
