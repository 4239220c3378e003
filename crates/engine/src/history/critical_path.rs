//! What bounds a build of everything: the longest way through the graph, and what would be gained if
//! one of its actions took no time. Takes a graph with durations; knows no database.

use std::cmp::Reverse;
use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph::GraphTarget;

/// For how many of its actions it is told what they would gain.
const MOST_GAINS: usize = 20;

/// The longest way through the graph of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriticalPath {
    /// The pipeline's name.
    pub pipeline: String,
    /// The environment selected, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How long a build of everything takes at least, however much runs at once, in milliseconds.
    pub length_ms: u64,
    /// How long all actions take together, in milliseconds.
    pub work_ms: u64,
    /// With fewer actions at once than these it takes longer.
    pub least_jobs: u64,
    /// Actions that were never executed, as far as is known; they count as if they took no time.
    pub unknown_actions: u64,
    /// The actions of the way, from its start to its end.
    pub steps: Vec<CriticalStep>,
}

/// An action on the longest way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriticalStep {
    /// The target's name.
    pub target: String,
    /// The action's name in the plan.
    pub action: String,
    /// What a person is told.
    pub description: String,
    /// How long its last execution took, in milliseconds.
    pub duration_ms: u64,
    /// How much shorter the longest way would be without it, in milliseconds: another way may be
    /// nearly as long. None for an action that is not among the longest of the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_ms: Option<u64>,
}

/// Finds it; none where there is nothing that takes time, or where needs go in a circle.
pub(super) fn critical_path(
    pipeline: &str,
    environment: &str,
    targets: &[GraphTarget],
) -> Option<CriticalPath> {
    let net = Net::of(targets)?;
    let (length, path) = net.longest(None);
    if length == 0 {
        return None;
    }
    let mut longest: Vec<usize> = path.clone();
    longest.sort_by_key(|node| Reverse(net.weights[*node]));
    longest.truncate(MOST_GAINS);
    let step = |node: &usize| {
        let (target, action) = net.actions[*node]?;
        let (target, action) = (&targets[target], &targets[target].actions[action]);
        let gain = longest.contains(node).then(|| {
            let (without, _) = net.longest(Some(*node));
            length - without
        });
        Some(CriticalStep {
            target: target.name.clone(),
            action: action.id.clone(),
            description: action.description.clone(),
            duration_ms: net.weights[*node],
            gain_ms: gain,
        })
    };
    let work_ms = net.weights.iter().sum();
    let all = targets.iter().flat_map(|target| &target.actions);
    let unknown = all.filter(|action| action.executed_ms.is_none()).count();
    Some(CriticalPath {
        pipeline: pipeline.to_owned(),
        environment: Some(environment.to_owned()).filter(|name| !name.is_empty()),
        length_ms: length,
        work_ms,
        least_jobs: work_ms.div_ceil(length),
        unknown_actions: u64::try_from(unknown).unwrap_or(u64::MAX),
        steps: path.iter().filter_map(step).collect(),
    })
}

/// A target begins and ends in a node of its own that takes no time, so that each target waits for
/// the ends of others and not for all their actions.
struct Net {
    weights: Vec<u64>,
    /// What each node waits for.
    before: Vec<Vec<usize>>,
    /// Each after all that it waits for.
    order: Vec<usize>,
    /// The target and the action that a node is, if it is one.
    actions: Vec<Option<(usize, usize)>>,
}

impl Net {
    /// None when it can't be put into an order.
    fn of(targets: &[GraphTarget]) -> Option<Self> {
        let mut net = Self {
            weights: Vec::new(),
            before: Vec::new(),
            order: Vec::new(),
            actions: Vec::new(),
        };
        let mut ends: HashMap<&str, usize> = HashMap::new();
        let mut beginnings = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            let begin = net.add(0, Vec::new(), None);
            let first = begin + 1;
            let ids: HashMap<&str, usize> = target
                .actions
                .iter()
                .enumerate()
                .map(|(position, action)| (action.id.as_str(), first + position))
                .collect();
            for (position, action) in target.actions.iter().enumerate() {
                let after = action.after.iter();
                let mut before: Vec<usize> = after
                    .filter_map(|id| ids.get(id.as_str()).copied())
                    .collect();
                before.push(begin);
                let weight = action.executed_ms.unwrap_or(0);
                net.add(weight, before, Some((index, position)));
            }
            let end = net.add(0, (begin..first + target.actions.len()).collect(), None);
            ends.insert(&target.name, end);
            beginnings.push(begin);
        }
        for (target, begin) in targets.iter().zip(beginnings) {
            let needs = target.needs.iter();
            net.before[begin] = needs
                .filter_map(|need| ends.get(need.as_str()).copied())
                .collect();
        }
        net.put_in_order().then_some(net)
    }

    fn add(&mut self, weight: u64, before: Vec<usize>, action: Option<(usize, usize)>) -> usize {
        self.weights.push(weight);
        self.before.push(before);
        self.actions.push(action);
        self.weights.len() - 1
    }

    fn put_in_order(&mut self) -> bool {
        let mut waits: Vec<usize> = self.before.iter().map(Vec::len).collect();
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
        for (node, before) in self.before.iter().enumerate() {
            for earlier in before {
                after[*earlier].push(node);
            }
        }
        let is_free = |node: &usize| waits[*node] == 0;
        let mut free: Vec<usize> = (0..waits.len()).filter(is_free).collect();
        while let Some(node) = free.pop() {
            self.order.push(node);
            for later in &after[node] {
                waits[*later] -= 1;
                if waits[*later] == 0 {
                    free.push(*later);
                }
            }
        }
        self.order.len() == waits.len()
    }

    /// How long the longest way is, and the nodes on it that take time; `without` takes none.
    fn longest(&self, without: Option<usize>) -> (u64, Vec<usize>) {
        let mut ends = vec![0_u64; self.weights.len()];
        let mut from: Vec<Option<usize>> = vec![None; self.weights.len()];
        for node in &self.order {
            let before = self.before[*node].iter().copied();
            let last = before.max_by_key(|before| ends[*before]);
            let weight = match without {
                Some(left_out) if left_out == *node => 0,
                _ => self.weights[*node],
            };
            ends[*node] = last.map_or(0, |last| ends[last]).saturating_add(weight);
            from[*node] = last;
        }
        let last = self.order.iter().copied().max_by_key(|node| ends[*node]);
        let length = last.map_or(0, |last| ends[last]);
        let mut path: Vec<usize> = std::iter::successors(last, |node| from[*node])
            .filter(|node| self.weights[*node] > 0)
            .collect();
        path.reverse();
        (length, path)
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::GraphAction;
    use super::*;

    /// A target: `needs`, then actions as `id after.. ms`.
    fn target(name: &str, needs: &[&str], actions: &[(&str, &[&str], u64)]) -> GraphTarget {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let action = |(id, after, took): &(&str, &[&str], u64)| GraphAction {
            id: (*id).to_owned(),
            description: format!("do {id}"),
            after: owned(after),
            executed_ms: (*took > 0).then_some(*took),
        };
        GraphTarget {
            name: name.to_owned(),
            needs: owned(needs),
            actions: actions.iter().map(action).collect(),
        }
    }

    fn steps(found: &CriticalPath) -> Vec<(String, u64, Option<u64>)> {
        let steps = found.steps.iter();
        steps
            .map(|step| {
                let name = format!("{}.{}", step.target, step.action);
                (name, step.duration_ms, step.gain_ms)
            })
            .collect()
    }

    #[test]
    fn the_longest_way_and_what_each_of_its_actions_would_gain() {
        // api: install 10, then test 40 beside build 5; site 30; image 20 needs both.
        let api: &[(&str, &[&str], u64)] = &[
            ("install", &[], 10),
            ("build", &["install"], 5),
            ("test", &["install"], 40),
        ];
        let targets = [
            target("api", &[], api),
            target(
                "image",
                &["api", "site"],
                &[("build", &[], 20), ("scan", &[], 0)],
            ),
            target("site", &[], &[("assemble", &[], 30)]),
        ];
        let found = critical_path("shop", "", &targets).unwrap();
        assert_eq!((found.length_ms, found.work_ms), (70, 105));
        assert_eq!((found.least_jobs, found.unknown_actions), (2, 1));
        assert_eq!(
            steps(&found),
            [
                // Without it the tests take 40 and the image 20.
                ("api.install".to_owned(), 10, Some(10)),
                // Without it the site takes 30.
                ("api.test".to_owned(), 40, Some(20)),
                ("image.build".to_owned(), 20, Some(20)),
            ]
        );
    }

    #[test]
    fn what_goes_in_a_circle_or_takes_no_time_has_none() {
        let circle = [
            target("a", &["b"], &[("run", &[], 1)]),
            target("b", &["a"], &[("run", &[], 1)]),
        ];
        assert_eq!(critical_path("p", "", &circle), None);
        assert_eq!(critical_path("p", "", &[]), None);
        let nothing = [target("a", &["gone"], &[("run", &["gone"], 0)])];
        assert_eq!(critical_path("p", "", &nothing), None);
    }
}
