//! What a target answers when it is asked how it would be built.

use serde::{Deserialize, Serialize};

use crate::{Action, Diagnostic, Effect};

/// A target's actions, what they leave for others and which of that are artifacts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, in any order.
    pub actions: Vec<Action>,
    /// What is put into the target's output directory, once every action has succeeded. The
    /// targets that need this one get the same tree.
    pub exports: Vec<Export>,
    /// Whether the exports are put among the target's sources, below its source path, instead of
    /// into its output directory. There they are put file by file: nothing that synth did not
    /// write is replaced, and what it wrote there is never a source of any target.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
    /// Which of the exported paths are artifacts, and of what kind.
    #[serde(default)]
    pub artifacts: Vec<ArtifactRule>,
    /// Warnings to show beside the plan.
    #[serde(default)]
    pub warnings: Vec<Diagnostic>,
    /// What is done to the world with the exports, when that is asked for and everything is proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// An output that outlives the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The action's id.
    pub action: String,
    /// The output's name.
    pub output: String,
    /// Where it is put below the target's output path, or its source path when the plan is one
    /// [in place](Plan::in_place); empty puts the contents of a directory right there.
    #[serde(default)]
    pub path: String,
}

/// Names exported paths as artifacts of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRule {
    /// The kind: `python.wheel`.
    pub kind: String,
    /// A glob over the exported files, relative to where they are put: `*.whl`; or the empty text,
    /// which makes the output directory as a whole one artifact. In place, where there is no such
    /// directory, it makes each file one.
    #[serde(default)]
    pub pattern: String,
}

impl Plan {
    /// Adds an action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Adds an effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Puts an output into the target's output directory, at `path` below it.
    #[must_use]
    pub fn export(
        mut self,
        action: impl Into<String>,
        output: impl Into<String>,
        path: impl Into<String>,
    ) -> Self {
        self.exports.push(Export {
            action: action.into(),
            output: output.into(),
            path: path.into(),
        });
        self
    }

    /// Puts the exports among the target's sources: see [`Plan::in_place`].
    #[must_use]
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Names the exported files that match `pattern` as artifacts; the empty pattern means the
    /// output directory as a whole.
    #[must_use]
    pub fn artifact(mut self, kind: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.artifacts.push(ArtifactRule {
            kind: kind.into(),
            pattern: pattern.into(),
        });
        self
    }
}
