//! The one graph of all targets' actions, with the state of each. Says what may start; starts
//! nothing.

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
    /// Actions of the same target that must have succeeded.
    depends: Vec<ActionIndex>,
}

/// The actions of a pipeline.
pub(crate) struct ActionGraph {
    nodes: Vec<Node>,
    /// By target: its actions, and what it needs.
    targets: Vec<TargetNode>,
}

struct TargetNode {
    actions: Vec<ActionIndex>,
    needs: Vec<usize>,
    state: TargetState,
}

impl ActionGraph {
    /// The graph of checked plans, one for each target.
    pub(crate) fn new(plans: &[Plan], targets: &TargetGraph) -> Self {
        let mut graph = Self {
            nodes: Vec::new(),
            targets: (0..plans.len())
                .map(|target| TargetNode {
                    actions: Vec::new(),
                    needs: targets.needs(target).to_vec(),
                    state: TargetState::Open,
                })
                .collect(),
        };
        // Actions are numbered in an order that respects needs, which makes a build of one at a
        // time a stable one.
        for target in targets.order() {
            graph.add(*target, &plans[*target]);
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
            let from_inputs = action.inputs.iter().filter_map(|input| match &input.from {
                InputSource::Output { action, .. } => indices.get(action.as_str()),
                _ => None,
            });
            let after = action
                .after
                .iter()
                .filter_map(|id| indices.get(id.as_str()));
            let depends: BTreeSet<ActionIndex> = from_inputs.chain(after).copied().collect();
            self.targets[target].actions.push(self.nodes.len());
            self.nodes.push(Node {
                target,
                action: action.clone(),
                state: ActionState::Waiting,
                depends: depends.into_iter().collect(),
            });
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

    /// The first action that may start.
    pub(crate) fn next_ready(&self) -> Option<ActionIndex> {
        (0..self.nodes.len()).find(|index| self.is_ready(*index))
    }

    fn is_ready(&self, index: ActionIndex) -> bool {
        let node = &self.nodes[index];
        node.state == ActionState::Waiting
            && node
                .depends
                .iter()
                .all(|before| self.nodes[*before].state.is_success())
            && self.targets[node.target]
                .needs
                .iter()
                .all(|needed| self.targets[*needed].state == TargetState::Done)
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
        let target = node.target;
        match to {
            ActionState::Failed => self.target_transition(target, TargetState::Failed),
            ActionState::Executed | ActionState::Cached if self.is_proven(target) => {
                self.target_transition(target, TargetState::Proven);
            }
            _ => {}
        }
    }

    fn is_proven(&self, target: usize) -> bool {
        self.targets[target]
            .actions
            .iter()
            .all(|index| self.nodes[*index].state.is_success())
    }

    /// Moves a target on. Of one that failed, and of those that need it, nothing further starts.
    pub(crate) fn target_transition(&mut self, target: usize, to: TargetState) {
        self.targets[target].state = to;
        if to != TargetState::Failed {
            return;
        }
        for index in self.targets[target].actions.clone() {
            if self.nodes[index].state == ActionState::Waiting {
                self.transition(index, ActionState::Skipped);
            }
        }
        let dependents: Vec<usize> = (0..self.targets.len())
            .filter(|other| {
                let other = &self.targets[*other];
                other.needs.contains(&target) && other.state == TargetState::Open
            })
            .collect();
        for dependent in dependents {
            self.target_transition(dependent, TargetState::Failed);
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
        ActionGraph::new(&plans, &TargetGraph::new(&targets).unwrap())
    }

    #[test]
    fn an_action_starts_when_all_it_depends_on_is_done() {
        let mut graph = graph();
        for (index, state) in [(0, ActionState::Executed), (1, ActionState::Cached)] {
            assert_eq!(graph.next_ready(), Some(index));
            graph.transition(index, ActionState::Running);
            assert_eq!(graph.next_ready(), None);
            graph.transition(index, state);
        }
        assert_eq!(graph.target_state(0), TargetState::Proven);
        assert_eq!(graph.next_ready(), None, "the outputs are not in place yet");
        graph.target_transition(0, TargetState::Done);
        assert_eq!(graph.next_ready(), Some(2));
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
