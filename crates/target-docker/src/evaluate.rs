//! From a stage's instructions to what they do: variables replaced, paths made absolute, the
//! configuration changed, and the changes of the file system in order. No file is touched here,
//! so that planning and building come to the same answer.

use std::collections::BTreeMap;

use synth_core::Diagnostic;

use crate::dockerfile::{
    CommandLine, Copy, CopySource, Dockerfile, Expanded, Heredoc, Instruction, Run, SourceText,
    Statement, expand, expand_only,
};
use crate::image_config;
use crate::mode::ModeChange;
use crate::oci::ContainerConfig;
use crate::paths;
use crate::stages::{Origin, StageGraph};
use crate::variables::Arguments;

/// What the instructions of a stage change.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageState {
    pub(crate) config: ContainerConfig,
    pub(crate) author: Option<String>,
    /// The `ARG`s that are in force.
    pub(crate) arguments: BTreeMap<String, String>,
    /// The configuration of the image that it all began with is not known (yet).
    pub(crate) base_unknown: bool,
}

impl StageState {
    /// The state of `FROM scratch`.
    pub(crate) fn scratch() -> Self {
        Self {
            config: ContainerConfig {
                env: vec![format!("PATH={}", image_config::DEFAULT_PATH)],
                working_dir: "/".into(),
                ..ContainerConfig::default()
            },
            ..Self::default()
        }
    }

    /// The state of an image whose configuration is not known.
    pub(crate) fn unknown() -> Self {
        Self {
            base_unknown: true,
            ..Self::scratch()
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        image_config::variable(&self.config, name)
            .map(str::to_owned)
            .or_else(|| self.arguments.get(name).cloned())
    }
}

/// One instruction of a stage, carried out as far as it can be without files.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: u32,
    /// For the image's history.
    pub(crate) text: String,
    pub(crate) change: Change,
}

/// What an instruction does to the file system.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Nothing: only the configuration changes.
    Configuration,
    /// A directory is there afterwards, owned by this user if it was not.
    Directory { path: String, user: String },
    /// Files are copied.
    Copy(Box<CopyStep>),
    /// Something runs, with these directories of the build context (or another) in view.
    Run { mounts: Vec<(Origin, String)> },
}

/// A `COPY` or `ADD` with nothing left to replace.
#[derive(Clone, Debug)]
pub(crate) struct CopyStep {
    pub(crate) origin: Origin,
    pub(crate) sources: Vec<Source>,
    /// Absolute, in normal form.
    pub(crate) destination: String,
    /// The destination is a directory whatever the sources are: it ends in `/`.
    pub(crate) into_directory: bool,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<ModeChange>,
    pub(crate) exclude: Vec<String>,
    pub(crate) parents: bool,
    pub(crate) link: bool,
    /// Archives among the sources are unpacked.
    pub(crate) unpack: bool,
}

/// One source of a copy.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A path or pattern, relative to the origin's root.
    Path(String),
    /// A file made of a here-document.
    Inline { name: String, text: String },
    /// A URL or a repository: not on this machine.
    Remote(String),
}

/// Evaluates instructions of one Dockerfile.
pub(crate) struct Evaluator<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) source: &'a SourceText,
    pub(crate) arguments: &'a Arguments,
    pub(crate) graph: &'a StageGraph,
}

impl Evaluator<'_> {
    /// Carries out a stage's instructions on `state`.
    pub(crate) fn stage(
        &self,
        index: usize,
        state: &mut StageState,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(stage) = self.dockerfile.stages.get(index) else {
            return steps;
        };
        // What a base brings along is reset by an ENTRYPOINT of one's own.
        let mut own_command = false;
        for statement in &stage.statements {
            let mut one = Statements {
                evaluator: self,
                stage: index,
                statement,
                state,
                problems,
            };
            match one.evaluate(&mut own_command) {
                Ok(Some(change)) => steps.push(Step {
                    line: statement.line,
                    text: statement.text.clone(),
                    change,
                }),
                Ok(None) => {}
                Err(diagnostic) => problems.push(diagnostic),
            }
        }
        steps
    }
}

/// One statement at work.
struct Statements<'a, 'e> {
    evaluator: &'a Evaluator<'e>,
    stage: usize,
    statement: &'a Statement,
    state: &'a mut StageState,
    problems: &'a mut Vec<Diagnostic>,
}

impl Statements<'_, '_> {
    fn error(&self, code: &str, message: impl Into<String>) -> Diagnostic {
        let source = self.evaluator.source;
        source.error(self.statement.line, &format!("docker.{code}"), message)
    }

    fn expand(&mut self, text: &str) -> Result<String, Diagnostic> {
        Ok(self.expand_now(text)?.text)
    }

    /// What the text means with what is known now.
    fn expand_now(&mut self, text: &str) -> Result<Expanded, Diagnostic> {
        let state = &*self.state;
        let escape = self.evaluator.dockerfile.escape;
        let expanded = expand(text, &|name: &str| state.value(name), escape)
            .map_err(|reason| self.error("substitution", reason))?;
        if !self.state.base_unknown {
            for name in &expanded.undefined {
                let warning = self.evaluator.source.warning(
                    self.statement.line,
                    "docker.variable.undefined",
                    format!("`{name}` has no value here"),
                );
                self.problems.push(warning.help(format!(
                    "declare it in this stage with `ARG {name}` or `ENV {name}=..`"
                )));
            }
        }
        Ok(expanded)
    }

    /// The text with its variables replaced; none when it takes one from a base image that is not
    /// known yet, so that nothing can be said about it.
    fn expand_known(&mut self, text: &str) -> Result<Option<String>, Diagnostic> {
        let expanded = self.expand_now(text)?;
        let known = !self.state.base_unknown || expanded.undefined.is_empty();
        Ok(known.then_some(expanded.text))
    }

    fn evaluate(&mut self, own_command: &mut bool) -> Result<Option<Change>, Diagnostic> {
        match &self.statement.instruction {
            Instruction::Arguments(declared) => {
                self.declare(declared)?;
                return Ok(None);
            }
            Instruction::Environment(pairs) => self.environment(pairs)?,
            Instruction::Labels(pairs) => self.labels(pairs)?,
            Instruction::Copy(copy) => return self.copy(copy).map(Some),
            Instruction::Run(run) => return self.run(run).map(Some),
            Instruction::WorkingDirectory(path) => return self.working_directory(path).map(Some),
            Instruction::User(user) => {
                if let Some(user) = self.expand_known(user)? {
                    if user.is_empty() {
                        return Err(self.error("user.empty", "`USER` names no user"));
                    }
                    self.state.config.user = user;
                }
            }
            Instruction::Expose(ports) => self.expose(ports)?,
            Instruction::Volumes(volumes) => {
                for volume in volumes {
                    let volume = self.expand(volume)?;
                    let volumes = &mut self.state.config.volumes;
                    volumes.entry(volume).or_default();
                }
            }
            Instruction::Entrypoint(command) => {
                self.state.config.entrypoint = Some(self.command(command));
                if !*own_command {
                    self.state.config.cmd = None;
                }
            }
            Instruction::Command(command) => {
                self.state.config.cmd = Some(self.command(command));
                *own_command = true;
            }
            Instruction::Healthcheck(check) => {
                let check = image_config::healthcheck(check.as_ref());
                self.state.config.healthcheck = Some(check);
            }
            Instruction::StopSignal(signal) => self.stop_signal(signal)?,
            Instruction::Shell(words) => self.state.config.shell.clone_from(words),
            Instruction::Maintainer(author) => self.state.author = Some(author.clone()),
            Instruction::OnBuild(trigger) => self.state.config.on_build.push(trigger.clone()),
        }
        Ok(Some(Change::Configuration))
    }

    fn run(&mut self, run: &Run) -> Result<Change, Diagnostic> {
        let mut mounts = Vec::new();
        for mount in &run.mounts {
            if matches!(mount.kind.as_str(), "secret" | "ssh") {
                return Err(self
                    .error(
                        "run.mount.unsupported",
                        format!("`--mount=type={}` is not supported", mount.kind),
                    )
                    .help("fetch what needs credentials in a target of its own and copy it in"));
            }
            let origin = match (mount.kind.as_str(), mount.from.as_deref()) {
                ("bind" | "cache", Some(from)) => self.origin(from)?,
                ("bind", None) => Origin::Context,
                _ => continue,
            };
            let source = self.expand(mount.source.as_deref().unwrap_or(""))?;
            mounts.push((origin, source));
        }
        Ok(Change::Run { mounts })
    }

    fn working_directory(&mut self, path: &str) -> Result<Change, Diagnostic> {
        let Some(path) = self.expand_known(path)? else {
            return Ok(Change::Configuration);
        };
        if path.is_empty() {
            return Err(self.error("workdir.empty", "`WORKDIR` names no directory"));
        }
        let path = paths::absolute(&self.state.config.working_dir, &path);
        self.state.config.working_dir.clone_from(&path);
        let user = self.state.config.user.clone();
        Ok(Change::Directory { path, user })
    }

    fn stop_signal(&mut self, signal: &str) -> Result<(), Diagnostic> {
        let Some(signal) = self.expand_known(signal)? else {
            return Ok(());
        };
        if !image_config::is_signal(&signal) {
            return Err(self
                .error("stopsignal", format!("`{signal}` is not a signal"))
                .help("write a name such as `SIGTERM`, or a number"));
        }
        self.state.config.stop_signal = signal;
        Ok(())
    }

    fn declare(&mut self, declared: &[(String, Option<String>)]) -> Result<(), Diagnostic> {
        for (name, default) in declared {
            let default = match default {
                Some(text) => Some(self.expand(text)?),
                None => None,
            };
            if let Some(value) = self.evaluator.arguments.in_stage(name, default) {
                self.state.arguments.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    fn environment(&mut self, pairs: &[(String, String)]) -> Result<(), Diagnostic> {
        // All values of one instruction see the variables from before it.
        let mut values = Vec::new();
        for (name, value) in pairs {
            values.push((self.expand(name)?, self.expand_known(value)?));
        }
        for (name, value) in values {
            match value {
                Some(value) => {
                    image_config::set_variable(&mut self.state.config, &name, &value);
                }
                // As little known as what it is made of.
                None => image_config::remove_variable(&mut self.state.config, &name),
            }
        }
        Ok(())
    }

    fn labels(&mut self, pairs: &[(String, String)]) -> Result<(), Diagnostic> {
        for (name, value) in pairs {
            let (name, value) = (self.expand(name)?, self.expand(value)?);
            self.state.config.labels.insert(name, value);
        }
        Ok(())
    }

    fn expose(&mut self, text: &str) -> Result<(), Diagnostic> {
        let expanded = self.expand_now(text)?;
        if self.state.base_unknown && !expanded.undefined.is_empty() {
            return Ok(());
        }
        for word in expanded.words {
            let ports = image_config::ports(&word).map_err(|reason| {
                self.error("expose", reason)
                    .help("write `80`, `53/udp` or `8000-8010`")
            })?;
            for port in ports {
                let exposed = &mut self.state.config.exposed_ports;
                exposed.entry(port).or_default();
            }
        }
        Ok(())
    }

    fn command(&self, command: &CommandLine) -> Vec<String> {
        match command {
            CommandLine::Words(words) => words.clone(),
            CommandLine::Shell(text) if text.is_empty() => Vec::new(),
            CommandLine::Shell(text) => {
                let mut words = image_config::shell(&self.state.config);
                words.push(text.clone());
                words
            }
        }
    }

    fn origin(&self, from: &str) -> Result<Origin, Diagnostic> {
        let origin = self.evaluator.graph.named_by_flag(from, self.stage);
        origin.map_err(|reason| self.error("from_flag.stage", reason))
    }

    fn copy(&mut self, copy: &Copy) -> Result<Change, Diagnostic> {
        let origin = match &copy.from {
            Some(from) => self.origin(from)?,
            None => Origin::Context,
        };
        let mut sources = Vec::new();
        for source in &copy.sources {
            sources.push(match source {
                CopySource::Path(path) => self.source(path, copy.add)?,
                CopySource::Heredoc(heredoc) => self.heredoc(heredoc)?,
            });
        }
        // Where it goes is of no interest before the base image is read; any directory will do.
        let written = self.expand_known(&copy.destination)?;
        let written = written.unwrap_or_else(|| "/".to_owned());
        if written.is_empty() {
            return Err(self.error("copy.destination", "the destination is empty"));
        }
        let last = written.rsplit('/').next().unwrap_or("");
        let into_directory = matches!(last, "" | "." | "..");
        if sources.len() > 1 && !into_directory {
            return Err(self
                .error(
                    "copy.destination",
                    format!(
                        "several sources go to `{written}`, which is not marked as a directory"
                    ),
                )
                .help(format!("write `{written}/`")));
        }
        let mode = match &copy.mode {
            Some(mode) => self.expand_known(mode)?,
            None => None,
        };
        let mode = match mode {
            Some(mode) => {
                Some(ModeChange::parse(&mode).map_err(|reason| self.error("chmod", reason))?)
            }
            None => None,
        };
        let owner = match &copy.owner {
            Some(owner) => Some(self.expand(owner)?),
            None => None,
        };
        let mut exclude = Vec::new();
        for pattern in &copy.exclude {
            exclude.push(self.expand(pattern)?);
        }
        Ok(Change::Copy(Box::new(CopyStep {
            origin,
            sources,
            destination: paths::absolute(&self.state.config.working_dir, &written),
            into_directory,
            owner,
            mode,
            exclude,
            parents: copy.parents,
            link: copy.link,
            unpack: copy.unpack.unwrap_or(copy.add),
        })))
    }

    fn heredoc(&self, heredoc: &Heredoc) -> Result<Source, Diagnostic> {
        let text = if heredoc.expand {
            let escape = self.evaluator.dockerfile.escape;
            let variables = |name: &str| self.state.value(name);
            expand_only(&heredoc.content, &variables, escape)
                .map_err(|reason| self.error("substitution", reason))?
                .text
        } else {
            heredoc.content.clone()
        };
        Ok(Source::Inline {
            name: heredoc.name.clone(),
            text,
        })
    }

    fn source(&mut self, written: &str, add: bool) -> Result<Source, Diagnostic> {
        let state = &*self.state;
        let escape = self.evaluator.dockerfile.escape;
        let expanded = expand(written, &|name: &str| state.value(name), escape)
            .map_err(|reason| self.error("substitution", reason))?;
        if self.state.base_unknown
            && let Some(name) = expanded.undefined.first()
        {
            return Err(self
                .error(
                    "copy.source.variable",
                    format!("the source `{written}` needs `{name}`, which no `ARG` or `ENV` of this Dockerfile sets"),
                )
                .help(format!(
                    "what is copied is decided before the base image is read: declare `ARG {name}` with a default"
                )));
        }
        let path = self.expand(written)?;
        if path.is_empty() {
            return Err(self
                .error(
                    "copy.source.empty",
                    format!("the source `{written}` is empty"),
                )
                .help("give its variable a value, or write `.` for everything"));
        }
        Ok(if add && is_remote(&path) {
            Source::Remote(path)
        } else {
            Source::Path(path)
        })
    }
}

fn is_remote(source: &str) -> bool {
    [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ]
    .iter()
    .any(|prefix| source.starts_with(prefix))
}
