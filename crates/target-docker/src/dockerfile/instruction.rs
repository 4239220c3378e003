//! What an instruction says, as values, before any variable is replaced.

use std::fmt;

use super::lines::Heredoc;

/// A Dockerfile: what is before the first `FROM`, and the stages.
#[derive(Clone, Debug)]
pub(crate) struct Dockerfile {
    pub(crate) escape: char,
    /// `ARG`s before the first `FROM`.
    pub(crate) global_arguments: Vec<Statement>,
    pub(crate) stages: Vec<Stage>,
}

/// `FROM` and everything up to the next one.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) line: u32,
    /// The image, as written.
    pub(crate) base: String,
    pub(crate) platform: Option<String>,
    /// The name after `AS`, in lower case.
    pub(crate) name: Option<String>,
    pub(crate) statements: Vec<Statement>,
}

/// One instruction and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) line: u32,
    /// Its text in one line, for an image's history.
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

/// An instruction other than `FROM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// `ARG name[=default]..`
    Arguments(Vec<(String, Option<String>)>),
    /// `ENV`
    Environment(Vec<(String, String)>),
    /// `LABEL`
    Labels(Vec<(String, String)>),
    /// `COPY` and `ADD`
    Copy(Box<Copy>),
    /// `RUN`
    Run(Run),
    /// `WORKDIR`
    WorkingDirectory(String),
    /// `USER`
    User(String),
    /// `EXPOSE`
    Expose(String),
    /// `VOLUME`
    Volumes(Vec<String>),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `CMD`
    Command(CommandLine),
    /// `HEALTHCHECK`; none for `HEALTHCHECK NONE`
    Healthcheck(Option<Healthcheck>),
    /// `STOPSIGNAL`
    StopSignal(String),
    /// `SHELL`
    Shell(Vec<String>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `ONBUILD`
    OnBuild(String),
}

/// A command as a list of words or as text for the stage's shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandLine {
    Words(Vec<String>),
    Shell(String),
}

/// `COPY` or `ADD`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copy {
    /// It is an `ADD`.
    pub(crate) add: bool,
    pub(crate) from: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) exclude: Vec<String>,
    /// `--parents`: keep the directories above the sources.
    pub(crate) parents: bool,
    /// `--link`: the destination's links are not followed.
    pub(crate) link: bool,
    /// `--unpack`, for `ADD`.
    pub(crate) unpack: Option<bool>,
    pub(crate) sources: Vec<CopySource>,
    pub(crate) destination: String,
    /// The arguments were a JSON list, so that they are not split any more.
    pub(crate) listed: bool,
}

/// One source of a `COPY` or `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CopySource {
    Path(String),
    Heredoc(Heredoc),
}

/// `RUN`: what of it matters without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) mounts: Vec<Mount>,
}

/// `RUN --mount=..`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) kind: String,
    pub(crate) from: Option<String>,
    pub(crate) source: Option<String>,
}

/// `HEALTHCHECK`; times in nanoseconds, 0 where nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Healthcheck {
    pub(crate) interval: u64,
    pub(crate) timeout: u64,
    pub(crate) start_period: u64,
    pub(crate) start_interval: u64,
    pub(crate) retries: u64,
    pub(crate) command: CommandLine,
}

/// Every instruction by its keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    pub(crate) const ALL: [(&'static str, Self); 18] = [
        ("ADD", Self::Add),
        ("ARG", Self::Arg),
        ("CMD", Self::Cmd),
        ("COPY", Self::Copy),
        ("ENTRYPOINT", Self::Entrypoint),
        ("ENV", Self::Env),
        ("EXPOSE", Self::Expose),
        ("FROM", Self::From),
        ("HEALTHCHECK", Self::Healthcheck),
        ("LABEL", Self::Label),
        ("MAINTAINER", Self::Maintainer),
        ("ONBUILD", Self::Onbuild),
        ("RUN", Self::Run),
        ("SHELL", Self::Shell),
        ("STOPSIGNAL", Self::Stopsignal),
        ("USER", Self::User),
        ("VOLUME", Self::Volume),
        ("WORKDIR", Self::Workdir),
    ];

    /// The keyword of a word, in any case.
    pub(crate) fn find(word: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, keyword)| *keyword)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, keyword)| keyword == self);
        formatter.write_str(name.map_or("", |(name, _)| name))
    }
}
