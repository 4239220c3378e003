//! Choosing versions and installing them: the actions that use the network. They depend on
//! requirements alone, never on the sources.

use synth_core::{Action, InputSource, Native, Phase, Retry};

use super::scripts::with_scripts;
use super::{Planner, inline, lines};
use crate::interpreter::{Installer, PYTHON};
use crate::native;
use crate::project::Project;

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

impl Planner<'_> {
    /// Chooses versions of what the build requires.
    pub(super) fn resolve_build(&self, name: &str, dynamic: InputSource) -> Action {
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
    pub(super) fn resolve_project(&self, name: &str, more: &[String]) -> Action {
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
            .with_network()
            .retry(Retry::of_network());
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
    pub(super) fn install(&self, name: &str) -> Action {
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
            .with_network()
            .retry(Retry::of_network());
        if let Some(text) = &self.uv_configuration {
            action = action.input("uv.toml", inline(text.clone()));
        }
        action = with_scripts(action, &["environment.py", "install.py", "relocate.py"]);
        self.with_needed_wheels(self.with_installer(action))
    }

    pub(super) fn make_installer(&self) -> Action {
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
        .with_network()
        .retry(Retry::of_network());
        with_scripts(action, &["install.py", "installer.py", "relocate.py"])
    }

    pub(super) fn collect_needed(&self) -> Action {
        let native = Native::new(native::COLLECT_NEEDED);
        let description = "collect the wheels of needed targets";
        let action = Action::new("needed", Phase::Resolve, description, native)
            .output_directory("wheels", "wheels");
        self.with_needed_outputs(action)
    }

    fn with_needed_wheels(&self, action: Action) -> Action {
        if self.target.needs.is_empty() {
            action
        } else {
            action.input_from("needed", "needed", "wheels")
        }
    }
}

/// The project's own settings for uv, where they say what to install from where.
pub(super) fn uv_configuration(project: &Project, installer: &Installer) -> Option<String> {
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
