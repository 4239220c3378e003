//! Installs plugins: from sources through the user's cargo, or as a library that somebody has
//! built. A library is checked, and opened once in a process of its own, before it takes its place.

mod cargo;
mod download;
mod place;
mod record;
mod reproducible;
mod sources;

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use synth_core::{Concern, Diagnostic};
use tokio_util::sync::CancellationToken;

use super::discovery::{FoundPlugin, is_kind};
use super::{
    HostProgram, LOCK_FILE_NAME, Lock, Origin, PinState, PluginFile, PluginLimits, Source, examine,
};
use crate::executor::Stop;

pub use place::remove_library;
pub use record::{BuildSettings, Record};

/// What is to be installed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where from; paths are absolute.
    pub source: Source,
    /// For a registry: the crate's possible names, the likeliest first.
    pub crates: Vec<String>,
    /// The versions that will do.
    pub version: VersionReq,
    /// How it is compiled.
    pub build: BuildSettings,
    /// For a library: the SHA-256 it has to have, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The kind it has to bring, when that is known.
    pub kind: Option<String>,
    /// Where nothing may be installed that has no pin: the pins.
    pub locked: Option<Lock>,
}

/// How it is installed.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// The plugin directory.
    pub directory: PathBuf,
    /// Where compilation takes place: a directory on a disk with room.
    pub work: PathBuf,
    /// Whether the network is left alone.
    pub offline: bool,
    /// Whether cargo and git say nothing unless they fail.
    pub quiet: bool,
    /// The program that opens the library once.
    pub host: HostProgram,
    /// Stops it; nothing is installed then.
    pub cancel: CancellationToken,
    /// Stops it at once.
    pub kill: CancellationToken,
}

/// What was installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The library in its place.
    pub file: PluginFile,
    /// Where it came from, as it turned out.
    pub source: Source,
    /// The version that was in its place.
    pub replaced: Option<Version>,
    /// Whether it is the very library that was in its place.
    pub unchanged: bool,
}

/// What the parts of an installation share.
struct Context<'a> {
    offline: bool,
    quiet: bool,
    stop: &'a Stop,
}

/// Gets a library, checks it and puts it into its place.
///
/// # Errors
/// Why it is not installed; what was there before is as it was.
pub async fn install(wanted: &Wanted, options: &InstallOptions) -> Result<Installed, Diagnostic> {
    let stop = Stop {
        cancel: options.cancel.clone(),
        kill: options.kill.clone(),
    };
    let context = Context {
        offline: options.offline,
        quiet: options.quiet,
        stop: &stop,
    };
    let work = work_directory(&options.work)?;
    let obtained = sources::obtain(&context, wanted, work.path()).await?;
    let shown = match &wanted.source {
        Source::File(path) => path.display().to_string(),
        Source::Url { url, .. } => url.clone(),
        _ => obtained.library.display().to_string(),
    };
    let file = check(&obtained.library, &shown, wanted)?;
    let (examined, host) = (file.clone(), options.host.clone());
    let opened =
        tokio::task::spawn_blocking(move || examine(&examined, &PluginLimits::default(), &host));
    tokio::select! {
        opened = opened => opened
            .map_err(|error| internal(&error))?
            .map_err(|problem| named(problem, &obtained.library, &shown))?,
        () = stop.cancel.cancelled() => return Err(cancelled()),
    }
    let record = Record {
        source: obtained.source.clone(),
        build: wanted.build.clone(),
    };
    let before = options
        .directory
        .join(place::file_name(&file.manifest.crate_name));
    let before = PluginFile::read(&before).ok();
    let path = place::place(&file, &record, &options.directory)?;
    Ok(Installed {
        unchanged: before
            .as_ref()
            .is_some_and(|before| before.sha256 == file.sha256),
        replaced: before.map(|before| before.manifest.version),
        file: PluginFile { path, ..file },
        source: obtained.source,
    })
}

/// A problem of a library in the directory where it was worked on, told of where it came from.
fn named(mut problem: Diagnostic, library: &Path, shown: &str) -> Diagnostic {
    let library = library.display().to_string();
    for text in problem.help.iter_mut().chain(&mut problem.causes) {
        *text = text.replace(&library, shown);
    }
    problem
}

/// What can be judged without opening the library.
fn check(library: &Path, shown: &str, wanted: &Wanted) -> Result<PluginFile, Diagnostic> {
    let refused = |error: super::PluginFileError| error.diagnostic(Path::new(shown));
    let file = PluginFile::read(library).map_err(refused)?;
    file.check().map_err(refused)?;
    let kind = &file.manifest.target.kind;
    let problem = |code: &str, message: String| {
        Diagnostic::error(code, message).concerning(Concern::Environment)
    };
    if !is_kind(kind) {
        return Err(problem(
            "plugin.kind",
            format!("{} calls its kind `{}`", file.name(), kind.escape_debug()),
        )
        .help("a kind has lower-case letters, digits and `-`; tell the plugin's author"));
    }
    if let Some(expected) = wanted.kind.as_ref().filter(|expected| *expected != kind) {
        return Err(problem(
            "plugin.other_kind",
            format!(
                "{} is a plugin for `{kind}`, not for `{expected}`",
                file.name()
            ),
        ));
    }
    if !wanted.version.matches(&file.manifest.version) {
        return Err(problem(
            "plugin.version",
            format!(
                "{} is not the version that is asked for: {}",
                file.name(),
                wanted.version
            ),
        )
        .help("change the version in synth.toml, or install from where there is one that fits"));
    }
    let pin = wanted.locked.as_ref().map(|lock| lock.pin(kind));
    if let Some(pin) = pin
        && pin.is_none_or(|pin| pin.compare(&file) != PinState::Same)
    {
        return Err(problem(
            "plugin.unpinned",
            format!(
                "{LOCK_FILE_NAME} does not have {}, SHA-256 {}, and `--locked` leaves it as it is",
                file.name(),
                file.sha256
            ),
        )
        .help("install it once without `--locked`, and commit synth.lock"));
    }
    match &wanted.sha256 {
        Some(expected) if *expected != file.sha256 => {
            let wrong = download::wrong_digest(shown, expected, &file.sha256);
            Err(match wanted.source {
                Source::File(_) | Source::Url { .. } => wrong,
                // Another compiler gives other bytes.
                _ => wrong.help(format!(
                    "the digest is that of synth.lock: `synth plugin update {kind}` takes what is compiled here"
                )),
            })
        }
        _ => Ok(file),
    }
}

/// Opens an installed library once, in a process of its own, after everything that can be judged
/// without.
///
/// # Errors
/// What is wrong with it.
pub fn verify(
    found: &FoundPlugin,
    limits: &PluginLimits,
    host: &HostProgram,
) -> Result<(), Diagnostic> {
    if let Some(problem) = &found.problem {
        return Err(problem.clone());
    }
    let Some(file) = &found.file else {
        return Err(FoundPlugin::at(&found.path, Origin::User)
            .problem
            .unwrap_or_else(cancelled));
    };
    examine(file, limits, host)
}

fn work_directory(parent: &Path) -> Result<tempfile::TempDir, Diagnostic> {
    std::fs::create_dir_all(parent)
        .and_then(|()| {
            tempfile::Builder::new()
                .prefix("plugin-")
                .tempdir_in(parent)
        })
        .map_err(|error| unwritable(parent, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        "state.unusable",
        format!("`{}` can't be used", path.display()),
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help("check that the directory can be written and its disk has room")
}

fn internal(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error("internal", "a part of the installation ended")
        .concerning(Concern::Internal)
        .caused_by(error)
}

fn cancelled() -> Diagnostic {
    Diagnostic::error(
        "plugin.cancelled",
        "the installation was stopped; nothing was installed",
    )
}
