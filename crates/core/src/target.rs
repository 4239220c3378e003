//! The interface of a target kind, and what passes through it.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::protocol::{Batch, Batching, Prepared};
use crate::{
    Advice, Concern, Diagnostic, DirectoryPublish, Effect, Native, NativeOutcome, Plan,
    PlanContext, Presence, ProjectPath, Receipt, Requirement, RetrySettings, RunContext,
};

/// A target kind: what `type` names in synth.toml.
///
/// Its methods may be called in any order, from several threads at once, for any number of
/// targets; it keeps no state between calls.
pub trait BuildTarget: Send + Sync {
    /// What it is. The same answer at every call.
    fn describe(&self) -> TargetDescription;

    /// Every problem of a target that can be seen without building it: settings that don't go
    /// together, files that are missing or malformed. The settings' shape has been checked
    /// against [`TargetDescription::settings_schema`] before.
    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic>;

    /// The tools this target needs, for `synth check`.
    fn requirements(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Requirement> {
        let _ = (target, context);
        Vec::new()
    }

    /// How the target is built. The same settings and the same files give the same plan.
    ///
    /// # Errors
    /// The problems that leave no plan.
    fn plan(&self, target: &TargetSpec, context: &dyn PlanContext)
    -> Result<Plan, Vec<Diagnostic>>;

    /// How it is best asked for several targets. Only to a kind whose code is elsewhere, as a
    /// plugin's is for its host, does one call cost less than many: all others leave this and
    /// [`BuildTarget::prepare`] as they are.
    fn batching(&self) -> Batching {
        Batching::None
    }

    /// Validates several targets, and plans those without errors, with one call. None when that
    /// is to be done one by one.
    fn prepare(&self, batch: &Batch<'_>) -> Option<Vec<Prepared>> {
        let _ = batch;
        None
    }

    /// Runs a native action of one of its plans.
    ///
    /// # Errors
    /// Why the action failed.
    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>>;

    /// What to do about failures of its actions that people meet: asked for when one has failed,
    /// and looked through before what synth itself knows. The first that matches is told.
    fn advice(&self) -> Vec<Advice> {
        Vec::new()
    }

    /// Paths that `synth clean` removes beside the target's output directory.
    fn clean(&self, target: &TargetSpec) -> Vec<ProjectPath> {
        let _ = target;
        Vec::new()
    }

    /// Whether an effect of one of its plans that is [`Native`] has happened already, with the same
    /// bytes.
    ///
    /// # Errors
    /// Why that can't be found out; then the effect is not applied.
    fn check_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Presence, Vec<Diagnostic>> {
        let _ = (effect, context);
        Ok(Presence::Unknown)
    }

    /// Applies an effect of one of its plans that is [`Native`]. What was applied before and not
    /// noted, because synth was killed, is applied again.
    ///
    /// # Errors
    /// Why it did not happen: then nothing has.
    fn apply_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Receipt, Vec<Diagnostic>> {
        let _ = context;
        Err(vec![no_such_effect(effect)])
    }

    /// Undoes an effect. Without a receipt it is not known whether it was applied as a whole, in
    /// part or not at all. What was undone before and not noted is undone again.
    ///
    /// # Errors
    /// Why it is still there, and what is to be done by hand.
    fn undo_effect(
        &self,
        effect: &Effect,
        receipt: Option<&Receipt>,
        context: &dyn RunContext,
    ) -> Result<(), Vec<Diagnostic>> {
        let _ = (receipt, context);
        Err(vec![no_such_effect(effect)])
    }

    /// Whether `directory` holds something of this kind, for `synth init`.
    fn detect(&self, directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
        let _ = (directory, context);
        None
    }
}

/// A kind that plans an effect carries it out too.
fn no_such_effect(effect: &Effect) -> Diagnostic {
    let message = format!("the target kind has no code for the effect `{}`", effect.id);
    Diagnostic::error("kind.effect", message)
        .concerning(Concern::Internal)
        .help("this is a fault of the target kind: report it to its authors")
}

/// What a target kind is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetDescription {
    /// The kind: what `type` names. Lower-case letters, digits and `-`.
    pub kind: String,
    /// The crate that implements it.
    pub crate_name: String,
    /// That crate's version. With `crate_name`, part of the cache key of every action: raise it
    /// when the same plan would give other outputs.
    pub version: Version,
    /// One line for lists.
    pub description: String,
    /// A JSON Schema (2020-12) of the settings: an object whose `properties` are the keys that
    /// this kind adds to a target's table. Its `description`s are shown to users.
    pub settings_schema: Value,
    /// Other spellings of settings.
    #[serde(default)]
    pub setting_aliases: Vec<SettingAlias>,
}

impl TargetDescription {
    /// A description; [`target_description!`](crate::target_description) knows the crate itself.
    ///
    /// A version that is none, which cargo lets no crate have, becomes 0.0.0.
    #[must_use]
    pub fn new(
        kind: &str,
        crate_name: &str,
        version: &str,
        description: &str,
        settings_schema: Value,
    ) -> Self {
        Self {
            kind: kind.into(),
            crate_name: crate_name.into(),
            version: Version::parse(version).unwrap_or(Version::new(0, 0, 0)),
            description: description.into(),
            settings_schema,
            setting_aliases: Vec::new(),
        }
    }
}

/// A [`TargetDescription`] with the name and version of the crate that it is written in: of a kind,
/// a line about it, and the type of its settings, which derives `schemars::JsonSchema`.
///
/// ```
/// #[derive(schemars::JsonSchema)]
/// struct Settings {
///     /// Whom to greet.
///     name: String,
/// }
///
/// let description = synth_core::target_description!("greet", "Greets people", Settings);
/// assert_eq!(description.kind, "greet");
/// assert_eq!(description.crate_name, "synth-core");
/// ```
#[macro_export]
macro_rules! target_description {
    ($kind:expr, $description:expr, $settings:ty $(,)?) => {
        $crate::TargetDescription::new(
            $kind,
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            $description,
            $crate::settings_schema::<$settings>(),
        )
    };
}

/// Another spelling of a setting, accepted but not advertised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingAlias {
    /// The other spelling.
    pub alias: String,
    /// The setting.
    pub setting: String,
}

/// The JSON Schema of a settings type, for [`TargetDescription::settings_schema`].
#[must_use]
pub fn settings_schema<T: schemars::JsonSchema>() -> Value {
    schemars::SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .into()
}

/// One target of a pipeline, as its table in synth.toml says it.
///
/// ```
/// use synth_core::{ProjectPath, TargetSpec};
///
/// let target = TargetSpec::new("api", "python", ProjectPath::parse("services/api")?)
///     .output_path(ProjectPath::parse("out/api")?)
///     .dependency("requests>=2")
///     .setting("tests", false);
/// assert_eq!(target.settings["tests"], false);
/// # Ok::<(), synth_core::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSpec {
    /// Its name, unique in the pipeline: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The directory of its sources.
    pub source_path: ProjectPath,
    /// The directory its exports are put into; `dist/<name>` unless said otherwise.
    pub output_path: ProjectPath,
    /// Whether the output path was said, or is the one that every target has by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub output_path_chosen: bool,
    /// Packages it depends on, in the words of its kind.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Variables its processes see.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Targets that are built before it and whose outputs it may use.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The directory of releases that its exports are published in, by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<DirectoryPublish>,
    /// Which failures of its actions are tried again, by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySettings>,
    /// The keys of its kind, valid under the kind's schema.
    #[serde(default)]
    pub settings: Map<String, Value>,
}

impl TargetSpec {
    /// A target with defaults for everything not said here.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, source_path: ProjectPath) -> Self {
        let name = name.into();
        // A name that is no path component is reported when the pipeline is checked.
        let output_path = ProjectPath::parse(&format!("dist/{name}")).unwrap_or_default();
        Self {
            name,
            kind: kind.into(),
            source_path,
            output_path,
            output_path_chosen: false,
            dependencies: Vec::new(),
            environment: BTreeMap::new(),
            needs: Vec::new(),
            publish: None,
            retry: None,
            settings: Map::new(),
        }
    }

    /// Puts the outputs elsewhere.
    #[must_use]
    pub fn output_path(mut self, path: ProjectPath) -> Self {
        self.output_path = path;
        self.output_path_chosen = true;
        self
    }

    /// Adds a package it depends on.
    #[must_use]
    pub fn dependency(mut self, package: impl Into<String>) -> Self {
        self.dependencies.push(package.into());
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Adds a target it needs.
    #[must_use]
    pub fn need(mut self, target: impl Into<String>) -> Self {
        self.needs.push(target.into());
        self
    }

    /// Sets a key of its kind.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// The settings as the kind's own type, defaults filled in by it.
    ///
    /// # Errors
    /// When they are not of its shape: a target made by hand that no schema has checked.
    pub fn settings_as<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Diagnostic> {
        serde_json::from_value(Value::Object(self.settings.clone())).map_err(|error| {
            Diagnostic::error(
                "config.settings",
                format!("the settings of target `{}` have a wrong shape", self.name),
            )
            .caused_by(&error)
        })
    }
}

/// A target that `synth init` writes down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// A name for it: the package's own, or the directory's.
    pub name: String,
    /// What was found, for the comment above the table: `pyproject.toml (hatchling)`.
    pub found: String,
    /// Settings to write, in order.
    #[serde(default)]
    pub settings: Vec<DetectedSetting>,
    /// How sure it is: of two kinds that claim one directory, the surer one gets it. 100 for the
    /// kind's own project file, 10 for a hint.
    pub confidence: u8,
    /// What is below the directory belongs to this target: no further targets are looked for
    /// there.
    #[serde(default)]
    pub owns_subdirectories: bool,
}

/// A setting that `synth init` writes down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectedSetting {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// Why, as a comment; empty for none.
    #[serde(default)]
    pub comment: String,
}
