//! The actions of a Python target, and how they hang together. What each does is in `tools/`
//! (processes) and in `native` (in process).
//!
//! What needs the network depends on requirements alone, never on the sources: after an edit of
//! the sources those actions come from the cache.

mod building;
mod environments;
mod scripts;

use synth_core::{
    Action, Concern, Diagnostic, Exec, InlineFile, InputSource, Plan, PlanContext, SourceFiles,
    TargetSpec, Tool,
};

use crate::interpreter::{self, Installer};
use crate::project::Project;
use crate::settings::Settings;
use crate::test_requirements::{self, TestRequirements};

/// The planner of one target.
pub(crate) struct Planner<'a> {
    target: &'a TargetSpec,
    settings: &'a Settings,
    project: &'a Project,
    python: Tool,
    installer: Installer,
    tools: Vec<Tool>,
    sources: SourceFiles,
    constraints: String,
    uv_configuration: Option<String>,
    tests: Option<Tests>,
}

/// How the project is tested.
struct Tests {
    requirements: TestRequirements,
    /// Nothing collected is a failure.
    must_collect: bool,
}

impl<'a> Planner<'a> {
    /// Finds out what the plan depends on.
    ///
    /// # Errors
    /// Every problem that leaves no plan.
    pub(crate) fn new(
        target: &'a TargetSpec,
        settings: &'a Settings,
        project: &'a Project,
        context: &dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let sources = sources(settings, project, context).map_err(|error| vec![error])?;
        let mut keep = |diagnostic: Diagnostic| problems.push(diagnostic);
        let python = interpreter::find(target, settings, project, context).map_err(&mut keep);
        let installer = interpreter::find_installer(settings.installer, context).map_err(&mut keep);
        let tools = find_tools(settings, context).map_err(&mut keep);
        let constraints = if settings.locked {
            project.locked_versions(context).map_err(&mut keep)
        } else {
            Ok(None)
        };
        let tests = tests(settings, project, &sources, context).map_err(&mut keep);
        let (Ok(python), Ok(installer), Ok(tools), Ok(constraints), Ok(tests)) =
            (python, installer, tools, constraints, tests)
        else {
            return Err(problems);
        };
        Ok(Self {
            uv_configuration: environments::uv_configuration(project, &installer),
            constraints: constraints.unwrap_or_default(),
            target,
            settings,
            project,
            python,
            installer,
            tools,
            sources,
            tests,
        })
    }

    /// The plan.
    pub(crate) fn plan(&self) -> Plan {
        let mut plan = Plan::default()
            .export("wheel", "dist", "")
            .artifact("python.wheel", "*.whl");
        if matches!(self.installer, Installer::Pip) {
            plan = plan.action(self.make_installer());
        }
        if !self.target.needs.is_empty() {
            plan = plan.action(self.collect_needed());
        }
        plan = self.build_environment(plan);
        if self.settings.sdist {
            plan = plan
                .action(self.build_sdist())
                .action(self.finish_sdist())
                .export("finish-sdist", "dist", "")
                .artifact("python.sdist", "*.tar.gz");
        }
        plan = plan
            .action(self.build_wheel())
            .action(self.validate())
            .action(self.resolve_project("runtime", &[]))
            .action(self.install("runtime"))
            .action(self.import());
        if let Some(tests) = &self.tests {
            plan = plan
                .action(self.resolve_project("test", &tests.requirements.requirements))
                .action(self.install("test"))
                .action(self.test(tests));
        }
        for action in &mut plan.actions {
            // What a build backend and tests leave beside is theirs to know, and taken by nobody.
            action.scratch.push("**".into());
        }
        plan
    }

    /// The environment of the build: first with what pyproject.toml requires, then with what
    /// the backend asks for beyond that. Where it asks for nothing, the second resolving and
    /// installing are the first over again, and come from the cache.
    fn build_environment(&self, plan: Plan) -> Plan {
        let asked = InputSource::Output {
            action: "ask-backend".into(),
            output: "requires".into(),
        };
        plan.action(self.resolve_build("backend", inline(String::new())))
            .action(self.install("backend"))
            .action(self.ask_backend())
            .action(self.resolve_build("build", asked))
            .action(self.install("build"))
    }

    fn exec<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Exec {
        Exec::new(argv)
            // Whatever iterates over a set does so in the same order each time.
            .variable("PYTHONHASHSEED", "0")
            .variables(self.target.environment.clone())
    }

    /// Without compiled modules beside the sources: they would end up in what is built.
    fn quiet_exec<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Exec {
        self.exec(argv).variable("PYTHONDONTWRITEBYTECODE", "1")
    }

    fn installer_name(&self) -> &'static str {
        match self.installer {
            Installer::Uv(_) => "uv",
            Installer::Pip => "pip",
        }
    }

    /// The interpreter, and what installs packages.
    fn with_installer(&self, action: Action) -> Action {
        let action = action.tool(self.python.clone());
        match &self.installer {
            Installer::Uv(tool) => action.tool(tool.clone()),
            Installer::Pip => action.input_from("installer", "installer", "installer"),
        }
    }

    /// The interpreter, and the programs that the target names.
    fn with_tools(&self, action: Action) -> Action {
        let mut action = action;
        for tool in std::iter::once(&self.python).chain(&self.tools) {
            if !action.tools.contains(tool) {
                action = action.tool(tool.clone());
            }
        }
        action
    }

    /// What the needed targets export, for builds and tests that use it.
    fn with_needed_outputs(&self, action: Action) -> Action {
        self.target.needs.iter().fold(action, |action, name| {
            let source = InputSource::Target { name: name.clone() };
            action.input(format!("needs/{name}"), source)
        })
    }
}

/// The sources of the target.
pub(crate) fn sources(
    settings: &Settings,
    project: &Project,
    context: &dyn PlanContext,
) -> Result<SourceFiles, Diagnostic> {
    project
        .sources(&settings.exclude, context)
        .map_err(|error| {
            Diagnostic::error("python.sources", "the sources can't be listed").caused_by(&error)
        })
}

fn tests(
    settings: &Settings,
    project: &Project,
    sources: &SourceFiles,
    context: &dyn PlanContext,
) -> Result<Option<Tests>, Diagnostic> {
    let run = match (settings.tests, &settings.test_command) {
        (Some(run), _) => run,
        (None, Some(_)) => true,
        (None, None) => project.has_tests(sources, context).map_err(|error| {
            Diagnostic::error("python.sources", "the tests can't be listed").caused_by(&error)
        })?,
    };
    if !run {
        return Ok(None);
    }
    let wanted = settings.test_groups.as_deref();
    let mut requirements = test_requirements::declared(project, wanted, context)?;
    requirements
        .requirements
        .extend(settings.test_dependencies.iter().cloned());
    if settings.test_command.is_none() {
        requirements.requirements.push("pytest".into());
    }
    Ok(Some(Tests {
        requirements,
        must_collect: settings.tests == Some(true),
    }))
}

fn find_tools(settings: &Settings, context: &dyn PlanContext) -> Result<Vec<Tool>, Diagnostic> {
    let found = settings.tools.iter().enumerate().map(|(index, name)| {
        context
            .tool(&interpreter::named_tool(name))
            .map_err(|error| {
                Diagnostic::error(
                    "python.tool.missing",
                    format!("the tool `{name}` can't be used"),
                )
                .concerning(Concern::Environment)
                .at_setting(["tools".to_owned(), index.to_string()])
                .caused_by(&error)
                .help("install it, or take it out of `tools`")
            })
    });
    found.collect()
}

fn inline(text: String) -> InputSource {
    InputSource::Inline(InlineFile {
        text,
        executable: false,
    })
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

#[cfg(test)]
mod tests {
    use synth_core::testkit::TestProject;
    use synth_core::{Digest, Network, ProjectPath};

    use super::*;
    use crate::interpreter::PYTHON;

    fn tool(name: &str, said: &str) -> Tool {
        Tool {
            name: name.into(),
            path: format!("/usr/bin/{name}").into(),
            version_output: said.into(),
            digest: Digest::new("0".repeat(64), 0).unwrap(),
        }
    }

    /// The plan of a project with a test, one action a line: what runs, what it takes.
    fn planned(change: impl FnOnce(TargetSpec) -> TargetSpec, with_uv: bool) -> String {
        let mut project = TestProject::new()
            .unwrap()
            .with_tool(tool(PYTHON, "3.11.7\n/usr/bin/python"));
        if with_uv {
            project = project.with_tool(tool(interpreter::UV, "uv 0.9.1"));
        }
        let text = "[build-system]\nrequires = [\"hatchling\"]\n\
            build-backend = \"hatchling.build\"\n\
            [project]\nname = \"shop\"\nversion = \"1\"\n";
        project.write("api/pyproject.toml", text).unwrap();
        project.write("api/tests/test_shop.py", "").unwrap();
        let path = ProjectPath::parse("api").unwrap();
        let target = change(TargetSpec::new("api", "python", path));
        let settings: Settings = target.settings_as().unwrap();
        let read = Project::read(&target.source_path, &project).unwrap();
        let planner = Planner::new(&target, &settings, &read, &project).unwrap();
        let lines: Vec<String> = planner.plan().actions.iter().map(line).collect();
        lines.join("\n")
    }

    fn line(action: &Action) -> String {
        let inputs: Vec<String> = action
            .inputs
            .iter()
            .filter(|input| !input.at.starts_with("tools/"))
            .map(|input| match &input.from {
                InputSource::Output { action, .. } => format!("{}<-{action}", input.at),
                InputSource::Inline(file) => format!("{}={:?}", input.at, file.text),
                _ => input.at.clone(),
            })
            .collect();
        let network = match action.network {
            Network::None => "",
            Network::Allowed => " (network)",
        };
        format!("{}{network}: {}", action.id, inputs.join(", "))
    }

    #[test]
    fn only_resolving_and_installing_use_the_network_and_none_of_them_sees_the_sources() {
        insta::assert_snapshot!(planned(|target| target.dependency("six"), true), @r#"
        resolve-backend (network): requirements/static.txt="hatchling\n", requirements/dynamic.txt=""
        install-backend (network): lock.txt<-resolve-backend
        ask-backend: env<-install-backend, source
        resolve-build (network): requirements/static.txt="hatchling\n", requirements/dynamic.txt<-ask-backend
        install-build (network): lock.txt<-resolve-build
        sdist: env<-install-build, source
        finish-sdist: dist<-sdist
        wheel: env<-install-build, unpacked<-finish-sdist
        validate: wheel<-wheel, sdist<-finish-sdist
        resolve-runtime (network): project<-validate, requirements/more.txt="six\n"
        install-runtime (network): lock.txt<-resolve-runtime
        import: env<-install-runtime, wheel<-wheel, contents<-validate
        resolve-test (network): project<-validate, requirements/more.txt="six\npytest\n"
        install-test (network): lock.txt<-resolve-test
        test: env<-install-test, wheel<-wheel, contents<-validate, source
        "#);
    }

    #[test]
    fn pip_stands_in_for_uv_and_needed_wheels_are_installed_from_where_they_are() {
        insta::assert_snapshot!(
            planned(|target| target.need("lib").setting("sdist", false), false),
            @r#"
        installer (network): 
        needed: needs/lib
        resolve-backend (network): installer<-installer, needed<-needed, requirements/static.txt="hatchling\n", requirements/dynamic.txt=""
        install-backend (network): lock.txt<-resolve-backend, installer<-installer, needed<-needed
        ask-backend: env<-install-backend, source, needs/lib
        resolve-build (network): installer<-installer, needed<-needed, requirements/static.txt="hatchling\n", requirements/dynamic.txt<-ask-backend
        install-build (network): lock.txt<-resolve-build, installer<-installer, needed<-needed
        wheel: env<-install-build, unpacked/source, needs/lib
        validate: wheel<-wheel
        resolve-runtime (network): installer<-installer, needed<-needed, project<-validate, requirements/more.txt=""
        install-runtime (network): lock.txt<-resolve-runtime, installer<-installer, needed<-needed
        import: env<-install-runtime, wheel<-wheel, contents<-validate, installer<-installer
        resolve-test (network): installer<-installer, needed<-needed, project<-validate, requirements/more.txt="pytest\n"
        install-test (network): lock.txt<-resolve-test, installer<-installer, needed<-needed
        test: env<-install-test, wheel<-wheel, contents<-validate, source, installer<-installer, needs/lib
        "#
        );
    }
}
