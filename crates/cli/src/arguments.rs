//! The command line, as it is written. What it asks for is done in `commands`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// Builds Python packages, container images and static sites from one synth.toml.
#[derive(Debug, Parser)]
#[command(
    name = "synth",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 a target failed, 2 wrong command line or configuration, \
                  3 a tool or plugin is missing, 4 store or state unusable, \
                  5 a publish is unfinished, 70 internal error, \
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
    /// Look for plugins in DIR, before all other plugin directories; may be given several times
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) plugin_dir: Vec<PathBuf>,
    /// Use no plugin that synth.lock has no digest of, and leave synth.lock as it is
    #[arg(long, global = true)]
    pub(crate) locked: bool,
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
    /// Apply the publish effects of what the last build has proven
    Publish(PublishArguments),
    /// Apply the deploy effects of what the last build has proven
    Deploy(PublishArguments),
    /// Undo the effects of a build
    Rollback(RollbackArguments),
    /// Finish or undo a publish that a crash has left unfinished; without either, say what is
    Recover(RecoverArguments),
    /// Show the actions that a build consists of, without running any
    Plan(PlanArguments),
    /// Say what a build would do for targets, and what is different from their last build
    Explain(ExplainArguments),
    /// List the builds of the project, the last first
    History(HistoryArguments),
    /// Print what the actions of a build have printed, those that failed first
    Log(LogArguments),
    /// Say how long builds take, how many succeed, what the cache spares, and what bounds them
    Stats(StatsArguments),
    /// Check the configuration, the targets and the tools they need
    Check(CheckArguments),
    /// Remove the outputs of targets
    Clean(TargetArguments),
    /// Look after the store of results and contents that all projects share
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Write a synth.toml for what is found below the directory
    Init(InitArguments),
    /// Print a JSON Schema: of synth.toml (for editors), or of what commands print as JSON
    Schema(SchemaArguments),
    /// Write, install and look after plugins: target kinds in libraries of their own
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Say what is in the store, and what gc would free
    Stats(CacheStatsArguments),
    /// Read everything in the store, move aside what is damaged, drop results without contents
    Verify(CacheVerifyArguments),
    /// Remove what was not used for the longest time; builds may run meanwhile
    Gc(CacheGcArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CacheStatsArguments {
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CacheVerifyArguments {
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("limits").required(true).multiple(true).args(["max_size", "max_age"]))]
pub(crate) struct CacheGcArguments {
    /// Keep no more than SIZE: 5GB, 500MiB, 0
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    pub(crate) max_size: Option<u64>,
    /// Keep nothing that was not used for AGE: 30d, 12h, 2weeks
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) max_age: Option<Duration>,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; an age is a number and a unit, like 30d or 12h"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Write a crate with a target kind that works, and its tests
    New(NewArguments),
    /// Install a plugin, or what synth.toml and synth.lock ask for
    Install(InstallArguments),
    /// List the plugins that are found
    List(PluginListArguments),
    /// Show what a plugin is and which settings its targets have
    Info(PluginInfoArguments),
    /// Check plugins: permissions, manifest, interface, synth.lock, and that they can be opened
    Verify(PluginVerifyArguments),
    /// Remove an installed plugin
    Remove(PluginRemoveArguments),
    /// Install plugins anew from where they came, and put them into synth.lock
    Update(PluginUpdateArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// The kind: what `type` is to name in synth.toml
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The crate's directory, relative to DIR [default: NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// The directory of synth-core, for a core that is not published
    #[arg(long, value_name = "DIR")]
    pub(crate) core: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArguments {
    /// A crate of crates.io, NAME or NAME@VERSION, or a library: FILE, or URL with --sha256
    #[arg(value_name = "SOURCE", conflicts_with_all = ["path", "git"])]
    pub(crate) source: Option<String>,
    /// Compile the crate in DIR
    #[arg(long, value_name = "DIR", conflicts_with = "git")]
    pub(crate) path: Option<PathBuf>,
    /// Compile the crate in a git repository
    #[arg(long, value_name = "URL")]
    pub(crate) git: Option<String>,
    /// The branch of the repository
    #[arg(long, value_name = "NAME", requires = "git", conflicts_with_all = ["tag", "rev"])]
    pub(crate) branch: Option<String>,
    /// The tag of the repository
    #[arg(long, value_name = "NAME", requires = "git", conflicts_with = "rev")]
    pub(crate) tag: Option<String>,
    /// The commit of the repository
    #[arg(long, value_name = "COMMIT", requires = "git")]
    pub(crate) rev: Option<String>,
    /// The SHA-256 that the library has to have
    #[arg(long, value_name = "DIGEST")]
    pub(crate) sha256: Option<String>,
    /// The package, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Features to enable, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// Compile without optimizations, which is quicker
    #[arg(long)]
    pub(crate) debug: bool,
    #[command(flatten)]
    pub(crate) place: PlaceArguments,
}

/// Where and how plugins are installed.
#[derive(Debug, Args)]
pub(crate) struct PlaceArguments {
    /// Install into .synth/plugins beside synth.toml instead of the user's plugin directory
    #[arg(long)]
    pub(crate) project: bool,
    /// Leave the network alone
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginListArguments {
    /// How the plugins are shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PluginInfoArguments {
    /// The kind, or the library's file
    #[arg(value_name = "KIND|FILE")]
    pub(crate) plugin: String,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PluginVerifyArguments {
    /// The kind, or the library's file; all that are found when none is named
    #[arg(value_name = "KIND|FILE")]
    pub(crate) plugin: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PluginRemoveArguments {
    /// The kind
    #[arg(value_name = "KIND")]
    pub(crate) kind: String,
    /// Remove it from .synth/plugins beside synth.toml, not from the user's plugin directory
    #[arg(long)]
    pub(crate) project: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginUpdateArguments {
    /// The kind; all that are installed when none is named
    #[arg(value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Leave the network alone
    #[arg(long)]
    pub(crate) offline: bool,
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
    /// Run at most N actions at once [default: what the make that runs synth says, or the number of
    /// processors]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Run actions at once only as far as SIZE of memory is enough for them: 8GiB, 500MB [default: what
    /// the machine and its control groups have left]
    #[arg(long, value_name = "SIZE", value_parser = crate::size::parse)]
    pub(crate) memory: Option<u64>,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
    /// Execute everything of the targets that are named again, and keep the results
    #[arg(long)]
    pub(crate) force: bool,
    /// Then apply the publish effects of what was built
    #[arg(long)]
    pub(crate) publish: bool,
    /// Then apply the deploy effects of what was built
    #[arg(long)]
    pub(crate) deploy: bool,
    /// Agree to effects that can't be undone
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave the cache alone: take no results and no plans of earlier builds, and keep none
    #[arg(long, conflicts_with = "force")]
    pub(crate) no_cache: bool,
    /// Build only the targets that changes in git can reach, and what they need
    #[arg(long)]
    pub(crate) affected: bool,
    /// Changes since REV: commits since HEAD left it, and what is not committed [default: HEAD]
    #[arg(long, value_name = "REV", requires = "affected")]
    pub(crate) since: Option<String>,
    /// Execute every action twice, and fail where it does not leave the same both times
    #[arg(long)]
    pub(crate) verify_reproducible: bool,
    /// How actions are kept to what they declare [default: what synth.toml says, or strict]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) sandbox: Option<SandboxArgument>,
    /// Keep the directories of actions that fail, and say how to run them there again
    #[arg(long)]
    pub(crate) keep_temp: bool,
    /// Say of each target that was not up to date what is different from its last build
    #[arg(long)]
    pub(crate) explain: bool,
    /// Load the images that were built into the local container engine
    #[cfg(feature = "docker")]
    #[arg(long)]
    pub(crate) load: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    #[command(flatten)]
    pub(crate) targets: TargetArguments,
    /// Only say which effects there are, in their order
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Agree to effects that can't be undone
    #[arg(long)]
    pub(crate) yes: bool,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    /// The build, as its publish called it; `last` for the last of which something is there
    #[arg(value_name = "BUILD")]
    pub(crate) build: String,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArguments {
    /// Apply what is missing
    #[arg(long, conflicts_with_all = ["undo", "done_by_hand"])]
    pub(crate) finish: bool,
    /// Undo what was applied
    #[arg(long, conflicts_with = "done_by_hand")]
    pub(crate) undo: bool,
    /// Take what is left as undone: you have done it by hand
    #[arg(long)]
    pub(crate) done_by_hand: bool,
    /// Agree to effects that can't be undone
    #[arg(long)]
    pub(crate) yes: bool,
    /// How the result is reported
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxArgument {
    /// They see and write nothing else, and one that tries fails
    Strict,
    /// Nothing is kept from them; what they write beside is told
    Warn,
    /// Neither
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Human,
    /// One JSON object; that of a build is described by `synth schema report`
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) targets: TargetArguments,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArguments {
    /// Show N builds at the most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// Only builds that did something for TARGET, or failed at it
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only builds that failed
    #[arg(long)]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// The build: its id, how the ids of no other begin, or `last` for the last one that had
    /// something to do
    #[arg(value_name = "BUILD")]
    pub(crate) build: String,
    /// Only the logs of this target
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only that of this action, as `synth plan` names it
    #[arg(value_name = "ACTION")]
    pub(crate) action: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    /// Builds of the last DAYS days, beside those of as many days before [default: 30]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) since: Option<u32>,
    /// The last N builds that had something to do, beside as many before
    #[arg(long, value_name = "N", conflicts_with = "since", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) last: Option<u32>,
    #[command(flatten)]
    pub(crate) shown: ShownArguments,
}

/// How something is shown.
#[derive(Debug, Args)]
pub(crate) struct ShownArguments {
    /// How it is shown
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl ShownArguments {
    pub(crate) fn format(&self) -> ReportFormat {
        match self.json {
            true => ReportFormat::Json,
            false => self.format,
        }
    }
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
    /// The list of `synth history --format json`
    History,
    /// The figures of `synth stats --format json`
    Stats,
}
