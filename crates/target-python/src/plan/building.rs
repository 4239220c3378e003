//! Building, checking, importing and testing: the actions that see the sources or what is built
//! from them, and that use no network.

use serde_json::json;
use synth_core::{Action, ActionKind, InputSource, Native, Phase, ROOT};

use super::scripts::with_scripts;
use super::{Planner, Tests};
use crate::native;

/// The variable that C compilers' callers add flags from.
const PREPROCESSOR_FLAGS: &str = "CPPFLAGS";

impl Planner<'_> {
    /// The backend may require more than pyproject.toml states.
    pub(super) fn ask_backend(&self) -> Action {
        let action = self
            .backend(
                "ask-backend",
                Phase::Resolve,
                "ask the build backend what it requires",
            )
            .input_from("env", "install-backend", "env")
            .input("source", InputSource::Source(self.sources.clone()))
            .output_file("requires", "requires.txt");
        let action = self.with_needed_outputs(action);
        let argv = self.backend_argv("requires", "source", "requires.txt");
        with_argv(action, argv)
    }

    pub(super) fn build_sdist(&self) -> Action {
        let action = self
            .backend("sdist", Phase::Build, "build the source distribution")
            .input_from("env", "install-build", "env")
            .input("source", InputSource::Source(self.sources.clone()))
            .output_directory("dist", "dist");
        let action = self.with_needed_outputs(action);
        with_argv(action, self.backend_argv("sdist", "source", "dist"))
    }

    pub(super) fn finish_sdist(&self) -> Action {
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

    pub(super) fn build_wheel(&self) -> Action {
        let action = self
            .backend("wheel", Phase::Build, "build the wheel")
            .input_from("env", "install-build", "env")
            .output_directory("dist", "dist");
        let action = with_variable(action, PREPROCESSOR_FLAGS, self.preprocessor_flags());
        let action = if self.settings.sdist {
            action.input_from("unpacked", "finish-sdist", "unpacked")
        } else {
            action.input("unpacked/source", InputSource::Source(self.sources.clone()))
        };
        let action = self.with_needed_outputs(action);
        with_argv(action, self.backend_argv("wheel", "unpacked/*", "dist"))
    }

    pub(super) fn validate(&self) -> Action {
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

    pub(super) fn import(&self) -> Action {
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

    pub(super) fn test(&self, tests: &Tests) -> Action {
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

    /// Compilers write the directory they run in into what they make, unless told another name
    /// for it. Quoted, because it may have a space in it. Not in `CFLAGS`, which would take the
    /// place of the flags that Python itself was compiled with.
    fn preprocessor_flags(&self) -> String {
        let own = self.target.environment.get(PREPROCESSOR_FLAGS);
        let own = own.map(|flags| format!("{flags} ")).unwrap_or_default();
        format!("{own}\"-ffile-prefix-map={ROOT}=.\"")
    }

    fn source_date_epoch(&self) -> Option<&String> {
        self.target.environment.get("SOURCE_DATE_EPOCH")
    }
}

fn with_argv(mut action: Action, argv: Vec<String>) -> Action {
    if let ActionKind::Exec(exec) = &mut action.kind {
        exec.argv = argv;
    }
    action
}

fn with_variable(mut action: Action, name: &str, value: String) -> Action {
    if let ActionKind::Exec(exec) = &mut action.kind {
        exec.environment.insert(name.to_owned(), value);
    }
    action
}
