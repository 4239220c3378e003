//! Which targets need not be looked at: those of which nothing that they rest on has changed since
//! an earlier build left them as they should be. Where only their outputs have, these are put in place
//! again from the store.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use rayon::prelude::*;
use synth_core::TargetSpec;

use crate::commit::OutputPlace;
use crate::config::Pipeline;
use crate::effects::proved::{self, Proved};
use crate::graph::TargetGraph;
use crate::index::fact::{Fact, Kind, Seen, Verdict};
use crate::index::{Contents, Entry, Place};
use crate::plans::Answer;
use crate::records::Records;
use crate::report::TargetReport;
use crate::store::{KeptTree, Store};
use crate::tree::Tree;

/// A target of which nothing that it rests on has changed since an earlier build.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    name: String,
    /// What is to be put in place again: its outputs are not as that build left them.
    pub(crate) missing: Option<Tree>,
    /// What is said of it when its outputs are there.
    pub(crate) report: TargetReport,
    /// The tree that it exports.
    pub(crate) exports: KeptTree,
    /// Where its outputs are.
    pub(crate) place: OutputPlace,
    /// The digest of what it exports, when it was asked for.
    digest: OnceLock<Option<String>>,
}

/// The settled targets of a pipeline, by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settlement {
    settled: BTreeMap<usize, Settled>,
    /// Where targets left their outputs, by name.
    places: HashMap<String, OutputPlace>,
}

/// What was proven of targets, and where it is kept.
pub(crate) struct Proofs<'a> {
    pub(crate) store: &'a Store,
    pub(crate) records: &'a Records,
    /// Whether all that is built is to be published.
    pub(crate) are_published: bool,
}

/// A target that is settled if what it needs is.
struct Alone {
    settled: Settled,
    /// What was proven of it, as far as that has been asked.
    proof: Option<Proved>,
}

impl Alone {
    fn new(settled: Settled, target: &TargetSpec, proofs: &Proofs<'_>) -> Self {
        let is_asked = proofs.are_published || settled.missing.is_some();
        let find = || proved::find(proofs.records, target);
        Self {
            proof: is_asked.then(find).flatten(),
            settled,
        }
    }

    /// Whether what was proven of it last is what the index knows: what is to be published was proven,
    /// and so was what is put in place again, and what rests on that. Another build of it, or of what
    /// it needs, may have proven something else since, in another environment for example.
    fn is_proven(&self, needs: &[&Settled], target: &TargetSpec, proofs: &Proofs<'_>) -> bool {
        let restores = |settled: &Settled| settled.missing.is_some();
        if !restores(&self.settled) && !needs.iter().any(|needed| restores(needed)) {
            return !proofs.are_published || self.proof.is_some();
        }
        let found = || proved::find(proofs.records, target);
        let Some(proof) = self.proof.clone().or_else(found) else {
            return false;
        };
        let needed = needs.iter();
        let needed = needed.map(|one| Some((one.name.clone(), one.digest(proofs.store)?.clone())));
        self.settled.digest(proofs.store) == Some(&proof.exported.digest)
            && needed.collect::<Option<BTreeMap<_, _>>>() == Some(proof.needs)
    }
}

impl Settled {
    /// The digest of what it exports.
    fn digest(&self, store: &Store) -> Option<&String> {
        let digest = || {
            let tree = match &self.missing {
                Some(tree) => tree.digest(),
                None => store.tree(&self.exports)?.digest(),
            };
            Some(tree.sha256)
        };
        self.digest.get_or_init(digest).as_ref()
    }
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

    /// A target, if it is settled when what it needs is.
    fn settled(
        &self,
        entry: &Entry<'_>,
        places: &HashMap<String, OutputPlace>,
        store: &Store,
    ) -> Option<Settled> {
        if !self.is_settled(entry) {
            return None;
        }
        let place = places.get(entry.name.as_ref())?.clone();
        let missing = match self.is_left(entry) {
            true => None,
            // Of what is not in the store any more, all is to be made again.
            false => Some(store.tree(&entry.exports)?),
        };
        Some(Settled {
            name: entry.name.to_string(),
            report: match &missing {
                Some(_) => entry.report_of_cached()?,
                None => entry.report()?,
            },
            missing,
            exports: entry.exports.clone(),
            place,
            digest: OnceLock::new(),
        })
    }

    /// Whether what a target rests on is as it was. Some of that may be what it has left itself: a
    /// file among its sources that is none, because the target has written it, and the directories
    /// above. That these are gone changes nothing for the target.
    fn is_settled(&self, entry: &Entry<'_>) -> bool {
        let own = OnceCell::new();
        entry.facts.iter().all(|index| {
            let Ok(place) = usize::try_from(*index) else {
                return false;
            };
            let gone = || self.verdicts.get(place) == Some(&Verdict::Gone);
            let is_own = || {
                let own = own.get_or_init(|| self.what_is_left(entry));
                self.contents
                    .facts
                    .get(place)
                    .is_some_and(|fact| own.have(fact))
            };
            self.holds(place) || gone() && is_own()
        })
    }

    fn what_is_left(&self, entry: &Entry<'_>) -> Own<'_> {
        let mut own = Own::default();
        for index in &entry.left {
            let fact = usize::try_from(*index)
                .ok()
                .and_then(|index| self.contents.facts.get(index));
            let Some(fact) = fact else { continue };
            let path = fact.path.as_ref();
            own.paths.insert(path);
            let above = path.match_indices('/').map(|(end, _)| &path[..end]);
            own.directories.extend(above);
        }
        own
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
        proofs: &Proofs<'_>,
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
        let targets = pipeline.targets.par_iter();
        let mut alone: Vec<Option<Alone>> = targets
            .map(|target| {
                let entry = entries.get(target.name.as_str())?;
                let settled = known.settled(entry, &places, proofs.store)?;
                Some(Alone::new(settled, target, proofs))
            })
            .collect();
        let mut settled = BTreeMap::new();
        for index in graph.order() {
            let needs = graph.needs(*index).iter();
            let needs: Option<Vec<&Settled>> = needs.map(|needed| settled.get(needed)).collect();
            let found = alone.get_mut(*index).and_then(Option::take);
            if let (Some(needs), Some(found)) = (needs, found)
                && found.is_proven(&needs, &pipeline.targets[*index], proofs)
            {
                settled.insert(*index, found.settled);
            }
        }
        let store = proofs.store;
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
        let settled = self.settled.iter();
        let replaced = settled.filter(|(_, one)| one.missing.is_some() && !one.place.in_place);
        replaced.map(|(index, _)| &pipeline.targets[*index])
    }

    /// A target, if it is settled.
    pub(crate) fn take(&mut self, index: usize) -> Option<Settled> {
        self.settled.remove(&index)
    }
}

/// What a target has left, and the directories above.
#[derive(Default)]
struct Own<'a> {
    paths: HashSet<&'a str>,
    directories: HashSet<&'a str>,
}

impl Own<'_> {
    /// Whether a fact says that something of it is there.
    fn have(&self, fact: &Fact<'_>) -> bool {
        match fact.seen {
            Seen::Kind(Kind::Directory) => self.directories.contains(fact.path.as_ref()),
            Seen::Stamped(_) | Seen::Kind(_) => self.paths.contains(fact.path.as_ref()),
            _ => false,
        }
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
