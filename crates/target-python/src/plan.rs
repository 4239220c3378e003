//! The actions of a Python target, and how they hang together. What each does is in `tools/`
//! (processes) and in `native` (in process).
//!
//! What needs the network depends on requirements alone, never on the sources: after an edit of
//! the sources those actions come from the cache.

use serde_json::json;
use synth_core::{
    Action, Diagnostic, Exec, InlineFile, InputSource, Native, Phase, Plan, PlanContext,
    SourceFiles, TargetSpec, Tool, ToolRequest,
};

use crate::interpreter::{self, Installer, PYTHON};
use crate::native;
use crate::project::Project;
use crate::settings::Settings;
use crate::test_requirements::{self, TestRequirements};

/// The parts of the build that run in Python, by the name of their file.
const TOOLS: [(&str, &str); 8] = [
    ("backend.py", include_str!("tools/backend.py")),
    ("environment.py", include_str!("tools/environment.py")),
    ("imports.py", include_str!("tools/imports.py")),
    ("install.py", include_str!("tools/install.py")),
    ("installer.py", include_str!("tools/installer.py")),
    ("relocate.py", include_str!("tools/relocate.py")),
    ("resolve.py", include_str!("tools/resolve.py")),
    ("tests.py", include_str!("tools/tests.py")),
];

/// What installers take from the user's environment: where indexes are and how to reach them.
/// Nothing that changes where or how they install.
const INSTALLER_VARIABLES: [&str; 49] = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_DATA_HOME",
    "NETRC",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSL_CLIENT_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSH_AUTH_SOCK",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_TIMEOUT",
    "PIP_RETRIES",
    "PIP_KEYRING_PROVIDER",
    "PIP_USE_FEATURE",
    "UV_CONFIG_FILE",
    "UV_CACHE_DIR",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_INSECURE_HOST",
    "UV_HTTP_*",
    "UV_OFFLINE",
    "UV_KEYRING_PROVIDER",
    "UV_EXCLUDE_NEWER",
    // With the credentials of named indexes.
    "UV_INDEX*",
];

/// Keys of `[tool.uv]` that say where packages come from and which are chosen.
const UV_KEYS: [&str; 14] = [
    "index",
    "index-url",
    "extra-index-url",
    "index-strategy",
    "no-index",
    "keyring-provider",
    "allow-insecure-host",
    "prerelease",
    "resolution",
    "exclude-newer",
    "exclude-newer-package",
    "no-binary-package",
    "no-build-package",
    "dependency-metadata",
];

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
            uv_configuration: uv_configuration(project, &installer),
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
        match &self.tests {
            Some(tests) => plan
                .action(self.resolve_project("test", &tests.requirements.requirements))
                .action(self.install("test"))
                .action(self.test(tests)),
            None => plan,
        }
    }

    /// The environment of the build: first with what pyproject.toml requires, then with what
    /// the backend asks for beyond that. Where it asks for nothing, the second resolving and
    /// installing are the first over again, and come from the cache.
    fn build_environment(&self, plan: Plan) -> Plan {
        let ask = self
            .backend(
                "ask-backend",
                Phase::Resolve,
                "ask the build backend what it requires",
            )
            .input_from("env", "install-backend", "env")
            .input("source", InputSource::Source(self.sources.clone()))
            .output_file("requires", "requires.txt");
        let ask = with_argv(ask, self.backend_argv("requires", "source", "requires.txt"));
        let asked = InputSource::Output {
            action: "ask-backend".into(),
            output: "requires".into(),
        };
        plan.action(self.resolve_build("backend", inline(String::new())))
            .action(self.install("backend"))
            .action(ask)
            .action(self.resolve_build("build", asked))
            .action(self.install("build"))
    }

    fn build_sdist(&self) -> Action {
        let action = self
            .backend("sdist", Phase::Build, "build the source distribution")
            .input_from("env", "install-build", "env")
            .input("source", InputSource::Source(self.sources.clone()))
            .output_directory("dist", "dist");
        let action = self.with_needed_outputs(action);
        with_argv(action, self.backend_argv("sdist", "source", "dist"))
    }

    fn finish_sdist(&self) -> Action {
        let system = self.project.build_system();
        let native = Native::new(native::FINISH_SDIST).parameters(json!({
            "backend_path": system.backend_path,
            "source_date_epoch": self.source_date_epoch(),
            "has_pyproject": self.project.pyproject.is_some(),
        }));
        let description = "make the source distribution reproducible and check it";
        Action::new("finish-sdist", Phase::Validate, description, native)
            .input_from("dist", "sdist", "dist")
            .output_directory("dist", "dist")
            .output_directory("unpacked", "unpacked")
    }

    fn build_wheel(&self) -> Action {
        let action = self
            .backend("wheel", Phase::Build, "build the wheel")
            .input_from("env", "install-build", "env")
            .output_directory("dist", "dist");
        let action = if self.settings.sdist {
            action.input_from("unpacked", "finish-sdist", "unpacked")
        } else {
            action.input("unpacked/source", InputSource::Source(self.sources.clone()))
        };
        let action = self.with_needed_outputs(action);
        with_argv(action, self.backend_argv("wheel", "unpacked/*", "dist"))
    }

    fn validate(&self) -> Action {
        let extras = self.tests.as_ref().map(|tests| &tests.requirements.extras);
        let native = Native::new(native::VALIDATE).parameters(json!({
            "imports": self.settings.imports,
            "test_extras": extras.cloned().unwrap_or_default(),
        }));
        let action = Action::new("validate", Phase::Validate, "check the wheel", native)
            .input_from("wheel", "wheel", "dist")
            .output_directory("requirements", "requirements")
            .output_directory("contents", "contents");
        if self.settings.sdist {
            action.input_from("sdist", "finish-sdist", "dist")
        } else {
            action
        }
    }

    fn import(&self) -> Action {
        let mut argv = vec!["env/bin/python".to_owned(), "tools/imports.py".into()];
        argv.push(self.installer_name().into());
        argv.extend(["wheel", "contents/imports.txt", "contents/entry-points.txt"].map(Into::into));
        let description = "install the wheel into a clean environment and import its modules";
        let exec = self.exec(argv);
        let action = Action::new("import", Phase::Validate, description, exec)
            .input_from("env", "install-runtime", "env")
            .input_from("wheel", "wheel", "dist")
            .input_from("contents", "validate", "contents");
        let action = with_scripts(action, &["imports.py", "install.py"]);
        self.with_installer(action)
    }

    fn test(&self, tests: &Tests) -> Action {
        let mut argv = vec!["env/bin/python".to_owned(), "tools/tests.py".into()];
        argv.extend(["--installer", self.installer_name()].map(Into::into));
        argv.extend(["--wheel", "wheel", "--modules", "contents/modules.txt"].map(Into::into));
        argv.extend(["--source", "source"].map(Into::into));
        if tests.must_collect {
            argv.push("--must-collect".into());
        }
        argv.push("--".into());
        if let Some(command) = &self.settings.test_command {
            argv.extend(command.argv());
        }
        let exec = self.exec(argv);
        let action = Action::new("test", Phase::Test, "test the installed wheel", exec)
            .input_from("env", "install-test", "env")
            .input_from("wheel", "wheel", "dist")
            .input_from("contents", "validate", "contents")
            .input("source", InputSource::Source(self.sources.clone()));
        let action = with_scripts(action, &["install.py", "tests.py"]);
        let action = self.with_needed_outputs(self.with_tools(self.with_installer(action)));
        if self.settings.test_network {
            action.with_network()
        } else {
            action
        }
    }

    /// Chooses versions of what the build requires.
    fn resolve_build(&self, name: &str, dynamic: InputSource) -> Action {
        let mut requires = self.project.build_system().requires;
        requires.extend(self.settings.build_dependencies.iter().cloned());
        self.resolve(
            name,
            &["requirements/static.txt", "requirements/dynamic.txt"],
            "",
        )
        .input("requirements/static.txt", inline(lines(&requires)))
        .input("requirements/dynamic.txt", dynamic)
    }

    /// Chooses versions of what the project depends on, what the target adds to that, and
    /// `more`.
    fn resolve_project(&self, name: &str, more: &[String]) -> Action {
        let project = format!("project/{name}.txt");
        let mut requirements = self.target.dependencies.clone();
        requirements.extend(more.iter().cloned());
        self.resolve(
            name,
            &[&project, "requirements/more.txt"],
            &self.constraints,
        )
        .input_from("project", "validate", "requirements")
        .input("requirements/more.txt", inline(lines(&requirements)))
    }

    /// Chooses versions for the environment `name` from requirements files.
    fn resolve(&self, name: &str, files: &[&str], constraints: &str) -> Action {
        let mut argv = vec![PYTHON, "-B", "tools/resolve.py", "--output", "lock.txt"];
        argv.extend(["--installer", self.installer_name()]);
        if !constraints.is_empty() {
            argv.extend(["--constraints", "constraints.txt"]);
        }
        argv.extend(files);
        let exec = self.quiet_exec(argv).pass(INSTALLER_VARIABLES);
        let description = format!("choose versions for the {name} environment");
        let mut action = Action::new(format!("resolve-{name}"), Phase::Resolve, description, exec)
            .output_file("lock", "lock.txt")
            .with_network();
        if !constraints.is_empty() {
            action = action.input("constraints.txt", inline(constraints.to_owned()));
        }
        if let Some(text) = &self.uv_configuration {
            action = action.input("uv.toml", inline(text.clone()));
        }
        action = with_scripts(action, &["install.py", "resolve.py"]);
        self.with_needed_wheels(self.with_installer(action))
    }

    /// Makes the environment `name` of what was chosen for it.
    fn install(&self, name: &str) -> Action {
        let installer = self.installer_name();
        let argv = [
            PYTHON,
            "-B",
            "tools/environment.py",
            installer,
            "lock.txt",
            "env",
        ];
        let exec = self.quiet_exec(argv).pass(INSTALLER_VARIABLES);
        let description = format!("make the {name} environment");
        let mut action = Action::new(format!("install-{name}"), Phase::Install, description, exec)
            .input_from("lock.txt", format!("resolve-{name}"), "lock")
            .output_directory("env", "env")
            .with_network();
        if let Some(text) = &self.uv_configuration {
            action = action.input("uv.toml", inline(text.clone()));
        }
        action = with_scripts(action, &["environment.py", "install.py", "relocate.py"]);
        self.with_needed_wheels(self.with_installer(action))
    }

    fn make_installer(&self) -> Action {
        let argv = [PYTHON, "-B", "tools/installer.py", "installer"];
        let exec = self.quiet_exec(argv).pass(INSTALLER_VARIABLES);
        let action = Action::new(
            "installer",
            Phase::Install,
            "make an environment for pip",
            exec,
        )
        .output_directory("installer", "installer")
        .tool(self.python.clone())
        .with_network();
        with_scripts(action, &["installer.py", "relocate.py"])
    }

    fn collect_needed(&self) -> Action {
        let native = Native::new(native::COLLECT_NEEDED);
        let description = "collect the wheels of needed targets";
        let action = Action::new("needed", Phase::Resolve, description, native)
            .output_directory("wheels", "wheels");
        self.with_needed_outputs(action)
    }

    fn backend(&self, id: &str, phase: Phase, description: &str) -> Action {
        let exec = self.quiet_exec(Vec::<String>::new());
        let action = Action::new(id, phase, description, exec);
        self.with_tools(with_scripts(action, &["backend.py"]))
    }

    fn backend_argv(&self, task: &str, source: &str, result: &str) -> Vec<String> {
        let system = self.project.build_system();
        let settings: serde_json::Map<_, _> = self
            .settings
            .config_settings
            .iter()
            .map(|(key, value)| (key.clone(), value.to_json()))
            .collect();
        let description = json!({
            "backend": system.backend,
            "backend_path": system.backend_path,
            "config_settings": settings,
            "sdist": self.settings.sdist,
        });
        let mut argv = [
            "env/bin/python",
            "-B",
            "tools/backend.py",
            task,
            source,
            result,
        ]
        .map(ToOwned::to_owned)
        .to_vec();
        argv.push(description.to_string());
        argv
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

    fn source_date_epoch(&self) -> Option<&String> {
        self.target.environment.get("SOURCE_DATE_EPOCH")
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

    fn with_needed_wheels(&self, action: Action) -> Action {
        if self.target.needs.is_empty() {
            action
        } else {
            action.input_from("needed", "needed", "wheels")
        }
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
        // Not asked for its version: not every program knows how to say one.
        let request = ToolRequest::named(name).version_arguments(Vec::<String>::new());
        context.tool(&request).map_err(|error| {
            Diagnostic::error(
                "python.tool.missing",
                format!("the tool `{name}` can't be used"),
            )
            .at_setting(["tools".to_owned(), index.to_string()])
            .caused_by(&error)
            .help("install it, or take it out of `tools`")
        })
    });
    found.collect()
}

/// The project's own settings for uv, where they say what to install from where.
fn uv_configuration(project: &Project, installer: &Installer) -> Option<String> {
    let Installer::Uv(_) = installer else {
        return None;
    };
    let table = project.pyproject.as_ref()?.tool(&["uv"])?.as_table()?;
    let kept: toml::Table = table
        .iter()
        .filter(|(key, _)| UV_KEYS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if kept.is_empty() {
        return None;
    }
    toml::to_string(&kept).ok()
}

fn with_scripts(action: Action, names: &[&str]) -> Action {
    let wanted = TOOLS.iter().filter(|(name, _)| names.contains(name));
    wanted.fold(action, |action, (name, text)| {
        action.input(format!("tools/{name}"), inline((*text).to_owned()))
    })
}

fn with_argv(mut action: Action, argv: Vec<String>) -> Action {
    if let synth_core::ActionKind::Exec(exec) = &mut action.kind {
        exec.argv = argv;
    }
    action
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
