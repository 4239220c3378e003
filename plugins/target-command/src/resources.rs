//! What a command needs of the machine: processors, memory, and jobs that its programs take further.

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;
use synth_core::{Diagnostic, Jobserver, Resources};

use crate::programs::Program;
use crate::recipe::{Recipe, error};
use crate::settings::Settings;

/// The program that always does several things at once, and shares them well.
const CARGO: &str = "cargo";

/// What a command needs while it runs, so that what runs at once fits into the machine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceSettings {
    /// How many processors it keeps busy. Unless said otherwise, as many as the last time.
    #[schemars(range(min = 1, max = 65536))]
    pub(crate) cpus: Option<u32>,

    /// How much memory it takes, such as `"4 GiB"` or `"500 MB"`. Unless said otherwise, as much as
    /// its largest process the last time.
    pub(crate) memory: Option<String>,
}

/// How a command's programs share the jobs of the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum JobserverSetting {
    /// Whether they do.
    Shared(bool),
    /// In another way.
    Style(JobserverStyle),
}

/// The other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobserverStyle {
    /// For Ninja, and for make from 4.4 on.
    NamedPipe,
}

/// What is wrong with what is asked for.
pub(crate) fn problems(settings: &Settings) -> Vec<Diagnostic> {
    let Some(resources) = &settings.resources else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if resources.cpus == Some(0) {
        let message = "`cpus` of `resources` is 0".to_owned();
        let problem = error("command.resources.cpus", message, &["resources", "cpus"]);
        problems.push(problem.help("say 1 or more, or leave it out: then it is learned"));
    }
    if let Some(text) = &resources.memory
        && memory(text).is_none()
    {
        let message = format!("`memory` of `resources` is no size: `{text}`");
        let place = ["resources", "memory"];
        let problem = error("command.resources.memory", message, &place);
        problems.push(problem.help("write a number and a unit, like `4 GiB` or `500 MB`"));
    }
    problems
}

/// The bytes of a size, of which there is at least one.
fn memory(text: &str) -> Option<u64> {
    let size: ByteSize = text.trim().parse().ok()?;
    Some(size.as_u64()).filter(|bytes| *bytes > 0)
}

/// What the action needs, of settings without problems.
pub(crate) fn of(recipe: &Recipe) -> Resources {
    let asked = recipe.settings.resources.as_ref();
    let bytes = asked.and_then(|asked| memory(asked.memory.as_deref()?));
    let cpus = asked.and_then(|asked| asked.cpus).unwrap_or_default();
    let is_cargo = matches!(&recipe.program, Program::Tool(tool) if tool.name == CARGO);
    Resources {
        cpu_millis: cpus.saturating_mul(1000),
        memory_bytes: bytes.unwrap_or_default(),
        jobserver: match recipe.settings.jobserver {
            Some(JobserverSetting::Style(JobserverStyle::NamedPipe)) => Jobserver::NamedPipe,
            Some(JobserverSetting::Shared(true)) => Jobserver::Descriptors,
            None if is_cargo && recipe.settings.script.is_none() => Jobserver::Descriptors,
            Some(JobserverSetting::Shared(false)) | None => Jobserver::None,
        },
    }
}
