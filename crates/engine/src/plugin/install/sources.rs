//! Brings a plugin's sources or its library into a directory: from a registry, a repository, an
//! address, or from this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use semver::VersionReq;
use synth_core::{Concern, Diagnostic};

use super::cargo::{self, Crate, Failure};
use super::{Context, Wanted, download};
use crate::plugin::{GitReference, Source};

/// A library that was compiled or fetched, where its source is told as it turned out.
pub(super) struct Obtained {
    pub(super) library: PathBuf,
    pub(super) source: Source,
}

/// Gets the library. What is needed on the way is put into `work`.
pub(super) async fn obtain(
    context: &Context<'_>,
    wanted: &Wanted,
    work: &Path,
) -> Result<Obtained, Diagnostic> {
    let source = wanted.source.clone();
    let from_sources = |directory: PathBuf, locked: bool| async move {
        let plugin = Crate {
            directory: &directory,
            settings: &wanted.build,
            locked,
        };
        cargo::build(context, &plugin).await
    };
    let library = match &source {
        Source::Path(directory) => from_sources(directory.clone(), false).await?,
        Source::Registry => {
            let directory = from_registry(context, wanted, work).await?;
            let locked = directory.join("Cargo.lock").exists();
            from_sources(directory, locked).await?
        }
        Source::Git {
            url,
            reference,
            commit,
        } => {
            // A commit that is known is what is meant, wherever the branch has gone since.
            let exact = commit.clone().map(GitReference::Revision);
            let taken = exact.as_ref().or(reference.as_ref());
            let (directory, commit) = clone(context, url, taken, work).await?;
            let locked = directory.join("Cargo.lock").exists();
            let library = from_sources(directory, locked).await?;
            let source = Source::Git {
                url: url.clone(),
                reference: reference.clone(),
                commit: Some(commit),
            };
            return Ok(Obtained { library, source });
        }
        Source::File(path) => {
            let library = work.join("library");
            copy_file(path, &library)?;
            library
        }
        Source::Url { url, sha256 } => {
            if context.offline {
                return Err(Diagnostic::error(
                    "plugin.offline",
                    format!("`{url}` is not fetched with `--offline`"),
                ));
            }
            let library = work.join("library");
            download::download(url, sha256, &library, &context.stop.cancel).await?;
            library
        }
    };
    Ok(Obtained { library, source })
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Diagnostic> {
    // A pipe or a device might never end.
    let copy = || {
        if !fs::metadata(from)?.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        fs::copy(from, to).map(drop)
    };
    copy().map_err(|error| unreadable(from, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        "plugin.unreadable",
        format!("`{}` can't be read", path.display()),
    )
    .concerning(Concern::Environment)
    .caused_by(error)
}

/// The sources of a crate of the registry. Cargo fetches them for a crate that depends on it; what
/// it fetched is its own, so they are copied, with the Cargo.lock that was published with them.
async fn from_registry(
    context: &Context<'_>,
    wanted: &Wanted,
    work: &Path,
) -> Result<PathBuf, Diagnostic> {
    let mut problem = None;
    for name in &wanted.crates {
        match fetch_crate(context, name, &wanted.version, work).await {
            Ok(directory) => return Ok(directory),
            // Another name may be the one.
            Err(failure) if failure.said.contains("no matching package") => {
                problem.get_or_insert(failure.diagnostic);
            }
            Err(failure) => return Err(failure.diagnostic),
        }
    }
    let names: Vec<&str> = wanted.crates.iter().map(String::as_str).collect();
    let not_found = Diagnostic::error(
        "plugin.crate.not_found",
        format!("cargo finds no crate {}", crate::config::list(&names)),
    )
    .concerning(Concern::Environment);
    let causes = problem.map(|problem| problem.causes).unwrap_or_default();
    Err(causes
        .into_iter()
        .fold(not_found, Diagnostic::cause)
        .help("name the crate, or install it with `--path DIR` or `--git URL`"))
}

async fn fetch_crate(
    context: &Context<'_>,
    name: &str,
    version: &VersionReq,
    work: &Path,
) -> Result<PathBuf, Failure> {
    let io = |error: std::io::Error| Failure {
        diagnostic: super::unwritable(work, &error),
        said: String::new(),
    };
    let probe = work.join("fetch");
    fs::create_dir_all(&probe).map_err(io)?;
    fs::write(probe.join("lib.rs"), "").map_err(io)?;
    let manifest = probe.join("Cargo.toml");
    let dependency = toml::Value::String(version.to_string());
    // A name of synth.toml or synth.lock is cargo's to judge, and no other line of the file.
    let key = toml::Value::String(name.to_owned());
    fs::write(
        &manifest,
        format!(
            "[package]\nname = \"synth-fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]\n{key} = {dependency}\n"
        ),
    )
    .map_err(io)?;
    // What was resolved for another name is not kept.
    let _ = fs::remove_file(probe.join("Cargo.lock"));
    let platform = ["--filter-platform", synth_core::HOST_TRIPLE];
    let metadata = cargo::metadata(context, &manifest, &platform).await?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name == name);
    let package = package.ok_or_else(|| Failure {
        diagnostic: Diagnostic::error("plugin.cargo", format!("cargo did not fetch `{name}`"))
            .concerning(Concern::Internal),
        said: String::new(),
    })?;
    cargo::check_package(package).map_err(|diagnostic| Failure {
        diagnostic,
        said: String::new(),
    })?;
    let from = package.manifest_path.as_std_path().parent();
    let directory = work.join("sources");
    copy_tree(from.unwrap_or(Path::new("/")), &directory).map_err(io)?;
    Ok(directory)
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(from).unwrap_or(entry.path());
        let target = to.join(relative);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The work tree of a repository and the commit that it is of.
async fn clone(
    context: &Context<'_>,
    url: &str,
    reference: Option<&GitReference>,
    work: &Path,
) -> Result<(PathBuf, String), Diagnostic> {
    if context.offline && !Path::new(url.trim_start_matches("file://")).exists() {
        return Err(Diagnostic::error(
            "plugin.offline",
            format!("`{url}` is not fetched with `--offline`"),
        ));
    }
    let directory = work.join("sources");
    let mut arguments: Vec<OsString> = vec!["clone".into(), "--recurse-submodules".into()];
    if context.quiet {
        arguments.push("--quiet".into());
    }
    match reference {
        None => arguments.extend(["--depth".into(), "1".into()]),
        Some(GitReference::Branch(name) | GitReference::Tag(name)) => {
            arguments.extend(["--depth".into(), "1".into()]);
            arguments.push(format!("--branch={name}").into());
        }
        Some(GitReference::Revision(_)) => {}
    }
    arguments.extend(["--".into(), url.into(), directory.clone().into()]);
    git(context, &arguments, work, true).await?;
    if let Some(GitReference::Revision(revision)) = reference {
        if revision.starts_with('-') {
            return Err(Diagnostic::error(
                "plugin.git",
                format!("`{revision}` is no commit"),
            ));
        }
        // Behind `--` there would be paths.
        let arguments = ["checkout", "--quiet", "--detach", revision, "--"].map(Into::into);
        git(context, &arguments, &directory, true).await?;
        let update = ["submodule", "update", "--init", "--recursive"].map(Into::into);
        git(context, &update, &directory, true).await?;
    }
    let commit = git(
        context,
        &["rev-parse".into(), "HEAD".into()],
        &directory,
        false,
    )
    .await?;
    Ok((directory, commit.trim().to_owned()))
}

/// Asks git; nothing can be asked of the user, who would not see the question.
async fn git(
    context: &Context<'_>,
    arguments: &[OsString],
    directory: &Path,
    shown: bool,
) -> Result<String, Diagnostic> {
    let mut variables: Vec<(&str, OsString)> = vec![("GIT_TERMINAL_PROMPT", "0".into())];
    if std::env::var_os("GIT_SSH_COMMAND").is_none() && std::env::var_os("GIT_SSH").is_none() {
        variables.push(("GIT_SSH_COMMAND", "ssh -o BatchMode=yes".into()));
    }
    let output = cargo::run(context, "git", arguments, &variables, directory, shown).await;
    let output = output.map_err(|failure| failure.diagnostic)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}
