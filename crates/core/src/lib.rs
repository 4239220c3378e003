//! What a target author depends on: the [`BuildTarget`] interface, plan and artifact types, and
//! diagnostics. No I/O and no engine in here; `testkit` (a feature) is for tests alone.
//!
//! A target kind is a crate with one type that implements [`BuildTarget`]. It *plans*: it maps a
//! target's settings, and the files it asked to read, to [`Action`]s with declared inputs and
//! outputs. The engine *acts*: it caches, schedules and runs them. Every type here that crosses
//! between a target and the engine is plain data: serializable, and carried in a versioned
//! [`Message`], so that fields can be added without breaking a crate already built.

pub mod abi;
mod action;
mod advice;
mod artifact;
mod context;
mod diagnostic;
mod digest;
mod effect;
mod manifest;
mod message;
mod path;
mod plan;
pub mod protocol;
mod resources;
mod retry;
mod target;
#[cfg(feature = "testkit")]
pub mod testkit;
mod tool;

pub use action::{
    Action, ActionKind, Exec, InlineFile, Input, InputSource, LONGEST_PATTERN, Native, Network,
    Output, OutputKind, Phase, ROOT, SourceFiles,
};
pub use advice::Advice;
pub use artifact::Artifact;
pub use context::{
    FileKind, NativeOutcome, PlanContext, PlanError, Process, ProcessOutcome, RunContext,
};
pub use diagnostic::{Concern, Diagnostic, Place, Severity, TextPosition};
pub use digest::{Digest, ParseDigestError};
pub use effect::{
    DirectoryPublish, EFFECT_NEEDS, EFFECT_OUTPUTS, Effect, EffectKind, EffectPhase,
    EffectProcesses, EffectRequest, KEPT_RELEASES, Presence, Receipt,
};
pub use manifest::{
    HOST_TRIPLE, KindDescription, MANIFEST_SECTION, MANIFEST_SECTION_MACH_O, MANIFEST_VERSION,
    Manifest, RUSTC,
};
pub use message::{INTERFACE_VERSION, INTERFACE_VERSION_TEXT, Message, MessageError};
pub use path::{PathError, ProjectPath};
pub use plan::{ArtifactRule, Export, Plan};
pub use resources::{Jobserver, Resources};
pub use retry::{Retry, RetrySettings, Thousandths};
pub use target::{
    BuildTarget, DetectedSetting, Detection, SettingAlias, TargetDescription, TargetSpec,
    settings_schema,
};
pub use tool::{Requirement, Tool, ToolError, ToolRequest};
