//! Builds, and takes what is exported from what Cargo says it has made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, ProjectPath, RunContext, TextPosition};

use crate::invocation::{Invocation, failed, target_directory};
use crate::messages::{Finding, Made, Messages};
use crate::selection::Selection;

/// The name of the native function.
pub(crate) const FUNCTION: &str = "build";

/// The output, and its place: a directory of programs and libraries.
pub(crate) const OUTPUT: &str = "built";

/// The kinds of the artifacts.
pub(crate) const BINARY: &str = "cargo.binary";
pub(crate) const LIBRARY: &str = "cargo.library";

/// Errors of the compiler that are told one by one; the log has all.
const MOST_ERRORS: usize = 10;

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) invocation: Invocation,
    pub(crate) selection: Selection,
    pub(crate) profile: String,
    /// The platform to build for; empty for this machine's.
    pub(crate) target: String,
    /// The programs to build, by name.
    pub(crate) binaries: Vec<String>,
    /// Builds all programs instead, but those that need features that are off.
    pub(crate) all_binaries: bool,
    /// Whether to build libraries.
    pub(crate) libraries: bool,
    /// The project's paths of the workspace's directory and of the sources, for messages.
    pub(crate) workspace: ProjectPath,
    pub(crate) source_path: ProjectPath,
}

/// Builds.
///
/// # Errors
/// What the compiler found, or what else Cargo failed with.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let one = |problem| vec![problem];
    let invocation = &parameters.invocation;
    let said = context.scratch().join("messages.json");
    let environment = invocation.build_environment(context).map_err(one)?;
    let outcome = invocation
        .run(
            "build",
            &arguments(parameters, context),
            environment,
            Some(said.clone()),
            context,
        )
        .map_err(one)?;
    let messages = Messages::read(&said).map_err(|error| {
        let what = "what Cargo says of the build can't be read";
        vec![Diagnostic::error("cargo.build.messages", what).caused_by(&error)]
    })?;
    for rendered in messages
        .findings
        .iter()
        .filter_map(|it| it.rendered.as_ref())
    {
        rendered.lines().for_each(|line| context.log(line));
    }
    if !outcome.succeeded() {
        let mut problems = errors(&messages.findings, parameters);
        if problems.is_empty() {
            problems.push(failed("cargo.build.failed", "build", &outcome, context));
        }
        return Err(problems);
    }
    export(&messages.made, parameters, context).map_err(one)
}

fn arguments(parameters: &Parameters, context: &dyn RunContext) -> Vec<String> {
    let target = target_directory(context);
    let mut arguments = vec![
        "--offline".to_owned(),
        "--message-format=json".to_owned(),
        format!("--target-dir={}", target.to_string_lossy()),
        format!("--profile={}", parameters.profile),
    ];
    if !parameters.target.is_empty() {
        arguments.push(format!("--target={}", parameters.target));
    }
    arguments.extend(parameters.selection.arguments());
    let binaries = parameters.binaries.iter();
    arguments.extend(binaries.map(|binary| format!("--bin={binary}")));
    if parameters.all_binaries {
        arguments.push("--bins".to_owned());
    }
    if parameters.libraries {
        arguments.push("--lib".to_owned());
    }
    arguments
}

/// Takes programs and libraries to the output directory.
fn export(
    made: &[Made],
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Diagnostic> {
    let to = context.outputs().join(OUTPUT);
    let mut packages: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for made in made {
        let (kind, files) = match &made.executable {
            Some(program) if made.is_binary() => (BINARY, vec![program]),
            _ if made.is_library() && parameters.libraries => {
                (LIBRARY, made.filenames.iter().filter(is_final).collect())
            }
            _ => continue,
        };
        for file in files {
            take(Path::new(file), &to)?;
            packages.entry(kind).or_default().extend(made.package());
        }
    }
    if packages.is_empty() {
        let message = "`cargo build` made none of the programs and libraries that are exported";
        return Err(Diagnostic::error("cargo.build.nothing", message)
            .help("those with `required-features` are left out unless `features` names these"));
    }
    let mut outcome = NativeOutcome::quiet();
    for (kind, packages) in packages {
        let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
        let versions: Vec<&str> = packages.iter().map(|(_, version)| *version).collect();
        outcome = outcome.attribute(kind, "name", names.join(", ")).attribute(
            kind,
            "version",
            versions.join(", "),
        );
    }
    Ok(outcome)
}

/// Whether a file is where Cargo puts what was asked for, and not among what it was made of; nor a
/// library that only Cargo can use.
fn is_final(file: &&String) -> bool {
    let path = Path::new(file);
    let directory = path.parent().and_then(Path::file_name);
    let extension = path.extension();
    directory.is_some_and(|directory| directory != "deps")
        && extension.is_none_or(|extension| extension != "rlib" && extension != "rmeta")
}

fn take(file: &Path, to: &Path) -> Result<(), Diagnostic> {
    let name = file.file_name().unwrap_or_default();
    let copied = fs::create_dir_all(to).and_then(|()| fs::copy(file, to.join(name)));
    copied.map(drop).map_err(|error| {
        let message = format!("`{}` can't be taken from the build", name.to_string_lossy());
        Diagnostic::error("cargo.build.export", message).caused_by(&error)
    })
}

/// What the compiler calls errors.
fn errors(findings: &[Finding], parameters: &Parameters) -> Vec<Diagnostic> {
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.level.starts_with("error"))
        .filter(|finding| !finding.message.starts_with("aborting due to"))
        .collect();
    let mut problems: Vec<Diagnostic> = errors
        .iter()
        .take(MOST_ERRORS)
        .map(|finding| compile_error(finding, parameters))
        .collect();
    if let Some(more) = errors
        .len()
        .checked_sub(MOST_ERRORS)
        .filter(|more| *more > 0)
    {
        let message = format!("the compiler found {more} more errors");
        problems.push(
            Diagnostic::error("cargo.compile", message).help("the log of the action has them"),
        );
    }
    problems
}

fn compile_error(finding: &Finding, parameters: &Parameters) -> Diagnostic {
    let code = finding.code.as_ref();
    let code = code.map_or_else(String::new, |code| format!(" ({})", code.code));
    let mut problem = Diagnostic::error("cargo.compile", format!("{}{code}", finding.message));
    if let Some(span) = finding.spans.iter().find(|span| span.is_primary) {
        let line = span.text.first();
        let length = line.map_or(0, |line| {
            line.highlight_end.saturating_sub(line.highlight_start)
        });
        let position = TextPosition {
            line: span.line_start,
            column: span.column_start,
            length,
        };
        let path = shown_path(&span.file_name, parameters);
        problem = problem.at(path, position, line.map(|line| line.text.clone()));
    }
    for child in &finding.children {
        problem = match child.level.as_str() {
            "help" => problem.help(child.message.clone()),
            "note" => problem.cause(child.message.clone()),
            _ => problem,
        };
    }
    problem
}

/// Where a file that the compiler names is in the project: it names those of the workspace
/// relative to that, and others as its wrapper calls them.
fn shown_path(file: &str, parameters: &Parameters) -> String {
    let path = match file.strip_prefix("/source/") {
        Some(below) => parameters.source_path.join(below),
        None => parameters.workspace.join(file),
    };
    path.map_or_else(|_| file.to_owned(), |path| path.to_string())
}
