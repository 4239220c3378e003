//! The one graph of all targets' actions, with the state of each. Says what may start; starts
//! nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use synth_core::{Action, InputSource, Plan};

use crate::graph::TargetGraph;

/// An action's index in the graph.
pub(crate) type ActionIndex = usize;

/// Where an action is on its way.
///
/// ```text
/// Waiting ──> Running ──> Executed | Cached | Failed | Cancelled
///    └──────> Skipped | Cancelled
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActionState {
    /// Something it depends on is not done.
    Waiting,
    /// It has been handed out.
    Running,
    /// It ran and succeeded.
    Executed,
    /// Its result was known.
    Cached,
    /// It ran and failed.
    Failed,
    /// Something it depends on failed.
    Skipped,
    /// The build stopped before it was done.
    Cancelled,
}

impl ActionState {
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Executed | Self::Cached)
    }

    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// Where a target is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetState {
    /// Some of its actions are not over.
    Open,
    /// All its actions succeeded; its outputs are to be put in place.
    Proven,
    /// Its outputs are what they should be.
    Done,
    /// It can't succeed any more.
    Failed,
}

pub(crate) struct Node {
    pub(crate) target: usize,
    pub(crate) action: Action,
    pub(crate) state: ActionState,
    /// How long it takes from its start to the end of what waits for it longest, in milliseconds.
    way: u64,
    /// How many actions of the same target that must have succeeded have not yet.
    waits_for: usize,
    /// Actions of the same target that wait for it.
    dependents: Vec<ActionIndex>,
}

/// The actions of a pipeline.
pub(crate) struct ActionGraph {
    nodes: Vec<Node>,
    /// By target: its actions, and what it needs.
    targets: Vec<TargetNode>,
    /// Actions that may start, those of the longest way first.
    ready: BTreeSet<(Reverse<u64>, ActionIndex)>,
    /// Targets whose state, or the state of one of whose actions, has changed since somebody asked.
    touched: BTreeSet<usize>,
}

struct TargetNode {
    actions: Vec<ActionIndex>,
    needs: Vec<usize>,
    /// How many of the targets it needs are not done.
    waits_for: usize,
    /// Targets that need it.
    dependents: Vec<usize>,
    /// How many of its actions have not succeeded.
    unproven: usize,
    state: TargetState,
}

/// The actions of its plan that an action comes after: those whose outputs it takes, and those that
/// it names. Some may come twice.
pub(crate) fn comes_after(action: &Action) -> impl Iterator<Item = &str> {
    let from_inputs = action.inputs.iter().filter_map(|input| match &input.from {
        InputSource::Output { action, .. } => Some(action.as_str()),
        _ => None,
    });
    from_inputs.chain(action.after.iter().map(String::as_str))
}

impl ActionGraph {
    /// The graph of checked plans, one for each target.
    pub(crate) fn new<'a>(plans: impl Iterator<Item = &'a Plan>, targets: &TargetGraph) -> Self {
        let plans: Vec<&Plan> = plans.collect();
        let mut graph = Self {
            nodes: Vec::new(),
            targets: (0..plans.len())
                .map(|target| TargetNode {
                    actions: Vec::new(),
                    needs: targets.needs(target).to_vec(),
                    waits_for: targets.needs(target).len(),
                    dependents: Vec::new(),
                    unproven: 0,
                    state: TargetState::Open,
                })
                .collect(),
            ready: BTreeSet::new(),
            touched: BTreeSet::new(),
        };
        for target in 0..plans.len() {
            for needed in targets.needs(target) {
                graph.targets[*needed].dependents.push(target);
            }
        }
        // Actions are numbered in an order that respects needs, which makes a build of one at a
        // time a stable one.
        for target in targets.order() {
            graph.add(*target, plans[*target]);
        }
        graph
    }

    fn add(&mut self, target: usize, plan: &Plan) {
        let first = self.nodes.len();
        let indices: BTreeMap<&str, ActionIndex> = plan
            .actions
            .iter()
            .enumerate()
            .map(|(position, action)| (action.id.as_str(), first + position))
            .collect();
        for action in &plan.actions {
            self.targets[target].actions.push(self.nodes.len());
            self.nodes.push(Node {
                target,
                action: action.clone(),
                state: ActionState::Waiting,
                way: 0,
                waits_for: 0,
                dependents: Vec::new(),
            });
        }
        for (position, action) in plan.actions.iter().enumerate() {
            let before = comes_after(action).filter_map(|id| indices.get(id));
            let depends: BTreeSet<ActionIndex> = before.copied().collect();
            self.nodes[first + position].waits_for = depends.len();
            for before in depends {
                self.nodes[before].dependents.push(first + position);
            }
        }
        self.targets[target].unproven = plan.actions.len();
        if self.targets[target].waits_for == 0 {
            self.begin(target);
        }
    }

    /// All that a target needs is done: what waits for nothing else may start.
    fn begin(&mut self, target: usize) {
        for index in self.targets[target].actions.clone() {
            self.make_ready(index);
        }
    }

    fn make_ready(&mut self, index: ActionIndex) {
        let node = &self.nodes[index];
        let begun = self.targets[node.target].waits_for == 0;
        if begun && node.waits_for == 0 && node.state == ActionState::Waiting {
            self.ready.insert((Reverse(node.way), index));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, index: ActionIndex) -> &Node {
        &self.nodes[index]
    }

    pub(crate) fn actions_of(&self, target: usize) -> &[ActionIndex] {
        &self.targets[target].actions
    }

    pub(crate) fn target_state(&self, target: usize) -> TargetState {
        self.targets[target].state
    }

    pub(crate) fn needs_of(&self, target: usize) -> &[usize] {
        &self.targets[target].needs
    }

    pub(crate) fn dependents_of(&self, target: usize) -> &[usize] {
        &self.targets[target].dependents
    }

    /// Whether all that a target needs is done.
    pub(crate) fn has_what_it_needs(&self, target: usize) -> bool {
        self.targets[target].waits_for == 0
    }

    /// Takes note of how long actions are going to take, in milliseconds: what lies on the longest
    /// way to the end starts first.
    pub(crate) fn expect(&mut self, duration: impl Fn(&Node) -> u64) {
        // Whatever depends on an action has a higher number, and so has every target that needs
        // its target.
        let mut way_of_target = vec![0; self.targets.len()];
        for index in (0..self.nodes.len()).rev() {
            let node = &self.nodes[index];
            let after = node.dependents.iter().map(|after| self.nodes[*after].way);
            let needed_by = self.targets[node.target].dependents.iter();
            let needed_by = needed_by.map(|dependent| way_of_target[*dependent]);
            let rest = after.chain(needed_by).max().unwrap_or_default();
            let way = duration(node).saturating_add(rest);
            let of_target = &mut way_of_target[node.target];
            *of_target = way.max(*of_target);
            self.nodes[index].way = way;
        }
        let ready: Vec<ActionIndex> = self.ready.iter().map(|(_, index)| *index).collect();
        self.ready.clear();
        for index in ready {
            self.make_ready(index);
        }
    }

    /// The actions that may start, first the one that should.
    pub(crate) fn ready(&self) -> impl Iterator<Item = ActionIndex> {
        self.ready.iter().map(|(_, index)| *index)
    }

    /// Whether an action may start.
    pub(crate) fn is_ready(&self, index: ActionIndex) -> bool {
        self.ready
            .contains(&(Reverse(self.nodes[index].way), index))
    }

    /// Every action.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The targets for which something has changed since this was asked last, in their order.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.touched)
    }

    /// Something has changed for those that need a target.
    pub(crate) fn touch_dependents(&mut self, target: usize) {
        let dependents = self.targets[target].dependents.iter();
        self.touched.extend(dependents.copied());
    }

    /// The one way in which an action's state changes; what follows for its target, for other
    /// actions and for other targets follows here.
    pub(crate) fn transition(&mut self, index: ActionIndex, to: ActionState) {
        let node = &mut self.nodes[index];
        debug_assert!(
            matches!(
                (node.state, to),
                (
                    ActionState::Waiting,
                    ActionState::Running | ActionState::Skipped
                ) | (
                    ActionState::Running,
                    ActionState::Executed | ActionState::Cached
                ) | (ActionState::Running, ActionState::Failed)
                    | (
                        ActionState::Waiting | ActionState::Running,
                        ActionState::Cancelled
                    )
            ),
            "{:?} -> {to:?}",
            node.state
        );
        node.state = to;
        let (target, node_way) = (node.target, node.way);
        self.ready.remove(&(Reverse(node_way), index));
        self.touched.insert(target);
        if to.is_success() {
            for dependent in self.nodes[index].dependents.clone() {
                self.nodes[dependent].waits_for -= 1;
                self.make_ready(dependent);
            }
            let node = &mut self.targets[target];
            node.unproven -= 1;
            if node.unproven == 0 && node.state == TargetState::Open {
                self.target_transition(target, TargetState::Proven);
            }
        } else if to == ActionState::Failed {
            self.target_transition(target, TargetState::Failed);
        }
    }

    /// Moves a target on. Of one that failed, and of those that need it, nothing further starts.
    pub(crate) fn target_transition(&mut self, target: usize, to: TargetState) {
        if self.targets[target].state == to {
            return;
        }
        self.targets[target].state = to;
        self.touched.insert(target);
        match to {
            TargetState::Done => {
                for dependent in self.targets[target].dependents.clone() {
                    self.targets[dependent].waits_for -= 1;
                    if self.targets[dependent].waits_for == 0 {
                        self.begin(dependent);
                    }
                }
            }
            TargetState::Failed => {
                for index in self.targets[target].actions.clone() {
                    if self.nodes[index].state == ActionState::Waiting {
                        self.transition(index, ActionState::Skipped);
                    }
                }
                for dependent in self.targets[target].dependents.clone() {
                    if self.targets[dependent].state == TargetState::Open {
                        self.target_transition(dependent, TargetState::Failed);
                    }
                }
            }
            TargetState::Open | TargetState::Proven => {}
        }
    }

    /// The outputs of a target can't be put in place after all: it has failed, and so have those
    /// that need it, whatever has become of their actions.
    pub(crate) fn withdraw(&mut self, target: usize) {
        let mut open = vec![target];
        while let Some(next) = open.pop() {
            self.target_transition(next, TargetState::Failed);
            let dependents = self.targets[next].dependents.iter().copied();
            open.extend(
                dependents.filter(|other| self.targets[*other].state != TargetState::Failed),
            );
        }
    }

    /// Targets without actions have nothing to wait for.
    pub(crate) fn prove_empty_targets(&mut self) {
        for target in 0..self.targets.len() {
            let node = &self.targets[target];
            if node.actions.is_empty() && node.state == TargetState::Open {
                self.target_transition(target, TargetState::Proven);
            }
        }
    }

    /// Nothing further starts.
    pub(crate) fn cancel_waiting(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].state == ActionState::Waiting {
                self.transition(index, ActionState::Cancelled);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use synth_core::{Native, Phase, ProjectPath, TargetSpec};

    use super::*;

    fn graph() -> ActionGraph {
        let action = |id: &str| Action::new(id, Phase::Build, id, Native::new(id));
        let plans = [
            Plan::default()
                .action(action("first").output_file("o", "o"))
                .action(action("second").input_from("i", "first", "o")),
            Plan::default().action(action("only")),
        ];
        let targets = [
            TargetSpec::new("a", "any", ProjectPath::root()),
            TargetSpec::new("b", "any", ProjectPath::root()).need("a"),
        ];
        ActionGraph::new(plans.iter(), &TargetGraph::new(&targets).unwrap())
    }

    fn first(graph: &ActionGraph) -> Option<ActionIndex> {
        graph.ready().next()
    }

    #[test]
    fn an_action_starts_when_all_it_depends_on_is_done() {
        let mut graph = graph();
        for (index, state) in [(0, ActionState::Executed), (1, ActionState::Cached)] {
            assert_eq!(first(&graph), Some(index));
            graph.transition(index, ActionState::Running);
            assert_eq!(first(&graph), None);
            graph.transition(index, state);
        }
        assert_eq!(graph.target_state(0), TargetState::Proven);
        assert_eq!(first(&graph), None, "the outputs are not in place yet");
        graph.target_transition(0, TargetState::Done);
        assert_eq!(first(&graph), Some(2));
    }

    #[test]
    fn what_the_rest_waits_for_longest_starts_first() {
        let action = |id: &str| Action::new(id, Phase::Build, id, Native::new(id));
        let plans =
            ["short", "long", "before", "after"].map(|id| Plan::default().action(action(id)));
        let target = |name: &str| TargetSpec::new(name, "any", ProjectPath::root());
        let targets = [
            target("short"),
            target("long"),
            target("before"),
            target("after").need("before"),
        ];
        let mut graph = ActionGraph::new(plans.iter(), &TargetGraph::new(&targets).unwrap());
        assert_eq!(first(&graph), Some(0), "without durations, in their order");
        graph.expect(|node| match node.action.id.as_str() {
            "short" => 1,
            "long" => 50,
            "before" => 10,
            _ => 60,
        });
        let mut order = Vec::new();
        while let Some(index) = first(&graph) {
            order.push(graph.node(index).action.id.clone());
            graph.transition(index, ActionState::Running);
            graph.transition(index, ActionState::Executed);
            let target = graph.node(index).target;
            graph.target_transition(target, TargetState::Done);
        }
        assert_eq!(order, ["before", "after", "long", "short"]);
    }

    #[test]
    fn a_failure_skips_what_depends_on_it() {
        let mut graph = graph();
        graph.transition(0, ActionState::Running);
        graph.transition(0, ActionState::Failed);
        assert_eq!(graph.node(1).state, ActionState::Skipped);
        assert_eq!(graph.node(2).state, ActionState::Skipped);
        assert_eq!(graph.target_state(1), TargetState::Failed);
    }
}
