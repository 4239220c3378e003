//! Which targets need not be looked at: those of which nothing that they rest on has changed since
//! an earlier build left them as they should be.

use std::collections::{BTreeMap, HashMap, HashSet};

use synth_core::TargetSpec;

use crate::commit::OutputPlace;
use crate::config::Pipeline;
use crate::graph::TargetGraph;
use crate::index::fact::Verdict;
use crate::index::{Contents, Entry, Place};
use crate::plans::Answer;
use crate::report::TargetReport;
use crate::store::{KeptTree, Store};

/// A target that an earlier build left as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    name: String,
    /// That it is up to date.
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
type Known<'a> = (Contents<'a>, &'a [Verdict]);

impl Settlement {
    /// The targets that an index speaks for, and of which it is known what was proven.
    pub(crate) fn of(
        pipeline: &Pipeline,
        graph: &TargetGraph,
        (contents, verdicts): &Known<'_>,
        store: &Store,
        is_proven: &dyn Fn(&TargetSpec) -> bool,
    ) -> Self {
        let holds = |index: usize| verdicts.get(index).is_some_and(|v| *v != Verdict::Changed);
        if !(0..contents.common).all(holds) {
            // Another configuration, or other kinds: every target may be another one.
            return Self::default();
        }
        let entries: HashMap<&str, &Entry<'_>> = contents
            .entries
            .iter()
            .map(|entry| (entry.name.as_ref(), entry))
            .collect();
        let places: HashMap<String, OutputPlace> = contents.places.iter().map(place).collect();
        let mut settled = BTreeMap::new();
        for index in graph.order() {
            let target = &pipeline.targets[*index];
            let needs = graph.needs(*index);
            if !needs.iter().all(|needed| settled.contains_key(needed)) {
                continue;
            }
            let found = entries.get(target.name.as_str()).and_then(|entry| {
                let mut facts = entry.facts.iter();
                let same = facts.all(|fact| usize::try_from(*fact).is_ok_and(holds));
                let known = same && is_proven(target);
                let place = places.get(&target.name).filter(|_| known)?.clone();
                Some(Settled {
                    name: target.name.clone(),
                    report: entry.report()?,
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
