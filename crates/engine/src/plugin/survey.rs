//! The plugins that one run of synth knows of: what was found, what synth.toml says and what
//! synth.lock pins; and the registry that follows from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use synth_core::Diagnostic;

use super::discovery::{self, FoundPlugin, PluginDirectories};
use super::index::Index;
use super::install::Record;
use super::lock::{LOCK_FILE_NAME, Lock, Pin, PinState};
use super::select::{self, Selection};
use super::{HostProgram, PluginFile, PluginLimits};
use crate::Registry;
use crate::config::{self, Choice, Pipeline, PluginConfig};
use crate::index::Watched;

/// How plugins are looked for and opened.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// Where they are looked for, beside what synth.toml says.
    pub directories: PluginDirectories,
    /// The file that keeps what was read from libraries; none reads them every time.
    pub index: Option<PathBuf>,
    /// Whether a plugin without a pin is refused.
    pub locked: bool,
    /// The program that hosts a plugin in a process of its own.
    pub host: HostProgram,
}

/// What one run of synth knows of plugins.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The libraries found, in the order of [`Origin`](super::Origin).
    pub found: Vec<FoundPlugin>,
    /// The project's pins.
    pub lock: Lock,
    pub(crate) config: PluginConfig,
    pub(crate) locked: bool,
    host: HostProgram,
    /// What was read for it.
    pub(crate) watched: Watched,
}

impl Survey {
    /// Looks for plugins for the project of `directory`, with or without a synth.toml.
    ///
    /// # Errors
    /// What is wrong with synth.toml, as far as it says something of plugins, with synth.lock and
    /// with directories that were named.
    pub fn of_directory(
        directory: &Path,
        config: Option<&Path>,
        options: &PluginOptions,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let config = config::plugin_config(directory, config, &mut problems)?;
        let survey = Self::of(config, options, &mut problems);
        if problems.iter().any(Diagnostic::is_error) {
            return Err(problems);
        }
        Ok((survey, problems))
    }

    /// Looks for plugins for a directory that has no synth.toml, or whose synth.toml doesn't
    /// matter.
    #[must_use]
    pub fn without_configuration(
        directory: &Path,
        options: &PluginOptions,
    ) -> (Self, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let config = PluginConfig::without_file(directory);
        let survey = Self::of(config, options, &mut problems);
        (survey, problems)
    }

    pub(crate) fn of(
        config: PluginConfig,
        options: &PluginOptions,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut index = Index::at(options.index.clone());
        let mut watched = discovery::watch(&options.directories, &config);
        if let Some(root) = &config.root {
            watched.look(&root.join(LOCK_FILE_NAME));
        }
        let discovery = discovery::discover(&options.directories, &config, &mut index);
        problems.extend(discovery.problems);
        let lock = config.root.as_deref().map(Lock::read).transpose();
        let lock = lock.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        Self {
            found: discovery.found,
            lock: lock.unwrap_or_default(),
            config,
            locked: options.locked,
            host: options.host.clone(),
            watched,
        }
    }

    /// The directory of synth.toml, or the one that plugins were looked for.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.config.root.as_deref()
    }

    /// Whether a target of synth.toml is of a kind.
    #[must_use]
    pub fn uses(&self, kind: &str) -> bool {
        self.config.used.contains(kind)
    }

    /// What brings each kind that a library was found for, or that synth.toml names.
    #[must_use]
    pub fn selections(&self, linked: &Registry) -> BTreeMap<String, Selection> {
        select::select(self, linked)
    }

    /// What a kind's plugin is allowed.
    #[must_use]
    pub fn limits(&self, kind: &str) -> PluginLimits {
        self.config
            .request(kind)
            .map(|request| request.limits.clone())
            .unwrap_or_default()
    }

    /// The kinds that are linked in and those of plugins. Nothing is opened.
    #[must_use]
    pub fn registry(&self, linked: &Registry) -> Registry {
        let mut registry = linked.clone();
        for (kind, selection) in self.selections(linked) {
            registry = match selection {
                Selection::Linked => registry,
                Selection::Unusable(problem) if problem.place.is_none() => {
                    registry.with_broken(kind, problem.at_setting(["type"]))
                }
                Selection::Unusable(problem) => registry.with_broken(kind, problem),
                Selection::Plugin(file) => {
                    let (description, identity) = (file.manifest.describe(), file.sha256.clone());
                    let target = super::open(file, self.limits(&kind), self.host.clone());
                    registry
                        .without(&kind)
                        .with_described(target, description, identity)
                }
            };
        }
        registry
    }

    /// The files that can't be used, for a kind that nobody brings.
    pub(crate) fn unusable_files(&self) -> Vec<String> {
        let unusable = self.found.iter().filter(|found| found.problem.is_some());
        unusable
            .map(|found| format!("`{}`", found.path.display()))
            .collect()
    }

    /// Pins the plugins that a pipeline uses and synth.toml names, where they have no pin for this
    /// machine yet. Gives the kinds.
    ///
    /// # Errors
    /// Why synth.lock can't be written.
    pub fn pin(&self, pipeline: &Pipeline, linked: &Registry) -> Result<Vec<String>, Diagnostic> {
        let Some(root) = self.root().filter(|_| !self.locked) else {
            return Ok(Vec::new());
        };
        let mut new: Vec<(String, PluginFile)> = Vec::new();
        for (kind, selection) in self.selections(linked) {
            let used = pipeline.targets.iter().any(|target| target.kind == kind);
            let pin = self.lock.pin(&kind);
            let named = matches!(self.config.choices.get(&kind), Some(Choice::Plugin(_)));
            if let Selection::Plugin(file) = selection
                && used
                && (named || pin.is_some())
                && pin.is_none_or(|pin| pin.compare(&file) == PinState::Missing)
            {
                new.push((kind, file));
            }
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        Lock::update(root, |lock| {
            for (kind, file) in &new {
                lock.set(kind, pin_of(root, file));
            }
        })?;
        Ok(new.into_iter().map(|(kind, _)| kind).collect())
    }
}

/// The pin of a library, with the source that its record tells.
pub(crate) fn pin_of(root: &Path, file: &PluginFile) -> Pin {
    let source = Record::read(file).map(|record| record.source.relative_to(root).to_string());
    Pin::of(file, source)
}
