//! What a build would do, and why, without doing it: `synth explain`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use synth_core::{Action, Diagnostic, Plan, TargetSpec};

use crate::Registry;
use crate::action_graph::ActionGraph;
use crate::build::{BuildError, build_name, open_state, open_workshop, plan_all, unusable};
use crate::commit::Exports;
use crate::config::Pipeline;
use crate::explain::TargetKeys;
use crate::exports::exported_tree;
use crate::graph::TargetGraph;
use crate::inputs::{Available, input_tree};
use crate::kind::Kind;
use crate::lookup::look_up;
use crate::options::BuildOptions;
use crate::repair::Executed;
use crate::schedule::{PlannedTarget, Workshop};
use crate::tree::Tree;

/// What a build would do for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nothing.
    UpToDate,
    /// Put its outputs in place from the cache.
    Restored,
    /// Execute at least one of its actions.
    Executed,
    /// That depends on what comes out of a target that it needs.
    Open,
}

/// What a build would do for a target, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The target's name.
    pub target: String,
    /// What would be done.
    pub outlook: Outlook,
    /// What is different from the last build in which it succeeded, a sentence each.
    pub reasons: Vec<String>,
}

/// Explains what a build of a pipeline would do, target by target. Nothing is executed or written
/// but plans.
///
/// # Errors
/// Every problem that would keep the build from beginning.
pub async fn explain(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
) -> Result<Vec<Explanation>, BuildError> {
    let state = open_state(&pipeline.root)?;
    let _lock = state
        .lock(options.observer.as_ref(), &options.cancel)
        .await
        .map_err(|error| unusable(&pipeline.root.join(".synth"), &error))?
        .ok_or(BuildError::Cancelled)?;
    let nothing = (Executed::default(), Arc::default());
    let workshop = open_workshop(pipeline, options, state, &build_name(), nothing)?;
    let graph = TargetGraph::new(&pipeline.targets)
        .map_err(|error| BuildError::Invalid(error.into_diagnostics(pipeline)))?;
    let targets = plan_all(pipeline, registry, &workshop, options.use_cache).await?;
    let explained = tokio::task::block_in_place(|| Prospect::of(&workshop, &targets, &graph));
    explained.map_err(|problem| BuildError::Invalid(vec![*problem]))
}

/// What is known so far of a build that is only thought of.
struct Prospect<'a> {
    workshop: &'a Arc<Workshop>,
    /// By target, what it exports.
    trees: BTreeMap<usize, Tree>,
}

impl<'a> Prospect<'a> {
    fn of(
        workshop: &'a Arc<Workshop>,
        targets: &[PlannedTarget],
        graph: &TargetGraph,
    ) -> Result<Vec<Explanation>, Box<Diagnostic>> {
        let plans = ActionGraph::new(targets.iter().map(|target| &target.plan), graph);
        let mut prospect = Self {
            workshop,
            trees: BTreeMap::new(),
        };
        let mut found: BTreeMap<usize, Explanation> = BTreeMap::new();
        for index in graph.order() {
            let target = &targets[*index];
            let needs = graph.needs(*index);
            let unknown = needs
                .iter()
                .find(|needed| !prospect.trees.contains_key(needed));
            let (outlook, reasons) = match unknown {
                Some(needed) => {
                    let name = &targets[*needed].spec.name;
                    let reason = format!("it needs `{name}`, which is to be built first");
                    (Outlook::Open, vec![reason])
                }
                None => {
                    let mut available = Available::default();
                    for needed in needs {
                        if let Some(tree) = prospect.trees.get(needed) {
                            let name = targets[*needed].spec.name.clone();
                            available.targets.insert(name, tree.clone());
                        }
                    }
                    let actions = plans.actions_of(*index).iter();
                    let actions = actions.map(|action| &plans.node(*action).action).collect();
                    prospect.target(*index, target, actions, available)?
                }
            };
            let explanation = Explanation {
                target: target.spec.name.clone(),
                outlook,
                reasons,
            };
            found.insert(*index, explanation);
        }
        Ok(found.into_values().collect())
    }

    fn target(
        &mut self,
        index: usize,
        target: &PlannedTarget,
        mut actions: Vec<&Action>,
        mut available: Available,
    ) -> Result<(Outlook, Vec<String>), Box<Diagnostic>> {
        let keys = TargetKeys::read(self.workshop.state.records(), &target.spec.name);
        let mut reasons = Vec::new();
        // In the order in which they could start: each as soon as what it takes is there.
        while !actions.is_empty() {
            let ready = |action: &&Action| takes_only(action, &available);
            let Some(position) = actions.iter().position(ready) else {
                return Ok((Outlook::Executed, reasons));
            };
            let action = actions.remove(position);
            let found = self.action(action, &target.kind, &keys, &mut available, &mut reasons)?;
            if !found {
                return Ok((Outlook::Executed, reasons));
            }
        }
        let tree = exports(&target.spec, &target.plan, &available)?;
        let exports = Exports {
            target: target.spec.clone(),
            tree: tree.clone(),
            in_place: target.plan.in_place,
        };
        self.trees.insert(index, tree);
        if self.workshop.outputs.is_in_place(&exports) {
            return Ok((Outlook::UpToDate, Vec::new()));
        }
        reasons.extend(
            self.workshop
                .outputs
                .changes(&target.spec, target.plan.in_place),
        );
        Ok((Outlook::Restored, reasons))
    }

    /// Whether an action's result is known; then its outputs are available to others.
    fn action(
        &self,
        action: &Action,
        kind: &Kind,
        keys: &TargetKeys,
        available: &mut Available,
        reasons: &mut Vec<String>,
    ) -> Result<bool, Box<Diagnostic>> {
        let inputs = input_tree(action, &self.workshop.project, available)?;
        let (key, known) = look_up(self.workshop, action, &inputs, kind.description(), true)?;
        let differences = keys.differences(action, &key);
        match known {
            Some(result) => {
                available.outputs.insert(action.id.clone(), result.outputs);
                reasons.extend(differences);
                Ok(true)
            }
            None if differences.is_empty() => {
                reasons.push("its result is not in the cache".to_owned());
                Ok(false)
            }
            None => {
                reasons.extend(differences);
                Ok(false)
            }
        }
    }
}

fn takes_only(action: &Action, available: &Available) -> bool {
    let mut inputs = action.inputs.iter();
    inputs.all(|input| match &input.from {
        synth_core::InputSource::Output { action, .. } => available.outputs.contains_key(action),
        _ => true,
    })
}

fn exports(
    target: &TargetSpec,
    plan: &Plan,
    available: &Available,
) -> Result<Tree, Box<Diagnostic>> {
    let output = |action: &str, output: &str| available.outputs.get(action)?.get(output);
    exported_tree(target, plan, output).map_err(Box::new)
}
