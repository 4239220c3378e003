//! The command line, as it is written. What it asks for is done in `commands`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds Python packages, container images and static sites from one synth.toml.
#[derive(Debug, Parser)]
#[command(
    name = "synth",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 a target failed, 2 wrong command line or configuration, \
                  3 a tool or plugin is missing, 4 store or state unusable, 70 internal error, \
                  129, 130 and 143 ended by a signal"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Work in DIR instead of the current directory
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// The configuration file (TOML, or JSON when it ends in .json), relative to DIR
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Apply the overrides of [environments.NAME]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) environment: Option<String>,
    /// Take the targets and settings of [pipelines.NAME]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) pipeline: Option<String>,
    /// Say more: cached actions, logs, causes
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Say nothing unless something fails
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build targets and what they need
    Build(BuildArguments),
    /// Show the actions that a build consists of, without running any
    Plan(PlanArguments),
    /// Check the configuration, the targets and the tools they need
    Check(CheckArguments),
    /// Remove the outputs of targets
    Clean(TargetArguments),
    /// Write a synth.toml for what is found below the directory
    Init(InitArguments),
    /// Print a JSON Schema: of synth.toml (for editors) or of the build report
    Schema(SchemaArguments),
}

#[derive(Debug, Args)]
pub(crate) struct TargetArguments {
    /// The targets; all of them when none is named
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    #[command(flatten)]
    pub(crate) targets: TargetArguments,
    /// Run at most N actions at once [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
    /// Take no results and no plans of earlier builds
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Load the images that were built into the local container engine
    #[cfg(feature = "docker")]
    #[arg(long)]
    pub(crate) load: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A table
    Human,
    /// One JSON object, see `synth schema report`
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) targets: TargetArguments,
    /// How the plan is shown
    #[arg(long, value_enum, default_value_t = PlanFormat::Tree)]
    pub(crate) format: PlanFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Targets with their actions
    Tree,
    /// A graph for Graphviz
    Dot,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) targets: TargetArguments,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Replace a synth.toml that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Of what
    #[arg(value_enum, default_value_t = SchemaSubject::Pipeline)]
    pub(crate) subject: SchemaSubject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaSubject {
    /// synth.toml
    Pipeline,
    /// The report of `synth build --format json`
    Report,
}
