//! The keys of a command target in synth.toml.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::resources::{JobserverSetting, ResourceSettings};

/// Settings of a command.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The command: a program and its arguments, each an element of its own, as in
    /// `["cc", "-o", "app", "main.c"]`. No shell reads it. A program without `/` is looked for on
    /// the `PATH`; one with `/` is a file below the source directory: `["./configure"]`. Either
    /// this or `script`.
    pub(crate) command: Option<Vec<String>>,

    /// Lines for a shell, which stops at the first that fails.
    pub(crate) script: Option<String>,

    /// The shell that gets the script as its last argument, such as
    /// `["bash", "-euo", "pipefail", "-c"]`. `["sh", "-euc"]` unless said otherwise.
    pub(crate) shell: Option<Vec<String>>,

    /// Globs of the files that the command reads, relative to the source directory:
    /// `["src/**", "Makefile"]`. It sees no others, and runs again when one of them changes.
    /// Everything below the source directory unless said otherwise, but for the outputs.
    pub(crate) inputs: Option<Vec<String>>,

    /// Globs of files that are no inputs, though they match: `["**/*.md"]`.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,

    /// Globs of the files that the command leaves, relative to the source directory: `["app"]`,
    /// `["dist/**"]`. Each must match something in the end. They are put where the command left
    /// them, or below `output_path` where that is set. None for a command that only checks.
    #[serde(default)]
    pub(crate) outputs: Vec<String>,

    /// Globs of what the command may leave or change beside its outputs and nobody needs, relative
    /// to the source directory; one without `/` means that name at any depth: `["__pycache__"]`.
    /// In a strict sandbox the command fails when it leaves anything else.
    #[serde(default)]
    pub(crate) scratch: Vec<String>,

    /// Globs of the outputs that are listed as artifacts; all outputs unless said otherwise.
    pub(crate) artifacts: Option<Vec<String>>,

    /// Other programs that the command starts, such as `["node"]`: their directories are
    /// searched, and it runs again when one of them is another one. The programs of the system's
    /// own directories (`/usr/bin`, `/bin`) are found without being named, and not looked at.
    #[serde(default)]
    pub(crate) tools: Vec<String>,

    /// Variables of your own environment that the command sees; the last character may be `*`:
    /// `["CI", "NPM_*"]`. It does not run again when they change: for what may not matter to the
    /// outputs, such as credentials and caches. All others belong into `environment`.
    #[serde(default)]
    pub(crate) pass_environment: Vec<String>,

    /// Whether the command uses the network.
    #[serde(default)]
    pub(crate) network: bool,

    /// What the command needs of the machine: `{ cpus = 2, memory = "4 GiB" }`.
    pub(crate) resources: Option<ResourceSettings>,

    /// Whether make, Cargo and other programs of the command share the jobs of the build (`-j`) with
    /// all others: `true`, or `"named_pipe"` for Ninja. Then make does several things at once by itself.
    /// `false` unless the command is `cargo`.
    pub(crate) jobserver: Option<JobserverSetting>,

    /// The command that publishes the outputs, on `synth publish`: a program and its arguments, as
    /// in `command`. It runs in the source directory, outside of the sandbox; the outputs are in
    /// the directory that `SYNTH_OUT` names, those of needed targets in `SYNTH_OUT_NAME`. To run it
    /// twice has to come to the same as to run it once.
    pub(crate) publish_command: Option<Vec<String>>,

    /// The command that takes back what `publish_command` did. Without one publishing is
    /// irreversible: it comes last, and has to be agreed to. What `publish_command` left in the
    /// file that `SYNTH_RECEIPT` names is in the file of that variable again.
    pub(crate) undo_command: Option<Vec<String>>,

    /// The command that tells whether these very outputs are published already: it exits with 0
    /// if they are, and with 1 if they are not.
    pub(crate) check_command: Option<Vec<String>>,

    /// After how many seconds the command is ended; 3600 unless said otherwise.
    #[schemars(range(min = 1))]
    pub(crate) timeout_seconds: Option<u64>,
}
