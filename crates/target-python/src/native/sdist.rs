//! Source distributions: made reproducible where the backend did not, checked (PEP 517, 625,
//! 643) and unpacked for the build of the wheel.

use std::fs;

use serde::Deserialize;
use synth_core::{Diagnostic, NativeOutcome, RunContext};

use super::archive::{self, Archive, Entry};
use super::metadata::Metadata;
use super::{file_name, only_file, unreadable, unwritable};
use crate::names;

/// The time of files where the target sets none: the earliest that zip archives can state.
const EPOCH: u64 = 315_532_800;

/// What the step is told.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    backend_path: Vec<String>,
    source_date_epoch: Option<String>,
    has_pyproject: bool,
}

/// Runs the step.
pub(super) fn finish(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let one = |problem: Diagnostic| vec![problem];
    let source = only_file(&context.inputs().join("dist"), ".tar.gz", "sdist").map_err(one)?;
    let name = file_name(&source);
    let bytes = fs::read(&source).map_err(|error| one(unreadable(&source, &error)))?;
    let epoch = parameters.source_date_epoch.as_ref();
    let epoch = epoch.and_then(|text| text.parse().ok()).unwrap_or(EPOCH);
    let archive =
        archive::read(&bytes, &name, epoch).map_err(|error| one(unreadable(&source, &error)))?;
    let (metadata, warnings) = check(&archive, &name, parameters)?;

    let bytes = if archive.reproducible {
        context.log("the build backend made it reproducible");
        bytes
    } else {
        context.log("made reproducible: order, times, owners and modes of the entries");
        archive::write(&archive.entries, epoch).map_err(|error| one(unwritable(&source, &error)))?
    };
    let target = context.outputs().join("dist").join(&name);
    fs::write(&target, &bytes).map_err(|error| one(unwritable(&target, &error)))?;
    let mut unpacking = tar::Archive::new(flate2::bufread::GzDecoder::new(bytes.as_slice()));
    unpacking.set_preserve_mtime(false);
    let unpacked = context.outputs().join("unpacked");
    unpacking
        .unpack(&unpacked)
        .map_err(|error| one(unwritable(&unpacked, &error)))?;

    let outcome = NativeOutcome::quiet()
        .attribute("python.sdist", "name", metadata.name)
        .attribute("python.sdist", "version", metadata.version_text);
    Ok(NativeOutcome {
        diagnostics: warnings,
        ..outcome
    })
}

fn check(
    archive: &Archive,
    name: &str,
    parameters: &Parameters,
) -> Result<(Metadata, Vec<Diagnostic>), Vec<Diagnostic>> {
    let stem = name.strip_suffix(".tar.gz").unwrap_or(name);
    let located = |problem: Diagnostic| problem.in_file(name);
    let mut problems = check_paths(archive, stem);
    problems.extend(check_contents(archive, stem, parameters));
    let metadata = match find(archive, stem, "PKG-INFO") {
        Some(entry) => Metadata::parse(&entry.contents, "PKG-INFO"),
        None => Err(vec![Diagnostic::error(
            "python.sdist.incomplete",
            "it has no `PKG-INFO`",
        )]),
    };
    match metadata {
        Ok(metadata) if problems.is_empty() => {
            let warnings = check_file_name(stem, name, &metadata)?;
            Ok((metadata, warnings))
        }
        Ok(_) => Err(problems.into_iter().map(located).collect()),
        Err(found) => {
            problems.extend(found);
            Err(problems.into_iter().map(located).collect())
        }
    }
}

fn find<'a>(archive: &'a Archive, stem: &str, path: &str) -> Option<&'a Entry> {
    let path = format!("{stem}/{path}");
    archive.entries.iter().find(|entry| entry.path == path)
}

/// Everything is below one directory that is named as the file is.
fn check_paths(archive: &Archive, stem: &str) -> Vec<Diagnostic> {
    let out = archive.entries.iter().filter(|entry| leaves(entry));
    let out = out.map(|entry| {
        let path = &entry.path;
        let message = format!("`{path}` leads out of the directory it is unpacked in");
        Diagnostic::error("python.sdist.path", message)
    });
    let top = format!("{stem}/");
    let inside = |entry: &&Entry| entry.path.starts_with(&top) || entry.path == stem;
    let beside = archive.entries.iter().find(|entry| !inside(entry));
    let beside = beside.map(|entry| {
        let message = format!(
            "`{}` is not below `{top}`, as everything must be",
            entry.path
        );
        Diagnostic::error("python.sdist.directory", message)
    });
    out.chain(beside).collect()
}

/// What a build from it can't do without.
fn check_contents(archive: &Archive, stem: &str, parameters: &Parameters) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let project_file = if parameters.has_pyproject {
        "pyproject.toml"
    } else {
        "setup.py"
    };
    if find(archive, stem, project_file).is_none() {
        let message = format!("it has no `{project_file}`, so nobody can build from it");
        problems.push(
            Diagnostic::error("python.sdist.incomplete", message)
                .help("make the build backend include it"),
        );
    }
    for path in &parameters.backend_path {
        let path = path.trim_start_matches("./").trim_end_matches('/');
        if path.is_empty() || path == "." {
            continue;
        }
        let below = format!("{stem}/{path}/");
        let mut entries = archive.entries.iter();
        if !entries.any(|entry| entry.path.starts_with(&below)) {
            let message = format!("it has nothing below `{path}`, where its build backend is");
            problems.push(Diagnostic::error("python.sdist.incomplete", message));
        }
    }
    problems
}

/// PEP 625: the normalized name, `-`, the normalized version.
fn check_file_name(
    stem: &str,
    name: &str,
    metadata: &Metadata,
) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let expected = format!(
        "{}-{}",
        names::in_file_name(&metadata.name),
        metadata.version
    );
    if stem == expected {
        return Ok(Vec::new());
    }
    let message = format!("the file name should be `{expected}.tar.gz` (PEP 625)");
    let written = stem
        .strip_suffix(metadata.version_text.as_str())
        .or_else(|| stem.strip_suffix(metadata.version.to_string().as_str()));
    let same_name = written
        .and_then(|rest| rest.strip_suffix('-'))
        .is_some_and(|stated| names::normalized(stated) == names::normalized(&metadata.name));
    if same_name {
        // Old backends write names as the project does; indexes still know what is meant.
        let warning = Diagnostic::warning("python.sdist.name", message).in_file(name);
        return Ok(vec![
            warning.help("a newer version of the build backend names it so"),
        ]);
    }
    let stated = format!("PKG-INFO says {} {}", metadata.name, metadata.version_text);
    Err(vec![
        Diagnostic::error("python.sdist.name", message)
            .in_file(name)
            .cause(stated),
    ])
}

fn leaves(entry: &Entry) -> bool {
    let climbs = |path: &str| path.split('/').any(|component| component == "..");
    if entry.path.starts_with('/') || climbs(&entry.path) {
        return true;
    }
    // A symbolic link counts from its own directory, a hard link from the archive's root.
    let depth = if entry.kind.is_symlink() {
        entry.path.split('/').count().saturating_sub(2)
    } else {
        0
    };
    entry.link.as_deref().is_some_and(|link| {
        link.starts_with('/') || link.split('/').filter(|part| *part == "..").count() > depth
    })
}

#[cfg(test)]
mod tests {
    use synth_core::testkit::TestRun;

    use super::super::archive::tests::archive;
    use super::*;

    const INFO: &str = "Metadata-Version: 2.4\nName: A.b\nVersion: 1.0\n";

    fn outcome(name: &str, files: &[(&str, &str)]) -> (TestRun, Vec<String>) {
        let run = TestRun::new().unwrap();
        run.write(&format!("dist/{name}"), archive(files, 1))
            .unwrap();
        for directory in ["dist", "unpacked"] {
            fs::create_dir_all(run.outputs().join(directory)).unwrap();
        }
        let parameters = Parameters {
            has_pyproject: true,
            ..Parameters::default()
        };
        let problems = match finish(&parameters, &run) {
            Ok(outcome) => outcome.diagnostics,
            Err(problems) => problems,
        };
        let show = |problem: Diagnostic| format!("{}: {}", problem.code, problem.message);
        (run, problems.into_iter().map(show).collect())
    }

    #[test]
    fn a_good_sdist_is_made_reproducible_and_unpacked() {
        let files = [("a_b-1.0/PKG-INFO", INFO), ("a_b-1.0/pyproject.toml", "")];
        let (run, problems) = outcome("a_b-1.0.tar.gz", &files);
        assert_eq!(problems, [""; 0]);
        let written = fs::read(run.outputs().join("dist/a_b-1.0.tar.gz")).unwrap();
        assert_eq!(written, archive(&files, EPOCH));
        let unpacked = run.outputs().join("unpacked/a_b-1.0/PKG-INFO");
        assert_eq!(fs::read_to_string(unpacked).unwrap(), INFO);
    }

    #[test]
    fn problems_are_named() {
        for (name, files, expected) in [
            (
                "a_b-1.0.tar.gz",
                &[("a_b-1.0/PKG-INFO", INFO)][..],
                "python.sdist.incomplete: it has no `pyproject.toml`, so nobody can build from it",
            ),
            (
                "a_b-1.0.tar.gz",
                &[("a_b-1.0/pyproject.toml", "")],
                "python.sdist.incomplete: it has no `PKG-INFO`",
            ),
            (
                "A.b-1.0.tar.gz",
                &[("A.b-1.0/PKG-INFO", INFO), ("A.b-1.0/pyproject.toml", "")],
                "python.sdist.name: the file name should be `a_b-1.0.tar.gz` (PEP 625)",
            ),
            (
                "other-1.0.tar.gz",
                &[
                    ("other-1.0/PKG-INFO", INFO),
                    ("other-1.0/pyproject.toml", ""),
                ],
                "python.sdist.name: the file name should be `a_b-1.0.tar.gz` (PEP 625)",
            ),
            (
                "a_b-1.0.tar.gz",
                &[
                    ("a_b-1.0/PKG-INFO", INFO),
                    ("a_b-1.0/pyproject.toml", ""),
                    ("elsewhere/x", ""),
                ],
                "python.sdist.directory: `elsewhere/x` is not below `a_b-1.0/`, as everything must be",
            ),
        ] {
            assert_eq!(outcome(name, files).1, [expected], "{name}");
        }
    }
}
