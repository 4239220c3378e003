//! A Python project as planning sees it: its project files, what its sources are, and what its
//! tests are and need.

use configparser::ini::Ini;
use synth_core::{Diagnostic, FileKind, PlanContext, PlanError, ProjectPath, SourceFiles};

use crate::lock;
use crate::pyproject::{BuildSystem, PyProject};

/// Directories and files that tools leave in a checkout. None of them is a source.
const LEFT_BY_TOOLS: [&str; 16] = [
    "**/__pycache__",
    "**/*.py[cod]",
    "**/.venv",
    "**/.mypy_cache",
    "**/.ruff_cache",
    "**/.pytest_cache",
    "**/.ipynb_checkpoints",
    "**/.DS_Store",
    ".tox",
    ".nox",
    ".eggs",
    ".hypothesis",
    ".coverage",
    "htmlcov",
    ".direnv",
    // The build's description is no part of what is built.
    "synth.toml",
];

/// Where builds leave their results, unless a package of that name is there.
const BUILD_DIRECTORIES: [&str; 2] = ["build", "dist"];

/// The file that describes a project (PEP 518).
const PYPROJECT: &str = "pyproject.toml";

/// What is known of a project before anything is run.
pub(crate) struct Project {
    /// Its directory.
    pub(crate) directory: ProjectPath,
    /// Its pyproject.toml, when it has one.
    pub(crate) pyproject: Option<PyProject>,
    /// Its setup.cfg, when it has one that can be read.
    pub(crate) setup_cfg: Option<Ini>,
    /// Whether it has a setup.py.
    pub(crate) has_setup_py: bool,
    /// Whether it is an unpacked source distribution, and no checkout.
    pub(crate) is_source_distribution: bool,
}

impl Project {
    /// Reads what describes the project in a directory.
    pub(crate) fn read(
        directory: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Self, Diagnostic> {
        if !directory.is_root() && context.kind(directory) != Ok(Some(FileKind::Directory)) {
            return Err(Diagnostic::error(
                "python.source.missing",
                format!("`{directory}` is not a directory"),
            )
            .at_setting(["source_path"])
            .help("set `source_path` to the directory that holds pyproject.toml"));
        }
        let pyproject = match read_text(directory, PYPROJECT, context)? {
            Some(text) => Some(PyProject::parse(path(directory, PYPROJECT).as_str(), text)?),
            None => None,
        };
        let has = |name: &str| context.exists(&path(directory, name));
        let project = Self {
            has_setup_py: has("setup.py"),
            is_source_distribution: has("PKG-INFO"),
            setup_cfg: read_ini(directory, "setup.cfg", context),
            directory: directory.clone(),
            pyproject,
        };
        let described = project
            .pyproject
            .as_ref()
            .is_some_and(PyProject::describes_build);
        if described || project.has_setup_py {
            return Ok(project);
        }
        let missing = match &project.pyproject {
            Some(read) => Diagnostic::error(
                "python.project.missing",
                "pyproject.toml describes nothing to build",
            )
            .in_file(&read.path)
            .help("add a [project] table (PEP 621) and a [build-system] table (PEP 517)"),
            None => Diagnostic::error(
                "python.project.missing",
                format!("`{directory}` has neither a pyproject.toml nor a setup.py"),
            )
            .at_setting(["source_path"])
            .help("set `source_path` to the directory that holds one of them"),
        };
        Err(missing)
    }

    /// What builds it.
    pub(crate) fn build_system(&self) -> BuildSystem {
        self.pyproject
            .as_ref()
            .map_or_else(BuildSystem::legacy, PyProject::build_system)
    }

    /// Its name, where a file states it.
    pub(crate) fn name(&self) -> Option<String> {
        let stated = self.pyproject.as_ref().and_then(PyProject::name);
        stated.map(ToOwned::to_owned).or_else(|| {
            let name = self.setup_cfg.as_ref()?.get("metadata", "name")?;
            (!name.is_empty()).then_some(name)
        })
    }

    /// A path below its directory.
    pub(crate) fn path(&self, name: &str) -> ProjectPath {
        path(&self.directory, name)
    }

    /// Its sources: everything below its directory but what tools leave there.
    pub(crate) fn sources(
        &self,
        exclude: &[String],
        context: &dyn PlanContext,
    ) -> Result<SourceFiles, PlanError> {
        let mut sources = SourceFiles::below(self.directory.clone())
            .exclude(LEFT_BY_TOOLS)
            .exclude(exclude.iter().map(String::as_str));
        for name in BUILD_DIRECTORIES {
            if !context.exists(&self.path(&format!("{name}/__init__.py"))) {
                sources = sources.exclude([name]);
            }
        }
        // In a checkout they are traces of earlier builds, which new builds would read.
        if !self.is_source_distribution {
            sources = sources.exclude(["*.egg-info", "*/*.egg-info"]);
        }
        let environments = SourceFiles::below(self.directory.clone()).include(["*/pyvenv.cfg"]);
        for marker in context.files(&environments)? {
            if let Some((environment, _)) = marker.rsplit_once('/') {
                sources = sources.exclude([escaped(environment)]);
            }
        }
        Ok(sources)
    }

    /// The versions of its lock file as constraints; none when it has no lock file.
    pub(crate) fn locked_versions(
        &self,
        context: &dyn PlanContext,
    ) -> Result<Option<String>, Diagnostic> {
        for (name, key) in lock::LOCK_FILES {
            if let Some(text) = read_text(&self.directory, name, context)? {
                return lock::constraints(self.path(name).as_str(), key, &text).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether files of the sources are tests as pytest finds them.
    pub(crate) fn has_tests(
        &self,
        sources: &SourceFiles,
        context: &dyn PlanContext,
    ) -> Result<bool, PlanError> {
        let patterns = self.test_file_patterns(context);
        let tests = SourceFiles {
            include: patterns
                .iter()
                .map(|pattern| format!("**/{pattern}"))
                .collect(),
            ..sources.clone()
        };
        Ok(!context.files(&tests)?.is_empty())
    }

    /// pytest's `python_files`.
    fn test_file_patterns(&self, context: &dyn PlanContext) -> Vec<String> {
        let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect();
        for (file, section) in [("pytest.ini", "pytest"), ("tox.ini", "pytest")] {
            let ini = read_ini(&self.directory, file, context);
            if let Some(patterns) = ini.and_then(|ini| ini.get(section, "python_files")) {
                return words(&patterns);
            }
        }
        let stated = self
            .pyproject
            .as_ref()
            .and_then(|read| read.tool(&["pytest", "ini_options", "python_files"]));
        match stated {
            Some(toml::Value::String(text)) => return words(text),
            Some(toml::Value::Array(patterns)) => {
                let patterns = patterns.iter().filter_map(toml::Value::as_str);
                return patterns.map(ToOwned::to_owned).collect();
            }
            _ => {}
        }
        let setup_cfg = self.setup_cfg.as_ref();
        match setup_cfg.and_then(|ini| ini.get("tool:pytest", "python_files")) {
            Some(patterns) => words(&patterns),
            None => vec!["test_*.py".into(), "*_test.py".into()],
        }
    }
}

fn path(directory: &ProjectPath, name: &str) -> ProjectPath {
    // Only names without `..` are joined here, which can't fail.
    directory.join(name).unwrap_or_else(|_| directory.clone())
}

fn read_text(
    directory: &ProjectPath,
    name: &str,
    context: &dyn PlanContext,
) -> Result<Option<String>, Diagnostic> {
    let path = path(directory, name);
    match context.read_text(&path) {
        Ok(text) => Ok(Some(text)),
        Err(PlanError::NotFound { .. }) => Ok(None),
        Err(error) => Err(
            Diagnostic::error("python.file.unreadable", error.to_string()).in_file(path.as_str()),
        ),
    }
}

fn read_ini(directory: &ProjectPath, name: &str, context: &dyn PlanContext) -> Option<Ini> {
    let text = context.read_text(&path(directory, name)).ok()?;
    let mut ini = Ini::new();
    ini.set_multiline(true);
    ini.read(text).ok()?;
    Some(ini)
}

/// A name as a pattern that means just it.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for character in name.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '!') {
            pattern.extend(['[', character, ']']);
        } else {
            pattern.push(character);
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use synth_core::testkit::TestProject;

    use super::*;

    fn project(files: &[&str]) -> (TestProject, Project) {
        let directory = TestProject::new().unwrap();
        directory.write("setup.py", "").unwrap();
        for file in files {
            directory.write(file, "").unwrap();
        }
        let project = Project::read(&ProjectPath::root(), &directory).unwrap();
        (directory, project)
    }

    #[test]
    fn what_tools_leave_is_no_source() {
        for (files, expected) in [
            (
                &["a/__init__.py", "a/__pycache__/x.pyc", ".venv/bin/python"][..],
                &["a/__init__.py", "setup.py"][..],
            ),
            (
                &[
                    "my env/pyvenv.cfg",
                    "my env/x.py",
                    "build/lib/a.py",
                    "dist/a.whl",
                ],
                &["setup.py"],
            ),
            (
                &["build/__init__.py", "src/build/env.py", "src/dist/x.py"],
                &[
                    "build/__init__.py",
                    "setup.py",
                    "src/build/env.py",
                    "src/dist/x.py",
                ],
            ),
            (&["src/a.egg-info/SOURCES.txt", "synth.toml"], &["setup.py"]),
            (
                &["PKG-INFO", "src/a.egg-info/SOURCES.txt"],
                &["PKG-INFO", "setup.py", "src/a.egg-info/SOURCES.txt"],
            ),
        ] {
            let (directory, project) = project(files);
            let sources = project.sources(&[], &directory).unwrap();
            assert_eq!(directory.files(&sources).unwrap(), expected, "{files:?}");
        }
    }

    #[test]
    fn tests_are_found_as_pytest_finds_them() {
        for (files, ini, expected) in [
            (&["tests/test_a.py"][..], "", true),
            (&["a/b/c_test.py"], "", true),
            (&["tests/a.py", "testing.py"], "", false),
            (
                &["checks/check_a.py"],
                "[pytest]\npython_files = check_*.py",
                true,
            ),
            (&[".tox/py/test_a.py", "build/test_a.py"], "", false),
        ] {
            let (directory, project) = project(files);
            directory.write("pytest.ini", ini).unwrap();
            let sources = project.sources(&[], &directory).unwrap();
            assert_eq!(
                project.has_tests(&sources, &directory),
                Ok(expected),
                "{files:?}"
            );
        }
    }
}
