//! Which targets a monorepo has and what they need: the same for the same size, on every machine.

use std::collections::BTreeSet;
use std::ops::Range;

use fastrand::Rng;

/// How many steps the longest way through it has.
pub(crate) const LAYERS: usize = 8;

/// Files of each target.
pub(crate) const FILES: usize = 20;

/// The smallest that has enough targets in each layer.
pub(crate) const SMALLEST: usize = 4 * LAYERS;

/// Targets, those of lower layers first.
pub(crate) struct Graph {
    pub(crate) targets: Vec<Target>,
}

/// A package with a command.
pub(crate) struct Target {
    pub(crate) name: String,
    /// Of the layer below, as places in the graph; none for the lowest.
    pub(crate) needs: Vec<usize>,
}

/// The target of the lowest layer whose source is changed.
pub(crate) struct Change<'a> {
    pub(crate) target: &'a Target,
    /// What is built again for it, itself included, as places in the graph.
    pub(crate) reached: BTreeSet<usize>,
}

impl Graph {
    /// A graph of `size` targets, each of which needs two or three of the layer below.
    pub(crate) fn new(size: usize) -> Self {
        let mut random = Rng::with_seed(8);
        let mut targets = Vec::with_capacity(size);
        let mut below = 0..0;
        for layer in 0..LAYERS {
            let own = size * layer / LAYERS..size * (layer + 1) / LAYERS;
            targets.extend(own.clone().map(|number| Target {
                name: format!("t{:05}", number + 1),
                needs: needs(&below, &mut random),
            }));
            below = own;
        }
        Self { targets }
    }

    /// The names of what a target needs.
    pub(crate) fn needs<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a str> {
        let needs = target.needs.iter();
        needs.filter_map(|need| self.targets.get(*need).map(|need| need.name.as_str()))
    }

    /// Those that no other needs.
    pub(crate) fn last(&self) -> impl Iterator<Item = &Target> {
        let targets = self.targets.iter();
        let needed: BTreeSet<usize> = targets.flat_map(|target| target.needs.clone()).collect();
        let targets = self.targets.iter().enumerate();
        targets.filter_map(move |(place, target)| (!needed.contains(&place)).then_some(target))
    }

    /// The change that reaches the fewest targets, but at least as many as there are layers. None
    /// where no change reaches so many.
    pub(crate) fn change(&self) -> Option<Change<'_>> {
        let targets = self.targets.iter().enumerate();
        let lowest = targets.take_while(|(_, target)| target.needs.is_empty());
        let changes = lowest.map(|(place, target)| Change {
            target,
            reached: self.reached(place),
        });
        changes
            .filter(|change| change.reached.len() >= LAYERS)
            .min_by_key(|change| change.reached.len())
    }

    /// A target and all that need it, also through others.
    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let mut is_reached = vec![false; self.targets.len()];
        for (place, target) in self.targets.iter().enumerate() {
            let needs = &mut target.needs.iter();
            let through = needs.any(|need| is_reached.get(*need) == Some(&true));
            if let Some(reached) = is_reached.get_mut(place) {
                *reached = through || place == from;
            }
        }
        let places = is_reached.iter().enumerate();
        places
            .filter_map(|(place, is)| is.then_some(place))
            .collect()
    }
}

/// Two or three of a layer; none where there is no layer.
fn needs(layer: &Range<usize>, random: &mut Rng) -> Vec<usize> {
    let wanted = random.usize(2..=3).min(layer.len());
    let mut needs = BTreeSet::new();
    while needs.len() < wanted {
        needs.insert(random.usize(layer.clone()));
    }
    needs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(graph: &Graph, target: &Target) -> usize {
        let needs = target.needs.iter().map(|need| &graph.targets[*need]);
        1 + needs.map(|need| depth(graph, need)).max().unwrap_or(0)
    }

    #[test]
    fn a_monorepo_has_eight_layers_and_no_more_needs_than_asked_for() {
        for size in [SMALLEST, 100, 1000] {
            let graph = Graph::new(size);
            assert_eq!(graph.targets.len(), size);
            for (place, target) in graph.targets.iter().enumerate() {
                assert!(target.needs.is_empty() || [2, 3].contains(&target.needs.len()));
                assert!(target.needs.iter().all(|need| *need < place));
            }
            assert_eq!(depth(&graph, graph.targets.last().unwrap()), LAYERS);
        }
    }

    #[test]
    fn it_is_the_same_each_time() {
        let needs = |graph: Graph| -> Vec<Vec<usize>> {
            let targets = graph.targets.into_iter();
            targets.map(|target| target.needs).collect()
        };
        assert_eq!(needs(Graph::new(100)), needs(Graph::new(100)));
    }

    #[test]
    fn a_change_reaches_some_targets_and_not_all() {
        for size in [SMALLEST, 100, 1000, 10_000] {
            let graph = Graph::new(size);
            let Change { target, reached } = graph.change().unwrap();
            assert!(target.needs.is_empty());
            assert!(
                (LAYERS..size).contains(&reached.len()),
                "{size}: {reached:?}"
            );
        }
    }
}
