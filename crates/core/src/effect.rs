//! What a plan does to the world once everything is proven: effects, and the receipts by which
//! they are undone. Values only; the engine journals them and carries them out.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Exec, Native, Network, Retry, Tool};

/// Where an effect finds what its own target exports, below [`RunContext::inputs`] of a function
/// and below [`ROOT`] of a process.
///
/// [`RunContext::inputs`]: crate::RunContext::inputs
/// [`ROOT`]: crate::ROOT
pub const EFFECT_OUTPUTS: &str = "out";

/// Where an effect finds what needed targets export, each in a directory of its name.
pub const EFFECT_NEEDS: &str = "needs";

/// How many releases a directory keeps unless that is said.
pub const KEPT_RELEASES: u32 = 5;

/// What an effect is for, and with it when it is asked for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EffectPhase {
    /// Makes artifacts available to others.
    Publish,
    /// Makes them run somewhere.
    Deploy,
}

impl fmt::Display for EffectPhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Publish => "publish",
            Self::Deploy => "deploy",
        })
    }
}

/// A change to the world outside: an upload, a push, a deployment, a message.
///
/// No effect begins before every action of the pipeline has succeeded. It gets the very bytes that
/// were proven: what its target exports, and what needed targets do. An effect is applied again when
/// synth was killed in the midst of it, so doing it twice has to come to the same as once; and it
/// either fails or has happened as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Its name, unique among the plan's effects: `upload`.
    pub id: String,
    /// What it is for.
    pub phase: EffectPhase,
    /// What a person is told: `upload the wheel to the index`.
    pub description: String,
    /// What carries it out.
    pub kind: EffectKind,
    /// Needed targets whose exports it gets; each is one of
    /// [`TargetSpec::needs`](crate::TargetSpec::needs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The programs it runs, from [`PlanContext::tool`](crate::PlanContext::tool).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Effects of the same plan that have to be there before it. Those of needed targets always
    /// are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Whether there is no way back. Processes without one to undo are irreversible anyhow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// Whether it talks to other machines.
    #[serde(default)]
    pub network: Network,
    /// When it is ended as hanging, in seconds. None: the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Whether a failure may pass by itself. The engine waits between attempts as it does for actions.
    #[serde(default)]
    pub retry: Retry,
}

/// What carries an effect out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EffectKind {
    /// Processes.
    Processes(EffectProcesses),
    /// The target crate itself, see [`BuildTarget::apply_effect`](crate::BuildTarget::apply_effect).
    Native(Native),
    /// The engine: it copies the exports into a directory of releases.
    Directory(DirectoryPublish),
}

impl From<EffectProcesses> for EffectKind {
    fn from(processes: EffectProcesses) -> Self {
        Self::Processes(processes)
    }
}

impl From<Native> for EffectKind {
    fn from(native: Native) -> Self {
        Self::Native(native)
    }
}

impl From<DirectoryPublish> for EffectKind {
    fn from(directory: DirectoryPublish) -> Self {
        Self::Directory(directory)
    }
}

/// The processes of an effect. They run outside of the sandbox, as the user.
///
/// [`Exec::working_directory`], and a program named by a path, are relative to the project's root.
/// [`ROOT`](crate::ROOT), in arguments too, is the directory that has the exports in it: see
/// [`EFFECT_OUTPUTS`] and [`EFFECT_NEEDS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectProcesses {
    /// Applies it. May leave what is needed to undo it, up to 48 KiB, in the file that
    /// `SYNTH_RECEIPT` names.
    pub apply: Exec,
    /// Undoes it. The file that `SYNTH_RECEIPT` names has the bytes that apply left; the variable is
    /// not set when it left none, or synth was killed before it knew of the end of apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Exec>,
    /// Tells whether it has happened already, with the same bytes: exit code 0 for yes, 1 for no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Exec>,
}

/// A directory of releases: each build's exports are put into `releases/` below it, and the
/// symbolic link `current` leads to the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DirectoryPublish {
    /// The directory, relative to synth.toml, or absolute.
    #[schemars(length(min = 1))]
    pub directory: String,
    /// How many releases are kept, the current one included.
    #[serde(default = "kept_releases")]
    #[schemars(range(min = 1))]
    pub keep: u32,
}

fn kept_releases() -> u32 {
    KEPT_RELEASES
}

impl Effect {
    /// An effect with defaults for everything not said here.
    pub fn new(
        id: impl Into<String>,
        phase: EffectPhase,
        description: impl Into<String>,
        kind: impl Into<EffectKind>,
    ) -> Self {
        Self {
            id: id.into(),
            phase,
            description: description.into(),
            kind: kind.into(),
            needs: Vec::new(),
            tools: Vec::new(),
            after: Vec::new(),
            irreversible: false,
            network: Network::default(),
            timeout_seconds: None,
            retry: Retry::default(),
        }
    }

    /// Whether it can be undone.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        !self.irreversible
            && match &self.kind {
                EffectKind::Processes(processes) => processes.undo.is_some(),
                EffectKind::Native(_) | EffectKind::Directory(_) => true,
            }
    }
}

/// What an effect needs to undo itself, in the words of whoever wrote it: data that outlives the
/// process, and the release of the crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whether everything was there already, the same bytes: nothing was done, and to undo it
    /// does nothing.
    #[serde(default)]
    pub already_there: bool,
    /// The version of the data's shape, the writer's own.
    #[serde(default)]
    pub version: u32,
    /// The data.
    #[serde(default)]
    pub data: Value,
}

impl Receipt {
    /// A receipt of something that was done.
    #[must_use]
    pub fn new(version: u32, data: Value) -> Self {
        Self {
            already_there: false,
            version,
            data,
        }
    }

    /// The receipt of something that was there.
    #[must_use]
    pub fn already_there() -> Self {
        Self {
            already_there: true,
            ..Self::default()
        }
    }
}

/// Whether an effect has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// That can't be told.
    #[default]
    Unknown,
    /// It has not.
    Absent,
    /// It has, with the same bytes. The receipt is what would undo it.
    Present(Receipt),
}

/// An effect to apply, check or undo, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectRequest {
    /// The effect.
    pub effect: Effect,
    /// What it left when it was applied, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// [`RunContext::inputs`](crate::RunContext::inputs), absolute.
    pub inputs: PathBuf,
    /// [`RunContext::outputs`](crate::RunContext::outputs), absolute.
    pub outputs: PathBuf,
    /// [`RunContext::scratch`](crate::RunContext::scratch), absolute.
    pub scratch: PathBuf,
}
