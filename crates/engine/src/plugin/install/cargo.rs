//! Compiles the crate of a plugin with the user's own cargo.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use cargo_metadata::{CrateType, Message, Metadata, Package, Target};
use synth_core::{Concern, Diagnostic};

use super::reproducible::Reproducible;
use super::{BuildSettings, Context, cancelled};
use crate::executor::process::{self, End, Errand};

/// The crate that a target is written against.
const CORE: &str = "synth-core";

/// The feature that a crate has its export behind, where it is also linked.
const PLUGIN_FEATURE: &str = "plugin";

/// How much of what a program said is told when it failed.
const TOLD_LINES: usize = 12;

/// A crate to compile.
pub(super) struct Crate<'a> {
    /// The directory of its Cargo.toml, or of its workspace's.
    pub(super) directory: &'a Path,
    pub(super) settings: &'a BuildSettings,
    /// Whether its Cargo.lock is taken as it is.
    pub(super) locked: bool,
}

/// Where cargo says what.
enum Told {
    /// To the user, who sees its progress.
    User,
    /// To nobody, unless it fails.
    Nobody,
}

/// A program that ended in another way than it should.
pub(super) struct Failure {
    pub(super) diagnostic: Diagnostic,
    /// What it said, when it was not told to the user.
    pub(super) said: String,
}

/// Compiles a plugin's crate; gives the library's file.
pub(super) async fn build(
    context: &Context<'_>,
    plugin: &Crate<'_>,
) -> Result<PathBuf, Diagnostic> {
    let manifest = plugin.directory.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(Diagnostic::error(
            "plugin.crate.missing",
            format!("there is no crate in `{}`", plugin.directory.display()),
        )
        .help("name the directory of a Cargo.toml"));
    }
    let metadata = metadata(context, &manifest, &["--no-deps"]).await;
    let metadata = metadata.map_err(|failure| failure.diagnostic)?;
    let package = package(&metadata, &manifest, plugin.settings.package.as_deref())?;
    check_package(package)?;
    let mut arguments: Vec<OsString> = ["rustc", "--lib", "--message-format"]
        .map(Into::into)
        .into();
    arguments.push("json-render-diagnostics".into());
    arguments.extend(["--package".into(), package.id.repr.clone().into()]);
    arguments.extend(["--manifest-path".into(), manifest.into()]);
    // Beside what its author compiles, so that installing again is quick and neither makes the
    // other compile anew.
    let target_directory = metadata.target_directory.as_std_path().join("synth-plugin");
    arguments.extend(["--target-dir".into(), target_directory.clone().into()]);
    if !plugin.settings.debug {
        arguments.push("--release".into());
    }
    let features = features(package, plugin.settings);
    if !features.is_empty() {
        arguments.extend(["--features".into(), features.join(",").into()]);
    }
    if plugin.locked {
        arguments.push("--locked".into());
    }
    let workspace = metadata.workspace_root.as_std_path();
    let reproducible = Reproducible::new(&target_directory, workspace);
    arguments.extend(reproducible.for_all);
    arguments.extend(reproducible.for_plugin);
    let variables = reproducible.variables;
    let output = cargo(
        context,
        &arguments,
        &variables,
        plugin.directory,
        Told::User,
    );
    let output = output.await.map_err(|failure| failure.diagnostic)?;
    library(&output, package).ok_or_else(|| {
        Diagnostic::error(
            "plugin.crate.library",
            format!("cargo compiled `{}`, but told of no library", package.name),
        )
        .concerning(Concern::Internal)
    })
}

/// What cargo knows of a crate and, without `--no-deps`, of all that it depends on.
pub(super) async fn metadata(
    context: &Context<'_>,
    manifest: &Path,
    more: &[&str],
) -> Result<Metadata, Failure> {
    let mut arguments: Vec<OsString> = ["metadata", "--format-version", "1", "--manifest-path"]
        .map(Into::into)
        .into();
    arguments.push(manifest.into());
    arguments.extend(more.iter().map(Into::into));
    let directory = manifest.parent().unwrap_or(Path::new("."));
    let output = cargo(context, &arguments, &[], directory, Told::Nobody).await?;
    let text = String::from_utf8_lossy(&output);
    cargo_metadata::MetadataCommand::parse(text).map_err(|error| Failure {
        diagnostic: Diagnostic::error("plugin.cargo", "what cargo answered can't be read")
            .concerning(Concern::Environment)
            .caused_by(&error),
        said: String::new(),
    })
}

/// The package that is meant: the named one, that of the manifest, or the only plugin.
fn package<'a>(
    metadata: &'a Metadata,
    manifest: &Path,
    name: Option<&str>,
) -> Result<&'a Package, Diagnostic> {
    let members = metadata.workspace_packages();
    if let Some(name) = name {
        return members
            .iter()
            .copied()
            .find(|package| package.name == name)
            .ok_or_else(|| {
                Diagnostic::error(
                    "plugin.crate.unknown",
                    format!("there is no package `{name}`"),
                )
                .help(format!("packages: {}", names(&members)))
            });
    }
    let real = fs::canonicalize(manifest).ok();
    let is_own = |package: &&Package| {
        fs::canonicalize(&package.manifest_path).ok() == real && real.is_some()
    };
    if let Some(own) = members.iter().copied().find(is_own) {
        return Ok(own);
    }
    let plugins: Vec<&Package> = members
        .iter()
        .copied()
        .filter(|package| check_package(package).is_ok())
        .collect();
    match plugins.as_slice() {
        [one] => Ok(one),
        [] => Err(Diagnostic::error(
            "plugin.crate.none",
            format!(
                "no package of the workspace is a plugin: {}",
                names(&members)
            ),
        )
        .help(format!(
            "a plugin depends on `{CORE}` and has `crate-type = [\"cdylib\", \"rlib\"]`"
        ))),
        several => Err(Diagnostic::error(
            "plugin.crate.several",
            format!(
                "the workspace has {} plugins: {}",
                several.len(),
                names(several)
            ),
        )
        .help("choose one with `--package NAME`")),
    }
}

fn names(packages: &[&Package]) -> String {
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    crate::config::list(&names)
}

/// That a package can be a plugin, before anything of it is compiled.
pub(super) fn check_package(package: &Package) -> Result<(), Diagnostic> {
    let name = &package.name;
    if !package
        .dependencies
        .iter()
        .any(|dependency| dependency.name == CORE)
    {
        return Err(Diagnostic::error(
            "plugin.crate.other",
            format!("`{name}` is no target crate: it does not depend on `{CORE}`"),
        ));
    }
    if !package.targets.iter().any(is_cdylib) {
        return Err(Diagnostic::error(
            "plugin.crate.type",
            format!("`{name}` is compiled to no library that can be loaded"),
        )
        .help("add `crate-type = [\"cdylib\", \"rlib\"]` below `[lib]` in its Cargo.toml"));
    }
    Ok(())
}

fn is_cdylib(target: &Target) -> bool {
    target.crate_types.contains(&CrateType::CDyLib)
}

fn features(package: &Package, settings: &BuildSettings) -> Vec<String> {
    let mut features = settings.features.clone();
    let own = PLUGIN_FEATURE.to_owned();
    if package.features.contains_key(PLUGIN_FEATURE) && !features.contains(&own) {
        features.push(own);
    }
    features
}

/// The library that cargo told of.
fn library(output: &[u8], package: &Package) -> Option<PathBuf> {
    let messages = Message::parse_stream(output).filter_map(Result::ok);
    let artifacts = messages.filter_map(|message| match message {
        Message::CompilerArtifact(artifact) => Some(artifact),
        _ => None,
    });
    artifacts
        .filter(|artifact| artifact.package_id == package.id && is_cdylib(&artifact.target))
        .flat_map(|artifact| artifact.filenames)
        .map(cargo_metadata::camino::Utf8PathBuf::into_std_path_buf)
        .find(|path| {
            path.extension()
                .is_some_and(|end| end == crate::plugin::discovery::EXTENSION)
        })
}

async fn cargo(
    context: &Context<'_>,
    arguments: &[OsString],
    variables: &[(&str, OsString)],
    directory: &Path,
    told: Told,
) -> Result<Vec<u8>, Failure> {
    let mut all = arguments.to_vec();
    // Behind the subcommand: what follows `--` is the compiler's.
    if context.offline {
        all.insert(1, "--offline".into());
    }
    if context.quiet {
        all.insert(1, "--quiet".into());
    }
    run(
        context,
        "cargo",
        &all,
        variables,
        directory,
        matches!(told, Told::User),
    )
    .await
}

/// Runs a program of the user's and gives what it printed. Where it is to be `shown`, the user
/// sees what it says meanwhile.
pub(super) async fn run(
    context: &Context<'_>,
    name: &str,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
    directory: &Path,
    shown: bool,
) -> Result<Vec<u8>, Failure> {
    let plain = |diagnostic: Diagnostic| Failure {
        diagnostic,
        said: String::new(),
    };
    let program = which::which(name).map_err(|_| {
        plain(
            Diagnostic::error("tool.missing", format!("`{name}` was not found"))
                .concerning(Concern::Environment)
                .help(format!(
                    "install `{name}`, or install a library that is compiled already"
                )),
        )
    })?;
    let io = |error: std::io::Error| {
        plain(
            Diagnostic::error("plugin.process", format!("`{name}` can't be run"))
                .concerning(Concern::Environment)
                .caused_by(&error),
        )
    };
    let (output, errors) = (
        tempfile::tempfile().map_err(io)?,
        tempfile::tempfile().map_err(io)?,
    );
    let errand = Errand {
        program: &program,
        arguments,
        directory,
        environment,
        standard_output: output.try_clone().map_err(io)?,
        standard_error: if shown {
            None
        } else {
            Some(errors.try_clone().map_err(io)?)
        },
    };
    match process::run_errand(errand, context.stop)
        .await
        .map_err(io)?
    {
        End::Exited(0) => read_back(output).map_err(io),
        End::Cancelled | End::TimedOut => Err(plain(cancelled())),
        End::Exited(_) | End::Signalled(_) => {
            let said = String::from_utf8_lossy(&read_back(errors).map_err(io)?).into_owned();
            let what = arguments
                .first()
                .map(|first| first.to_string_lossy().into_owned());
            let diagnostic = Diagnostic::error(
                "plugin.build",
                format!("`{name} {}` failed", what.unwrap_or_default()),
            );
            let diagnostic = said
                .lines()
                .filter(|line| !line.trim().is_empty())
                .take(TOLD_LINES)
                .fold(diagnostic, |diagnostic, line| {
                    diagnostic.cause(line.trim_end())
                });
            Err(Failure { diagnostic, said })
        }
    }
}

fn read_back(mut file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
