//! What a project's tests need, wherever it says so: dependency groups (PEP 735), extras, the
//! tables of its project tool, requirements files.

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::{Requirement, VerbatimUrl};
use std::str::FromStr;
use synth_core::{Diagnostic, PlanContext};
use toml::Value;

use crate::project::Project;
use crate::pyproject::{GroupItem, PyProject};
use crate::requirements_file::{self, Listed};
use crate::{names, poetry};

/// Names that groups and extras of tests go by.
const TEST_NAMES: [&str; 3] = ["test", "tests", "testing"];
/// Names of groups for everything a developer needs; taken when they bring pytest.
const DEVELOPMENT_NAMES: [&str; 2] = ["dev", "develop"];
/// Requirements files of tests, and of developers.
const FILES: [&str; 12] = [
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements_test.txt",
    "test-requirements.txt",
    "test_requirements.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
    "tests/requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements/dev.txt",
];

/// What tests need beside the project and its dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestRequirements {
    /// Requirements (PEP 508).
    pub(crate) requirements: Vec<String>,
    /// Extras of the project.
    pub(crate) extras: BTreeSet<String>,
}

impl TestRequirements {
    /// Whether pytest is among them.
    pub(crate) fn bring_pytest(&self, project: &Project) -> bool {
        let extras = project.pyproject.as_ref().map(PyProject::extras);
        let extras = extras.unwrap_or_default();
        let of_extras = self
            .extras
            .iter()
            .filter_map(|extra| extras.get(extra.as_str()))
            .flatten()
            .copied();
        self.requirements
            .iter()
            .map(String::as_str)
            .chain(of_extras)
            .any(is_pytest)
    }

    fn add(&mut self, other: Self) {
        self.requirements.extend(other.requirements);
        self.extras.extend(other.extras);
    }
}

impl From<Listed> for TestRequirements {
    fn from(listed: Listed) -> Self {
        Self {
            requirements: listed.requirements,
            extras: listed.extras,
        }
    }
}

/// pytest itself, or a plugin of it, which brings it.
fn is_pytest(requirement: &str) -> bool {
    let name = Requirement::<VerbatimUrl>::from_str(requirement);
    name.is_ok_and(|requirement| requirement.name.to_string().starts_with("pytest"))
}

/// What the tests need, as the project declares it.
///
/// # Errors
/// When a group is asked for by name and is not there, or groups include each other in a cycle.
pub(crate) fn declared(
    project: &Project,
    wanted: Option<&[String]>,
    context: &dyn PlanContext,
) -> Result<TestRequirements, Diagnostic> {
    let groups = Groups::of(project);
    if let Some(wanted) = wanted {
        let mut found = TestRequirements::default();
        for (index, name) in wanted.iter().enumerate() {
            let group = groups.requirements(name)?;
            found.add(group.ok_or_else(|| groups.unknown(name, index))?);
        }
        return Ok(found);
    }
    let mut found = None;
    for name in TEST_NAMES {
        if let Some(group) = groups.requirements(name)? {
            found
                .get_or_insert_with(TestRequirements::default)
                .add(group);
        }
    }
    if let Some(found) = found {
        return Ok(found);
    }
    for name in DEVELOPMENT_NAMES {
        if let Some(group) = groups.requirements(name)?
            && group.bring_pytest(project)
        {
            return Ok(group);
        }
    }
    let files = FILES.iter().map(|name| project.path(name));
    let mut usable = files
        .filter(|path| context.exists(path))
        .filter_map(|path| requirements_file::read(&path, context))
        .map(TestRequirements::from);
    let found = usable.find(|listed| listed.bring_pytest(project));
    Ok(found.unwrap_or_default())
}

/// All that the project's files call a group of dependencies, by normalized name.
#[derive(Default)]
struct Groups {
    items: BTreeMap<String, Vec<GroupItem>>,
    extras: BTreeSet<String>,
    own_name: Option<String>,
}

impl Groups {
    fn of(project: &Project) -> Self {
        let mut groups = Self {
            own_name: project.name().map(|name| names::normalized(&name)),
            ..Self::default()
        };
        if let Some(pyproject) = &project.pyproject {
            groups.add_standard(pyproject);
            groups.add_tools(pyproject);
        }
        if let Some(setup_cfg) = &project.setup_cfg
            && let Some(extras) = setup_cfg.get_map_ref().get("options.extras_require")
        {
            let names = extras.keys().map(|name| names::normalized(name));
            groups.extras.extend(names);
        }
        groups
    }

    fn add_standard(&mut self, pyproject: &PyProject) {
        for (name, items) in pyproject.groups() {
            let items = items.into_iter().cloned();
            self.entry(name).extend(items);
        }
        let extras = pyproject.extras();
        self.extras
            .extend(extras.keys().map(|name| (*name).to_owned()));
    }

    fn add_tools(&mut self, pyproject: &PyProject) {
        let texts = |value: &Value| -> Vec<String> {
            let items = value.as_array().into_iter().flatten();
            items
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect()
        };
        if let Some(list) = pyproject.tool(&["uv", "dev-dependencies"]) {
            self.extend("dev", texts(list));
        }
        let table = |path: &[&str]| pyproject.tool(path).and_then(Value::as_table);
        for (name, list) in table(&["pdm", "dev-dependencies"]).into_iter().flatten() {
            self.extend(name, texts(list));
        }
        for name in ["test", "hatch-test"] {
            for key in ["dependencies", "extra-dependencies"] {
                if let Some(list) = pyproject.tool(&["hatch", "envs", name, key]) {
                    self.extend("test", texts(list));
                }
            }
        }
        if let Some(dependencies) = table(&["poetry", "dev-dependencies"]) {
            self.extend("dev", poetry::requirements(dependencies));
        }
        for (name, group) in table(&["poetry", "group"]).into_iter().flatten() {
            if let Some(dependencies) = group.get("dependencies").and_then(Value::as_table) {
                self.extend(name, poetry::requirements(dependencies));
            }
        }
        let extras = table(&["poetry", "extras"]).into_iter().flatten();
        self.extras.extend(extras.map(|(name, _)| name.clone()));
    }

    fn entry(&mut self, name: &str) -> &mut Vec<GroupItem> {
        self.items.entry(names::normalized(name)).or_default()
    }

    fn extend(&mut self, name: &str, requirements: Vec<String>) {
        let items = requirements.into_iter().map(GroupItem::Requirement);
        self.entry(name).extend(items);
    }

    /// The group and the extra of that name together; none when there is neither.
    fn requirements(&self, name: &str) -> Result<Option<TestRequirements>, Diagnostic> {
        let name = names::normalized(name);
        let mut found = TestRequirements::default();
        let extra = self
            .extras
            .iter()
            .find(|extra| names::normalized(extra) == name);
        found.extras.extend(extra.cloned());
        let is_group = self.items.contains_key(&name);
        if is_group {
            self.collect(&name, &mut Vec::new(), &mut found)?;
        }
        Ok((is_group || extra.is_some()).then_some(found))
    }

    fn collect(
        &self,
        name: &str,
        path: &mut Vec<String>,
        found: &mut TestRequirements,
    ) -> Result<(), Diagnostic> {
        let name = names::normalized(name);
        let refused = |message: String| Diagnostic::error("python.dependency_groups", message);
        if path.contains(&name) {
            path.push(name);
            let cycle = path.join("` -> `");
            return Err(refused(format!(
                "dependency groups include each other: `{cycle}`"
            )));
        }
        let Some(items) = self.items.get(&name) else {
            let by = path.last().cloned().unwrap_or_default();
            return Err(refused(format!(
                "dependency group `{by}` includes `{name}`, which is not there"
            )));
        };
        path.push(name);
        for item in items {
            match item {
                GroupItem::Requirement(text) => self.add(text, found),
                GroupItem::Include { include_group } => self.collect(include_group, path, found)?,
            }
        }
        path.pop();
        Ok(())
    }

    /// A requirement of the project itself means its extras.
    fn add(&self, text: &str, found: &mut TestRequirements) {
        let parsed = Requirement::<VerbatimUrl>::from_str(text);
        match parsed {
            Ok(requirement) if Some(requirement.name.to_string()) == self.own_name => {
                let extras = requirement.extras.iter().map(ToString::to_string);
                found.extras.extend(extras);
            }
            _ => found.requirements.push(text.trim().to_owned()),
        }
    }

    fn unknown(&self, name: &str, index: usize) -> Diagnostic {
        let mut known: Vec<&str> = self.items.keys().map(String::as_str).collect();
        known.extend(self.extras.iter().map(String::as_str));
        let diagnostic = Diagnostic::error(
            "python.test_groups.unknown",
            format!("the project has no dependency group or extra `{name}`"),
        )
        .at_setting(["test_groups".to_owned(), index.to_string()]);
        if known.is_empty() {
            diagnostic.help("list what the tests need in `test_dependencies`")
        } else {
            diagnostic.help(format!("it has `{}`", known.join("`, `")))
        }
    }
}

#[cfg(test)]
mod tests {
    use synth_core::ProjectPath;
    use synth_core::testkit::TestProject;

    use super::*;

    fn found(pyproject: &str, file: &str, wanted: Option<&[&str]>) -> String {
        let directory = TestProject::new().unwrap();
        let text = format!("[project]\nname = \"Own-Name\"\nversion = \"1\"\n{pyproject}");
        directory.write("pyproject.toml", text).unwrap();
        directory.write("requirements-dev.txt", file).unwrap();
        let project = Project::read(&ProjectPath::root(), &directory).unwrap();
        let wanted: Option<Vec<String>> =
            wanted.map(|names| names.iter().map(ToString::to_string).collect());
        match declared(&project, wanted.as_deref(), &directory) {
            Ok(found) => format!(
                "{} [{}]{}",
                found.requirements.join(" "),
                found.extras.iter().cloned().collect::<Vec<_>>().join(","),
                if found.bring_pytest(&project) {
                    " pytest"
                } else {
                    ""
                }
            ),
            Err(diagnostic) => diagnostic.message,
        }
    }

    #[test]
    fn test_requirements_are_found_where_projects_declare_them() {
        for (pyproject, file, wanted, expected) in [
            (
                "[dependency-groups]\ntests = [\"pytest\", {include-group = \"More\"}]\nmore = [\"own.name[socks]\", \"x\"]\ndev = [\"tox\"]",
                "",
                None,
                "pytest x [socks] pytest",
            ),
            (
                "[project.optional-dependencies]\ntest = [\"pytest>=8\"]\ncli = []",
                "",
                None,
                " [test] pytest",
            ),
            (
                "[dependency-groups]\ndev = [\"ruff\"]",
                "pytest\n",
                None,
                "pytest [] pytest",
            ),
            (
                "[dependency-groups]\ndev = [\"ruff\"]",
                "six\n",
                None,
                " []",
            ),
            (
                "[tool.uv]\ndev-dependencies = [\"pytest-cov\"]",
                "",
                None,
                "pytest-cov [] pytest",
            ),
            (
                "[tool.poetry.group.test.dependencies]\npytest = \"^8\"",
                "",
                None,
                "pytest>=8,<9 [] pytest",
            ),
            (
                "[dependency-groups]\ntest = [\"pytest\"]\nlint = [\"ruff\"]",
                "",
                Some(&["lint"][..]),
                "ruff []",
            ),
            (
                "[dependency-groups]\ntest = [\"pytest\"]",
                "",
                Some(&["unit"]),
                "the project has no dependency group or extra `unit`",
            ),
            (
                "[dependency-groups]\ntest = [{include-group = \"a\"}]\na = [{include-group = \"test\"}]",
                "",
                None,
                "dependency groups include each other: `test` -> `a` -> `test`",
            ),
        ] {
            assert_eq!(found(pyproject, file, wanted), expected, "{pyproject}");
        }
    }
}
