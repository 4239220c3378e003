//! Which Python builds the project, and what installs packages for it.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use synth_core::{Diagnostic, PlanContext, Requirement, TargetSpec, Tool, ToolRequest};

use crate::project::Project;
use crate::pyproject::PyProject;
use crate::settings::{InstallerChoice, Settings};

/// The name that actions call the interpreter by.
pub(crate) const PYTHON: &str = "python";
/// The name that actions call uv by.
pub(crate) const UV: &str = "uv";
/// The variable of a target that asks for a version.
const VERSION_VARIABLE: &str = "PYTHON_VERSION";
/// The oldest Python that the build's own steps run on.
const OLDEST: &str = "3.8";
/// The oldest uv with all options that are used.
const OLDEST_UV: &str = "0.4.0";
/// Programs that may be on the `PATH`, beyond `python3` and `python`: the newest first.
const VERSIONED: [&str; 8] = [
    "python3.15",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python3.9",
    "python3.8",
];
/// Makes an interpreter say its version and where it really is: what is on the `PATH` may be a
/// version manager's shim, which needs the user's own environment.
const SAY_VERSION_AND_PATH: &str = "import platform, sys\n\
    print(platform.python_version())\n\
    print(getattr(sys, '_base_executable', None) or sys.executable)";
const SAY_UV_PATH: &str = "import uv\nprint(uv.find_uv_bin())";

/// What installs packages.
#[derive(Clone, Debug)]
pub(crate) enum Installer {
    /// uv.
    Uv(Tool),
    /// The pip of an environment made for it.
    Pip,
}

/// Which interpreters will do.
#[derive(Clone, Debug)]
struct Wanted {
    /// A program, by name or absolute path.
    program: Option<String>,
    /// Versions asked for by the target.
    versions: Option<VersionSpecifiers>,
    /// How that was written, for messages and for uv.
    written: Option<String>,
    /// Which setting asks, for the place of a diagnostic.
    setting: Vec<String>,
    /// Versions that the project runs on.
    requires_python: Option<VersionSpecifiers>,
    /// A version that the project prefers (`.python-version`).
    preferred: Option<String>,
}

/// Finds the interpreter.
///
/// # Errors
/// When what is asked for is no version, or none of that version is there.
pub(crate) fn find(
    target: &TargetSpec,
    settings: &Settings,
    project: &Project,
    context: &dyn PlanContext,
) -> Result<Tool, Diagnostic> {
    let wanted = wanted(target, settings, project, context)?;
    let mut others: Vec<(Version, String)> = Vec::new();
    for program in wanted.candidates() {
        let Some(tool) = ask(&program, context) else {
            continue;
        };
        match version(&tool) {
            Some(version) if wanted.accepts(&version) => return real(tool, context),
            // One interpreter often goes by several names.
            Some(version) if others.iter().all(|(other, _)| *other != version) => {
                let note = format!("`{program}` is Python {version}");
                others.push((version, note));
            }
            _ => {}
        }
    }
    if wanted.program.is_none()
        && let Some(path) = known_to_uv(&wanted, context)
        && let Some(tool) = ask(&path, context)
        && version(&tool).is_some_and(|version| wanted.accepts(&version))
    {
        return real(tool, context);
    }
    Err(wanted.missing(others.into_iter().map(|(_, note)| note)))
}

/// Finds what installs packages.
///
/// # Errors
/// When uv is asked for and is not there.
pub(crate) fn find_installer(
    choice: InstallerChoice,
    context: &dyn PlanContext,
) -> Result<Installer, Diagnostic> {
    if choice == InstallerChoice::Pip {
        return Ok(Installer::Pip);
    }
    if let Some(tool) = find_uv(context) {
        return Ok(Installer::Uv(tool));
    }
    if choice == InstallerChoice::Auto {
        return Ok(Installer::Pip);
    }
    Err(Diagnostic::error(
        "python.uv.missing",
        format!("`installer = \"uv\"`, but no uv from {OLDEST_UV} on was found"),
    )
    .concerning(synth_core::Concern::Environment)
    .at_setting(["installer"])
    .help("install it: https://docs.astral.sh/uv/getting-started/installation/")
    .help("or leave `installer` out: pip is used where there is no uv"))
}

fn find_uv(context: &dyn PlanContext) -> Option<Tool> {
    let mut tool = context.tool(&ToolRequest::named(UV)).ok()?;
    if tool
        .path
        .components()
        .any(|part| part.as_os_str() == "shims")
    {
        let request = ToolRequest::named("python-of-uv")
            .program("python3")
            .version_arguments(["-c", SAY_UV_PATH]);
        let path = context.tool(&request).ok()?.version_output;
        tool = context.tool(&ToolRequest::named(UV).program(path)).ok()?;
    }
    let version = Version::from_str(tool.version()?).ok()?;
    let oldest = Version::from_str(OLDEST_UV).ok()?;
    (version >= oldest).then_some(tool)
}

/// The tools to check for.
pub(crate) fn requirements(
    target: &TargetSpec,
    settings: &Settings,
    project: &Project,
    context: &dyn PlanContext,
) -> Vec<Requirement> {
    let python = match find(target, settings, project, context) {
        Ok(tool) => tool.path.to_string_lossy().into_owned(),
        // What would be looked for first, so that the check says what is missing.
        Err(_) => match wanted(target, settings, project, context) {
            Ok(wanted) => wanted.candidates().swap_remove(0),
            Err(_) => "python3".into(),
        },
    };
    let minimum = project
        .pyproject
        .as_ref()
        .and_then(PyProject::requires_python)
        .and_then(|specifiers| lower_bound(&specifiers))
        .unwrap_or_else(|| OLDEST.into());
    let mut found = vec![Requirement {
        tool: request(PYTHON, &python),
        how_to_get: format!(
            "https://www.python.org/downloads/, your system's packages, or `uv python install \
             {minimum}`"
        ),
        minimum_version: Some(minimum),
        purpose: "builds, tests and imports the package".into(),
        optional: false,
    }];
    if settings.installer != InstallerChoice::Pip {
        found.push(Requirement {
            tool: ToolRequest::named(UV),
            minimum_version: Some(OLDEST_UV.into()),
            purpose: "installs packages, faster than pip does".into(),
            how_to_get: "https://docs.astral.sh/uv/getting-started/installation/, or `pip install \
                         uv`"
            .into(),
            optional: settings.installer == InstallerChoice::Auto,
        });
    }
    found.extend(settings.tools.iter().map(|name| Requirement {
        tool: named_tool(name),
        minimum_version: None,
        purpose: "is run by the build or the tests".into(),
        how_to_get: "install it, or take it out of `tools`".into(),
        optional: false,
    }));
    found
}

/// A program that the target names. Not asked for its version: not every program can say one.
pub(crate) fn named_tool(name: &str) -> ToolRequest {
    ToolRequest::named(name).version_arguments(Vec::<String>::new())
}

fn wanted(
    target: &TargetSpec,
    settings: &Settings,
    project: &Project,
    context: &dyn PlanContext,
) -> Result<Wanted, Diagnostic> {
    let pinned = context.read_text(&project.path(".python-version")).ok();
    let pinned = pinned.and_then(|text| Some(text.lines().next()?.trim().to_owned()));
    let mut wanted = Wanted {
        program: None,
        versions: None,
        written: None,
        setting: vec!["python".into()],
        requires_python: project
            .pyproject
            .as_ref()
            .and_then(PyProject::requires_python),
        preferred: pinned.filter(|text| version_prefix(text).is_some()),
    };
    let variable = target.environment.get(VERSION_VARIABLE);
    let setting = settings.python.as_ref();
    let Some(text) = setting.or(variable) else {
        return Ok(wanted);
    };
    if setting.is_none() {
        wanted.setting = vec!["environment".into(), VERSION_VARIABLE.into()];
    } else if let Some(variable) = variable.filter(|variable| *variable != text) {
        return Err(Diagnostic::error(
            "python.version.conflict",
            format!("`python = \"{text}\"`, but {VERSION_VARIABLE} is \"{variable}\""),
        )
        .at_setting(["python"])
        .help("state the version once"));
    }
    wanted.written = Some(text.clone());
    let first = text.chars().next().unwrap_or(' ');
    if first.is_ascii_digit() {
        wanted.versions = version_prefix(text);
    } else if matches!(first, '<' | '>' | '=' | '!' | '~') {
        wanted.versions = VersionSpecifiers::from_str(text).ok();
    } else if !first.is_whitespace() {
        wanted.program = Some(text.clone());
    }
    if wanted.versions.is_none() && wanted.program.is_none() {
        return Err(Diagnostic::error(
            "python.version.syntax",
            format!("`{text}` is neither a version of Python nor a program"),
        )
        .at_setting(wanted.setting)
        .help("write a version (`3.12`), a specifier (`>=3.11,<3.14`) or a path (`/opt/python`)"));
    }
    Ok(wanted)
}

/// `3.11` means every 3.11.
fn version_prefix(text: &str) -> Option<VersionSpecifiers> {
    let version = Version::from_str(text).ok()?;
    let written = if version.release().len() < 3 {
        format!("=={text}.*")
    } else {
        format!("=={text}")
    };
    VersionSpecifiers::from_str(&written).ok()
}

impl Wanted {
    fn accepts(&self, version: &Version) -> bool {
        let accepted = |specifiers: &Option<VersionSpecifiers>| {
            // `>=3.8` is about releases: a development version counts as the one it leads to.
            let release = version.only_release();
            specifiers.as_ref().is_none_or(|specifiers| {
                specifiers.contains(version) || specifiers.contains(&release)
            })
        };
        let oldest = Version::from_str(OLDEST).ok();
        accepted(&self.versions)
            && accepted(&self.requires_python)
            && oldest.is_none_or(|oldest| version.only_release() >= oldest)
    }

    /// Programs to try, in order.
    fn candidates(&self) -> Vec<String> {
        if let Some(program) = &self.program {
            return vec![program.clone()];
        }
        let series = |text: &String| {
            let version = Version::from_str(text).ok()?;
            let release = version.release();
            let minor = release.get(1)?;
            Some(format!("python{}.{minor}", release.first()?))
        };
        let mut programs = Vec::new();
        programs.extend(self.preferred.as_ref().and_then(series));
        programs.extend(self.written.as_ref().and_then(series));
        programs.extend(["python3".to_owned(), "python".to_owned()]);
        programs.extend(VERSIONED.map(ToOwned::to_owned));
        let mut seen = std::collections::BTreeSet::new();
        programs.retain(|program| seen.insert(program.clone()));
        programs
    }

    fn missing(&self, others: impl Iterator<Item = String>) -> Diagnostic {
        let requires = self.requires_python.as_ref().map(ToString::to_string);
        let (asked, get) = match (&self.written, &requires) {
            (Some(written), Some(requires)) => (
                format!("no Python `{written}` that requires-python `{requires}` accepts"),
                written.clone(),
            ),
            (Some(written), None) => (format!("no Python `{written}`"), written.clone()),
            (None, Some(requires)) => (
                format!("no Python that requires-python `{requires}` accepts"),
                format!("'{requires}'"),
            ),
            (None, None) => (format!("no Python from {OLDEST} on"), OLDEST.into()),
        };
        let diagnostic = Diagnostic::error(
            "python.interpreter.missing",
            format!("{asked} was found on the PATH"),
        )
        .concerning(synth_core::Concern::Environment)
        .help(format!(
            "install one from your system's packages, or with `uv python install {get}`"
        ))
        .help("or name one: `python = \"/path/to/python\"`");
        let diagnostic = others.fold(diagnostic, Diagnostic::cause);
        if self.written.is_some() {
            diagnostic.at_setting(self.setting.clone())
        } else {
            diagnostic
        }
    }
}

fn request(name: &str, program: &str) -> ToolRequest {
    ToolRequest::named(name)
        .program(program)
        .version_arguments(["-c", SAY_VERSION_AND_PATH])
}

fn ask(program: &str, context: &dyn PlanContext) -> Option<Tool> {
    context.tool(&request(PYTHON, program)).ok()
}

/// The version that an interpreter says it has; a build from a checkout says `3.14.0+`.
fn version(tool: &Tool) -> Option<Version> {
    let line = tool.version_output.lines().next()?;
    Version::from_str(line.trim_end_matches('+')).ok()
}

/// The interpreter itself, in place of whatever led to it.
fn real(tool: Tool, context: &dyn PlanContext) -> Result<Tool, Diagnostic> {
    let Some(path) = tool.version_output.lines().nth(1) else {
        return Ok(tool);
    };
    if tool.path.to_str() == Some(path) {
        return Ok(tool);
    }
    context.tool(&request(PYTHON, path)).map_err(|error| {
        Diagnostic::error(
            "python.interpreter.broken",
            format!(
                "`{}` leads to `{path}`, which can't be used",
                tool.path.display()
            ),
        )
        .concerning(synth_core::Concern::Environment)
        .caused_by(&error)
        .help("name another one: `python = \"/path/to/python\"`")
    })
}

/// uv knows of interpreters that are not on the `PATH`: those it has installed itself.
fn known_to_uv(wanted: &Wanted, context: &dyn PlanContext) -> Option<String> {
    let requires = wanted.requires_python.as_ref().map(ToString::to_string);
    let asked = wanted.written.clone().or(requires);
    let mut arguments = vec![
        "python".to_owned(),
        "find".to_owned(),
        "--no-project".to_owned(),
    ];
    arguments.extend(asked);
    let request = ToolRequest::named("uv-python")
        .program(UV)
        .version_arguments(arguments);
    let path = context.tool(&request).ok()?.version_output;
    path.starts_with('/').then_some(path)
}

/// The lowest version that specifiers name as such.
fn lower_bound(specifiers: &VersionSpecifiers) -> Option<String> {
    specifiers
        .iter()
        .filter(|specifier| specifier.has_lower_bound())
        .map(|specifier| specifier.version().to_string())
        .next()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use synth_core::testkit::TestProject;
    use synth_core::{Digest, FileKind, PlanError, ProjectPath, SourceFiles, ToolError};

    use super::*;

    /// A project with interpreters on its `PATH`: program, version.
    struct Machine(TestProject, Vec<(&'static str, &'static str)>);

    impl PlanContext for Machine {
        fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
            self.0.read(path)
        }
        fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
            self.0.kind(path)
        }
        fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
            self.0.files(files)
        }
        fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
            let program = request.program.trim_start_matches("/real/");
            let found = self.1.iter().find(|(name, _)| *name == program);
            let (name, version) = found.ok_or_else(|| ToolError::Missing {
                program: request.program.clone(),
            })?;
            let directory = if request.program.starts_with('/') {
                "/real"
            } else {
                "/shims"
            };
            Ok(Tool {
                name: request.name.clone(),
                path: PathBuf::from(format!("{directory}/{name}")),
                version_output: format!("{version}\n/real/{name}"),
                digest: Digest::new("0".repeat(64), 0).unwrap(),
            })
        }
    }

    fn chosen(settings: &[(&str, &str)], variable: Option<&str>, requires: &str) -> String {
        let project = TestProject::new().unwrap();
        let text =
            format!("[project]\nname = \"a\"\nversion = \"1\"\nrequires-python = \"{requires}\"\n");
        project.write("pyproject.toml", text).unwrap();
        let machine = Machine(
            project,
            vec![
                ("python3", "3.11.7"),
                ("python3.12", "3.12.1"),
                ("pypy3", "3.10.1"),
            ],
        );
        let mut target = TargetSpec::new("a", "python", ProjectPath::root());
        for (key, value) in settings {
            target = target.setting(*key, *value);
        }
        if let Some(version) = variable {
            target = target.variable(VERSION_VARIABLE, version);
        }
        let project = Project::read(&target.source_path, &machine).unwrap();
        let settings: Settings = target.settings_as().unwrap();
        match find(&target, &settings, &project, &machine) {
            Ok(tool) => tool.path.to_string_lossy().into_owned(),
            Err(diagnostic) => format!("{}; {}", diagnostic.message, diagnostic.causes.join(", ")),
        }
    }

    #[test]
    fn interpreters_are_chosen_by_what_is_asked_for() {
        for (settings, variable, requires, expected) in [
            (&[][..], None, ">=3.8", "/real/python3"),
            (&[], None, ">=3.12", "/real/python3.12"),
            (&[("python", "3.12")], None, ">=3.8", "/real/python3.12"),
            (&[("python", ">=3.12")], None, ">=3.8", "/real/python3.12"),
            (&[("python", "pypy3")], None, ">=3.8", "/real/pypy3"),
            (&[], Some("3.12"), ">=3.8", "/real/python3.12"),
            (
                &[],
                Some("3.9"),
                ">=3.8",
                "no Python `3.9` that requires-python `>=3.8` accepts was found on the PATH; \
                 `python3` is Python 3.11.7, `python3.12` is Python 3.12.1",
            ),
            (
                &[("python", "3.12")],
                Some("3.11"),
                ">=3.8",
                "`python = \"3.12\"`, but PYTHON_VERSION is \"3.11\"; ",
            ),
            (
                &[("python", "3.x.y")],
                None,
                ">=3.8",
                "`3.x.y` is neither a version of Python nor a program; ",
            ),
        ] {
            assert_eq!(
                chosen(settings, variable, requires),
                expected,
                "{settings:?}"
            );
        }
    }
}
