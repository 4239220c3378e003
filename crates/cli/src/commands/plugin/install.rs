//! `synth plugin install`: one plugin, or all that synth.toml and synth.lock ask for.

use std::path::Path;

use semver::{Version, VersionReq};
use synth_core::{Concern, Diagnostic, Severity};
use synth_engine::plugin::{
    BuildSettings, GitReference, InstallOptions, Installed, LOCK_FILE_NAME, PluginFile, Selection,
    Source, Survey, Wanted, exactly, install,
};
use synth_engine::{CancellationToken, Registry, default_store_directory};

use super::{Outcome, Scene, is_file_name, print};
use crate::arguments::{Global, InstallArguments, PlaceArguments};
use crate::commands::signals::Signals;
use crate::exit;
use crate::render::diagnostics;

pub(crate) fn run(global: &Global, arguments: &InstallArguments, linked: &Registry) -> Outcome {
    let scene = Scene::new(global)?;
    let wanted = match wanted(&scene, arguments)? {
        Some(wanted) => vec![wanted],
        None => all_missing(global, &scene, linked)?,
    };
    install_all(global, &scene, linked, &wanted, &arguments.place)
}

/// What the command line asks for; none for what the project asks for.
fn wanted(scene: &Scene, arguments: &InstallArguments) -> Result<Option<Wanted>, Diagnostic> {
    let mut wanted = Wanted {
        source: Source::Registry,
        crates: Vec::new(),
        version: VersionReq::STAR,
        build: BuildSettings {
            package: arguments.package.clone(),
            features: arguments.features.clone(),
            debug: arguments.debug,
        },
        sha256: sha256(arguments)?,
        kind: None,
        locked: None,
    };
    if let Some(path) = &arguments.path {
        wanted.source = Source::Path(clean(&scene.directory.join(path)));
    } else if let Some(url) = &arguments.git {
        let reference = arguments.branch.clone().map(GitReference::Branch);
        let reference = reference.or(arguments.tag.clone().map(GitReference::Tag));
        let reference = reference.or(arguments.rev.clone().map(GitReference::Revision));
        wanted.source = Source::Git {
            url: url.clone(),
            reference,
            commit: None,
        };
    } else if let Some(source) = &arguments.source {
        if source.starts_with("https://") || source.starts_with("http://") {
            let sha256 = wanted.sha256.clone().ok_or_else(|| {
                Diagnostic::error(
                    "plugin.sha256",
                    format!("`{source}` comes without its SHA-256"),
                )
                .help("add `--sha256 DIGEST`, as whoever published the library tells it")
            })?;
            let url = source.clone();
            wanted.source = Source::Url { url, sha256 };
        } else if is_file_name(source) {
            let path = clean(&scene.directory.join(source));
            if path.is_dir() {
                return Err(Diagnostic::error(
                    "plugin.directory",
                    format!("`{source}` is a directory"),
                )
                .help(format!(
                    "`synth plugin install --path {source}` compiles the crate in it"
                )));
            }
            wanted.source = Source::File(path);
        } else {
            (wanted.crates, wanted.version) = crate_and_version(source)?;
        }
    } else {
        return Ok(None);
    }
    Ok(Some(wanted))
}

fn sha256(arguments: &InstallArguments) -> Result<Option<String>, Diagnostic> {
    let Some(text) = &arguments.sha256 else {
        return Ok(None);
    };
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest {
        return Err(Diagnostic::error(
            "plugin.sha256",
            format!("`{text}` is no SHA-256: 64 hexadecimal digits"),
        ));
    }
    Ok(Some(text.to_ascii_lowercase()))
}

/// `greet`, `greet@1.2.0` (that version alone) or `greet@^1.2`.
fn crate_and_version(text: &str) -> Result<(Vec<String>, VersionReq), Diagnostic> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(allowed) {
        return Err(Diagnostic::error(
            "plugin.crate.name",
            format!("`{name}` can't be a crate's name"),
        )
        .help("a library is named by its path: `./FILE`"));
    }
    let requirement = match version {
        None => VersionReq::STAR,
        Some(version) => match Version::parse(version) {
            Ok(version) => exactly(&version),
            Err(_) => VersionReq::parse(version).map_err(|error| {
                Diagnostic::error("plugin.crate.version", format!("`{version}` is no version"))
                    .caused_by(&error)
                    .help("write `NAME@1.2.0`, or a requirement such as `NAME@^1.2`")
            })?,
        },
    };
    // A crate of the kind's own name is likely to be something else: the other goes first.
    let prefixed = format!("synth-target-{name}");
    let names = if name.starts_with("synth-target-") {
        vec![name.to_owned()]
    } else {
        vec![prefixed, name.to_owned()]
    };
    Ok((names, requirement))
}

fn all_missing(
    global: &Global,
    scene: &Scene,
    linked: &Registry,
) -> Result<Vec<Wanted>, Vec<Diagnostic>> {
    let asked_for = scene.survey.asked_for();
    if asked_for.is_empty() {
        return Err(vec![
            Diagnostic::error(
                "plugin.nothing",
                "synth.toml and synth.lock ask for no plugin",
            )
            .help("name what to install: a crate, a library's file, `--path DIR` or `--git URL`"),
        ]);
    }
    let mut wanted = Vec::new();
    for kind in asked_for {
        match scene.survey.missing(&kind, linked) {
            Some(missing) => wanted.push(missing),
            None if !global.quiet => print(&format!("{:>10} {kind}", "there")),
            None => {}
        }
    }
    Ok(wanted)
}

/// Installs one after the other, and tells of each. What fails does not keep the others back.
pub(super) fn install_all(
    global: &Global,
    scene: &Scene,
    linked: &Registry,
    wanted: &[Wanted],
    place: &PlaceArguments,
) -> Outcome {
    let directory = scene.install_directory(place.project)?;
    let places: Vec<(Wanted, std::path::PathBuf)> = wanted
        .iter()
        .map(|wanted| (wanted.clone(), directory.clone()))
        .collect();
    install_into(global, scene, linked, &places, place.offline)
}

/// As [`install_all`], each into a directory of its own.
pub(super) fn install_into(
    global: &Global,
    scene: &Scene,
    linked: &Registry,
    wanted: &[(Wanted, std::path::PathBuf)],
    offline: bool,
) -> Outcome {
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| internal("no threads can be started", &error))?;
    let mut problems = Vec::new();
    let code = runtime.block_on(async {
        let signals = Signals::listen(cancel.clone(), kill.clone(), crate::render::tell)
            .map_err(|error| internal("signals can't be received", &error))?;
        for (wanted, directory) in wanted {
            let options = InstallOptions {
                directory: directory.clone(),
                work: default_store_directory(),
                offline,
                quiet: global.quiet,
                host: scene.options.host.clone(),
                cancel: cancel.clone(),
                kill: kill.clone(),
            };
            let mut wanted = wanted.clone();
            if global.locked && scene.survey.root().is_some() {
                wanted.locked = Some(scene.survey.lock.clone());
            }
            match install(&wanted, &options).await {
                Ok(installed) => problems.extend(tell(global, scene, linked, &installed)?),
                Err(problem) => problems.push(problem),
            }
            if cancel.is_cancelled() {
                break;
            }
        }
        Ok::<_, Vec<Diagnostic>>(signals.exit_code())
    })?;
    // Nothing waits for a download that nobody wants any more.
    runtime.shutdown_background();
    if let Some(code) = code {
        diagnostics::show(&problems, Some(&scene.directory));
        return Ok(code);
    }
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    if !global.quiet {
        diagnostics::show(&problems, Some(&scene.directory));
    }
    Ok(exit::SUCCESS)
}

/// Tells what was installed, and pins it where there is a synth.toml. Gives what stands in the way
/// of its use.
fn tell(
    global: &Global,
    scene: &Scene,
    linked: &Registry,
    installed: &Installed,
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let file = &installed.file;
    let kind = &file.manifest.target.kind;
    if !global.quiet {
        let path = file.path.display();
        let before = match &installed.replaced {
            Some(_) if installed.unchanged => ", as it was".to_owned(),
            Some(version) => format!(", in place of {version}"),
            None => String::new(),
        };
        print(&format!(
            "{:>10} {} for `{kind}`{before}: {path}",
            "installed",
            file.name()
        ));
    }
    let survey = scene.again(global)?;
    let mut problems = Vec::new();
    match survey.selection_without_pin(kind, linked) {
        Some(Selection::Plugin(chosen)) if chosen.sha256 == file.sha256 => {
            problems.extend(pin(global, &survey, kind, file)?);
        }
        Some(Selection::Unusable(mut problem)) => {
            // It is installed all the same; whoever uses the kind is told again.
            problem.severity = Severity::Warning;
            problems.push(problem);
        }
        _ => problems.push(
            Diagnostic::warning(
                "plugin.not_chosen",
                format!(
                    "{} is installed, but another plugin brings `{kind}` here",
                    file.name()
                ),
            )
            .help("`synth plugin list` shows both"),
        ),
    }
    Ok(problems)
}

/// Puts a library into synth.lock.
pub(super) fn pin(
    global: &Global,
    survey: &Survey,
    kind: &str,
    file: &PluginFile,
) -> Result<Option<Diagnostic>, Diagnostic> {
    if global.locked {
        let pin = survey.lock.pin(kind);
        let same = pin.is_some_and(|pin| pin.compare(file) == synth_engine::plugin::PinState::Same);
        return Ok((!same && survey.root().is_some()).then(|| {
            Diagnostic::error(
                "plugin.unpinned",
                format!(
                    "{LOCK_FILE_NAME} has no digest of {}, and `--locked` leaves it as it is",
                    file.name()
                ),
            )
            .concerning(Concern::Environment)
            .help("install it once without `--locked`, and commit synth.lock")
        }));
    }
    if survey.pin_to(kind, file)? && !global.quiet {
        print(&format!(
            "{:>10} plugin `{kind}` in {LOCK_FILE_NAME}",
            "pinned"
        ));
    }
    Ok(None)
}

fn internal(message: &str, error: &dyn std::error::Error) -> Vec<Diagnostic> {
    vec![
        Diagnostic::error("internal", message)
            .concerning(Concern::Internal)
            .caused_by(error),
    ]
}

/// The path without `.` and `..`, where it exists.
fn clean(path: &Path) -> std::path::PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_with_or_without_prefix_and_version() {
        for (text, names, version) in [
            ("greet", "synth-target-greet greet", "*"),
            ("synth-target-greet", "synth-target-greet", "*"),
            ("greet@1.2.0", "synth-target-greet greet", "=1.2.0"),
            ("greet@1.2", "synth-target-greet greet", "^1.2"),
        ] {
            let (found, requirement) = crate_and_version(text).unwrap();
            assert_eq!(found.join(" "), names);
            assert_eq!(requirement.to_string(), version);
        }
        for text in ["", "@1", "a b", "-x", "greet@latest", "../greet"] {
            assert!(crate_and_version(text).is_err(), "{text}");
        }
    }
}
