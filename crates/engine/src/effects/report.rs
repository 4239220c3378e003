//! What is told of effects: how each of a publish stands, and what is still to be done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, EffectPhase};

use super::record::{EffectState, Entry, Standing, Story};
use crate::transaction::PendingOutputs;

/// An effect's part of a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectReport {
    /// The target.
    pub target: String,
    /// Its name in the target's plan.
    pub id: String,
    /// What it is for.
    pub phase: EffectPhase,
    /// What a person is told.
    pub description: String,
    /// Whether it can be undone.
    pub reversible: bool,
    /// What became of it.
    pub state: EffectState,
    /// Why it failed, or is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A publish, its undoing or its recovery.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EffectsReport {
    /// Its name, for `synth rollback`; empty when there was nothing to do.
    pub build: String,
    /// Whether everything has come about that was asked for.
    pub success: bool,
    /// Whether something is left for `synth recover`.
    pub unfinished: bool,
    /// The effects, in the order in which they are applied.
    pub effects: Vec<EffectReport>,
    /// What is to be said.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

impl EffectsReport {
    pub(super) fn of(story: &Story, diagnostics: Vec<Diagnostic>) -> Self {
        let success = story.closed && !diagnostics.iter().any(Diagnostic::is_error);
        let effects = story.opened.effects.iter().zip(&story.standings);
        Self {
            build: story.opened.build.clone(),
            success,
            unfinished: !story.closed,
            effects: effects
                .map(|(entry, standing)| reported(entry, standing))
                .collect(),
            diagnostics,
        }
    }
}

pub(super) fn reported(entry: &Entry, standing: &Standing) -> EffectReport {
    let message = match standing {
        Standing::Failed(message)
        | Standing::UndoFailed(_, message)
        | Standing::Kept(_, message) => Some(message.clone()),
        _ => None,
    };
    EffectReport {
        target: entry.target.clone(),
        id: entry.effect.id.clone(),
        phase: entry.effect.phase,
        description: entry.effect.description.clone(),
        reversible: entry.effect.is_reversible(),
        state: standing.state(),
        message,
    }
}

/// What a crash, or an undo that failed, has left unfinished: a publish, or outputs, or both.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Unfinished {
    /// How far the publish came; an empty one where there are only outputs.
    #[serde(flatten)]
    pub report: EffectsReport,
    /// The effects that are still to be applied; none when it was being undone, which can't be
    /// turned round.
    pub to_finish: Option<Vec<String>>,
    /// The effects that are to be undone.
    pub to_undo: Vec<String>,
    /// What is to be done about outputs, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<PendingOutputs>,
}

impl Unfinished {
    pub(super) fn of(story: &Story) -> Self {
        let chosen = |choose: fn(&Standing) -> bool| -> Vec<String> {
            let effects = story.opened.effects.iter().zip(&story.standings);
            effects
                .filter(|(_, standing)| choose(standing))
                .map(|(entry, _)| entry.name())
                .collect()
        };
        let missing = || chosen(|standing| !matches!(standing, Standing::Applied(_)));
        Self {
            report: EffectsReport::of(story, Vec::new()),
            to_finish: (!story.turned_back).then(missing),
            to_undo: chosen(Standing::may_be_there),
            outputs: None,
        }
    }

    /// Outputs without effects.
    pub(super) fn of_outputs(outputs: PendingOutputs) -> Self {
        Self {
            report: EffectsReport {
                build: String::new(),
                success: false,
                unfinished: true,
                effects: Vec::new(),
                diagnostics: Vec::new(),
            },
            to_finish: None,
            to_undo: Vec::new(),
            outputs: Some(outputs),
        }
    }

    /// What ends it.
    pub(super) fn advice(&self) -> &'static str {
        match self.to_finish {
            Some(_) => {
                "`synth recover --finish` applies what is missing, `synth recover --undo` undoes it"
            }
            None => {
                "it was being undone: `synth recover --undo` goes on; after undoing it by hand, \
                 `synth recover --done-by-hand`"
            }
        }
    }
}
