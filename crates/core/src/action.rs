//! One step of a plan: what runs, what it reads, what it leaves. Values only; the engine gives
//! them a directory and runs them.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Concern, Diagnostic, Jobserver, ProjectPath, Resources, Retry, Tool};

/// Stands for the absolute path of the action's root directory in [`Exec::argv`] and in the
/// values of [`Exec::environment`]. Part of the cache key as written, so that the key does not
/// depend on where the action happens to run.
pub const ROOT: &str = "${synth:root}";

/// What an action is for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Choose versions of what is depended on.
    Resolve,
    /// Bring it into an isolated environment.
    Install,
    /// Turn sources into outputs.
    Build,
    /// Run the project's own tests.
    Test,
    /// Put outputs together.
    Assemble,
    /// Make them smaller or faster.
    Optimize,
    /// Check the outputs against their format.
    Validate,
    /// Look for known weaknesses and secrets.
    Scan,
    /// Sign and attest.
    Sign,
    /// Make it available to others.
    Publish,
    /// Make it run somewhere.
    Deploy,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resolve => "resolve",
            Self::Install => "install",
            Self::Build => "build",
            Self::Test => "test",
            Self::Assemble => "assemble",
            Self::Optimize => "optimize",
            Self::Validate => "validate",
            Self::Scan => "scan",
            Self::Sign => "sign",
            Self::Publish => "publish",
            Self::Deploy => "deploy",
        })
    }
}

/// One step: a process or a function of the target crate, run on a directory that holds its
/// inputs and nothing else.
///
/// Actions are pure: their outputs follow from what is declared here, so the engine may take
/// them from a cache instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its name, unique in the plan: `wheel`, `test`.
    pub id: String,
    /// What it is for.
    pub phase: Phase,
    /// What a person is told while it runs: `build the wheel`.
    pub description: String,
    /// What runs.
    pub kind: ActionKind,
    /// What it may read, each at its place below the root.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// What it must leave, by name.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// The programs it runs, from [`PlanContext::tool`](crate::PlanContext::tool).
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// Actions of the same plan that must have succeeded before it, beyond those whose outputs
    /// it takes.
    #[serde(default)]
    pub after: Vec<String>,
    /// Whether it talks to other machines.
    #[serde(default)]
    pub network: Network,
    /// What it needs of this machine.
    #[serde(default)]
    pub resources: Resources,
    /// When it is ended as hanging, in seconds. None: the engine's default.
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    /// Which of its failures may pass by themselves.
    #[serde(default)]
    pub retry: Retry,
    /// What it may leave in its root beside its outputs, and change of its inputs: caches of its
    /// tools and the like, which nobody takes. Globs as those of [`SourceFiles`], relative to the
    /// root; one without `/` means that name at any depth, as in `__pycache__`. In a strict sandbox
    /// an action fails that leaves anything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scratch: Vec<String>,
}

impl Action {
    /// An action with defaults for everything not said here.
    pub fn new(
        id: impl Into<String>,
        phase: Phase,
        description: impl Into<String>,
        kind: impl Into<ActionKind>,
    ) -> Self {
        Self {
            id: id.into(),
            phase,
            description: description.into(),
            kind: kind.into(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            tools: Vec::new(),
            after: Vec::new(),
            network: Network::default(),
            resources: Resources::default(),
            timeout_seconds: None,
            retry: Retry::default(),
            scratch: Vec::new(),
        }
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, at: impl Into<String>, from: InputSource) -> Self {
        self.inputs.push(Input {
            at: at.into(),
            from,
        });
        self
    }

    /// Adds the output `output` of another action of the plan as an input.
    #[must_use]
    pub fn input_from(
        self,
        at: impl Into<String>,
        action: impl Into<String>,
        output: impl Into<String>,
    ) -> Self {
        self.input(
            at,
            InputSource::Output {
                action: action.into(),
                output: output.into(),
            },
        )
    }

    /// Adds a directory that it must leave.
    #[must_use]
    pub fn output_directory(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.outputs.push(Output {
            name: name.into(),
            path: path.into(),
            kind: OutputKind::Directory,
            patterns: Vec::new(),
        });
        self
    }

    /// Adds those files below the directory `path` (empty for the root itself) that match globs
    /// relative to it: what it must leave among other files, such as its own inputs.
    ///
    /// The patterns are those of [`SourceFiles`], and each must match something that it leaves:
    /// files and symbolic links are taken, directories only for what is in them. An input that
    /// matches is taken for an output, so what the patterns match is to be kept out of the inputs.
    #[must_use]
    pub fn output_files<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        path: impl Into<String>,
        patterns: impl IntoIterator<Item = S>,
    ) -> Self {
        self.outputs.push(Output {
            name: name.into(),
            path: path.into(),
            kind: OutputKind::Directory,
            patterns: patterns.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// Adds a file that it must leave.
    #[must_use]
    pub fn output_file(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.outputs.push(Output {
            name: name.into(),
            path: path.into(),
            kind: OutputKind::File,
            patterns: Vec::new(),
        });
        self
    }

    /// Adds a program that it runs.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Makes it wait for another action of the plan.
    #[must_use]
    pub fn after(mut self, action: impl Into<String>) -> Self {
        self.after.push(action.into());
        self
    }

    /// Lets it use the network.
    #[must_use]
    pub fn with_network(mut self) -> Self {
        self.network = Network::Allowed;
        self
    }

    /// Lets it leave files that match these globs beside its outputs: see [`Action::scratch`].
    #[must_use]
    pub fn scratch<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.scratch.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Has its processes share the build's jobs: see [`Jobserver`].
    #[must_use]
    pub fn with_jobserver(mut self, style: Jobserver) -> Self {
        self.resources.jobserver = style;
        self
    }

    /// Has it tried again after failures that pass by themselves: see [`Retry`].
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Ends it after that many seconds.
    #[must_use]
    pub fn timeout_seconds(mut self, seconds: u64) -> Self {
        self.timeout_seconds = Some(seconds);
        self
    }
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// A process.
    Exec(Exec),
    /// A function of the target crate: [`BuildTarget::run`](crate::BuildTarget::run).
    Native(Native),
}

impl From<Exec> for ActionKind {
    fn from(exec: Exec) -> Self {
        Self::Exec(exec)
    }
}

impl From<Native> for ActionKind {
    fn from(native: Native) -> Self {
        Self::Native(native)
    }
}

/// A process: an argument vector, never a shell string unless the user wrote one.
///
/// It starts in its working directory with a clean environment: `PATH` (the directories of the
/// action's tools, then the system's), `HOME` and `TMPDIR` (private, empty), `LANG`,
/// `SOURCE_DATE_EPOCH`, `SYNTH_OUT_<NAME>` for each needed target among its inputs, and what is
/// declared here. Standard input is empty, output goes to the log. Outputs are paths below the
/// same root as the inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments. A program without `/` is one of the action's tools by name; with
    /// `/` it is relative to the root (an input, such as `venv/bin/python`). [`ROOT`] is
    /// replaced anywhere.
    pub argv: Vec<String>,
    /// Where it starts, relative to the root; empty for the root.
    #[serde(default)]
    pub working_directory: String,
    /// Variables it sees. [`ROOT`] is replaced in the values.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Names of variables handed on from the user's own environment where they are set there,
    /// and not part of the cache key: credentials, proxies, certificates, caches. A name may end
    /// in `*`.
    #[serde(default)]
    pub pass_environment: Vec<String>,
}

impl Exec {
    /// A process by its argument vector.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Starts in another directory below the root.
    #[must_use]
    pub fn working_directory(mut self, path: impl Into<String>) -> Self {
        self.working_directory = path.into();
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Adds variables.
    #[must_use]
    pub fn variables<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.environment
            .extend(variables.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Hands on variables of the user's environment.
    #[must_use]
    pub fn pass<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.pass_environment
            .extend(names.into_iter().map(Into::into));
        self
    }
}

/// A function of the target crate, by name. It gets the inputs in one directory and leaves its
/// outputs in another; the paths of its outputs are relative to that one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Native {
    /// The name that the target's `run` knows.
    pub function: String,
    /// What it is to do, in the target's own words. Part of the cache key.
    #[serde(default)]
    pub parameters: serde_json::Value,
    /// As [`Exec::pass_environment`], for the processes it has the engine run.
    #[serde(default)]
    pub pass_environment: Vec<String>,
}

impl Native {
    /// A function without parameters.
    pub fn new(function: impl Into<String>) -> Self {
        Self {
            function: function.into(),
            ..Self::default()
        }
    }

    /// With parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: serde_json::Value) -> Self {
        self.parameters = parameters;
        self
    }

    /// The parameters as a type of the kind's own.
    ///
    /// # Errors
    /// When they are not of its shape: a plan of another version of the kind.
    pub fn parameters_as<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Diagnostic> {
        serde_json::from_value(self.parameters.clone()).map_err(|error| {
            Diagnostic::error(
                "kind.parameters",
                format!("the parameters of `{}` have a wrong shape", self.function),
            )
            .concerning(Concern::Internal)
            .caused_by(&error)
        })
    }
}

/// Something an action reads, and where it finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The place below the root; empty for the root itself. Directories at one place are merged;
    /// one file at one place twice is an error.
    pub at: String,
    /// Where it comes from.
    pub from: InputSource,
}

/// Where an input comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputSource {
    /// Files of the project, chosen by patterns.
    Source(SourceFiles),
    /// Files of the project, one by one.
    Files {
        /// The directory they are below.
        root: ProjectPath,
        /// Their paths relative to `root`; a directory stands for itself, not what is in it.
        paths: Vec<String>,
    },
    /// An output of another action of this plan. A file is put at `at` itself.
    Output {
        /// The action's id.
        action: String,
        /// The output's name.
        output: String,
    },
    /// Everything a needed target exports.
    Target {
        /// Its name; one of [`TargetSpec::needs`](crate::TargetSpec::needs).
        name: String,
    },
    /// A small file made by the plan.
    Inline(InlineFile),
}

/// The longest pattern, in bytes: as long as the longest path (PATH_MAX of Linux, limits.h(0p)).
/// To compile a much longer one takes seconds.
pub const LONGEST_PATTERN: usize = 4096;

/// Files of the project below a directory, chosen by patterns.
///
/// Patterns are globs relative to `root`: `*` and `?` stay within a component, `**` spans them,
/// `{a,b}` and `[a-z]` choose. A pattern that names a directory means everything below it, and one
/// of more than [`LONGEST_PATTERN`] bytes is an error. Version control data, `.synth` and the outputs of all targets never belong to it. Symbolic
/// links are taken as links, not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceFiles {
    /// The directory.
    pub root: ProjectPath,
    /// What belongs to it; empty for everything.
    #[serde(default)]
    pub include: Vec<String>,
    /// What does not, though included.
    #[serde(default)]
    pub exclude: Vec<String>,
}

impl SourceFiles {
    /// Everything below a directory.
    #[must_use]
    pub fn below(root: ProjectPath) -> Self {
        Self {
            root,
            ..Self::default()
        }
    }

    /// Only what matches these patterns.
    #[must_use]
    pub fn include<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.include.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Without what matches these patterns.
    #[must_use]
    pub fn exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude.extend(patterns.into_iter().map(Into::into));
        self
    }
}

/// A small file made by the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineFile {
    /// Its text.
    pub text: String,
    /// Whether it may be executed.
    #[serde(default)]
    pub executable: bool,
}

/// Something an action must leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The name that others take it by.
    pub name: String,
    /// Where it is left: below the root for [`Exec`], below the output directory for [`Native`].
    pub path: String,
    /// What it is.
    pub kind: OutputKind,
    /// Of a directory, the files that are taken: globs relative to it, as those of
    /// [`SourceFiles`]. Empty for everything below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// One regular file.
    File,
    /// A directory with everything below it, made beforehand, empty. With
    /// [`Output::patterns`], a directory that may hold other things too; made beforehand are
    /// then the directories above what a pattern names (`build` for `build/app`, none for
    /// `dist/**`).
    Directory,
}

/// Whether an action talks to other machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// It does not.
    #[default]
    None,
    /// It may.
    Allowed,
}
