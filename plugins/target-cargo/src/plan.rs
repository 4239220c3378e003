//! The plan: packages are brought in, then everything is built, then tested.

use serde_json::json;
use synth_core::{
    Action, Diagnostic, InlineFile, InputSource, Jobserver, Native, Phase, Plan, PlanContext,
    ProjectPath, Retry, TargetSpec,
};

use crate::invocation::{Invocation, SOURCE, VENDOR, WRAPPER, WRAPPER_TEXT};
use crate::manifest::literal;
use crate::project::Project;
use crate::selection::Selection;
use crate::toolchain::Toolchain;
use crate::{build, install, test};

/// Variables of the user that bringing packages in needs: where Cargo and its downloads are,
/// registries and their credentials, how the network is reached.
const INSTALL_VARIABLES: [&str; 18] = [
    "HOME",
    "CARGO_HOME",
    "CARGO_HTTP_*",
    "CARGO_NET_*",
    "CARGO_REGISTRY_*",
    "CARGO_REGISTRIES_*",
    "GIT_*",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// The plan of a target without problems.
///
/// # Errors
/// Programs that are missing.
pub(crate) fn plan(
    target: &TargetSpec,
    project: &Project,
    context: &dyn PlanContext,
) -> Result<Plan, Diagnostic> {
    let toolchain = Toolchain::find(target, &project.settings, &project.workspace.entry, context)?;
    let steps = Steps {
        target,
        project,
        context,
        toolchain: &toolchain,
    };
    let mut plan = Plan {
        warnings: project.warnings.clone(),
        ..Plan::default()
    };
    if project.needs_install() {
        plan = plan.action(steps.install());
    }
    plan = plan
        .action(steps.build())
        .export("build", build::OUTPUT, "");
    let platform = project.settings.target.as_deref().unwrap_or_default();
    let extension = match platform {
        windows if windows.contains("windows") => ".exe",
        wasm if wasm.starts_with("wasm") => ".wasm",
        _ => "",
    };
    for name in &project.binaries {
        let pattern = format!("{}{extension}", literal(name));
        plan = plan.artifact(build::BINARY, pattern);
    }
    for name in &project.libraries {
        let name = literal(name);
        plan = plan
            .artifact(build::LIBRARY, format!("lib{name}.{{so,dylib,a}}"))
            .artifact(build::LIBRARY, format!("{name}.{{dll,dll.lib,lib,wasm}}"));
    }
    if project.settings.tests {
        plan = plan.action(steps.test());
    }
    Ok(plan)
}

struct Steps<'a> {
    target: &'a TargetSpec,
    project: &'a Project,
    context: &'a dyn PlanContext,
    toolchain: &'a Toolchain,
}

impl Steps<'_> {
    fn invocation(&self) -> Invocation {
        let project = self.project;
        let below = |path: &ProjectPath| self.below_source(path);
        Invocation {
            manifest: below(&project.manifest),
            configuration: project
                .configuration
                .files
                .iter()
                .map(|file| below(&file.path))
                .collect(),
            vendored: if project.needs_install() {
                project.sources.clone()
            } else {
                Default::default()
            },
            rustc: self.toolchain.rustc.path.clone(),
            stable_metadata: project.workspace.has_packages_outside_root(),
            environment: self.target.environment.clone(),
        }
    }

    fn selection(&self) -> Selection {
        let settings = &self.project.settings;
        Selection {
            packages: self.project.packages.clone(),
            features: settings.features.clone(),
            all_features: settings.all_features,
            no_default_features: settings.no_default_features,
        }
    }

    fn below_source(&self, path: &ProjectPath) -> String {
        let below = path.strip_prefix(&self.target.source_path);
        below.unwrap_or(path.as_str()).to_owned()
    }

    /// Brings packages in. It sees manifests, the lock file and configuration; instead of sources
    /// empty files, since Cargo wants them to be there. So editing a source does not run it again.
    fn install(&self) -> Action {
        let project = self.project;
        let parameters = install::Parameters {
            invocation: self.invocation(),
            offline: project.settings.offline || project.configuration.is_offline(),
        };
        let offline = parameters.offline;
        let mut native = Native::new(install::FUNCTION).parameters(json!(parameters));
        native.pass_environment = INSTALL_VARIABLES
            .into_iter()
            .map(ToOwned::to_owned)
            .chain(project.settings.pass_environment.clone())
            .collect();
        let manifests = project.workspace.manifests.values();
        let mut paths: Vec<String> = manifests
            .clone()
            .map(|manifest| self.below_source(&manifest.document.path))
            .chain([self.below_source(&project.lock)])
            .collect();
        paths.extend(parameters.invocation.configuration);
        let mut action = Action::new("install", Phase::Install, "fetch packages", native)
            .input(
                SOURCE,
                InputSource::Files {
                    root: self.target.source_path.clone(),
                    paths,
                },
            )
            .output_directory(VENDOR, VENDOR);
        for manifest in manifests {
            for source in &manifest.sources {
                if let Ok(path) = manifest.directory.join(source) {
                    let at = format!("{SOURCE}/{}", self.below_source(&path));
                    action = action.input(at, InputSource::Inline(InlineFile::default()));
                }
            }
        }
        if !offline {
            action = action.with_network().retry(Retry::of_network());
        }
        self.with_tools(action)
    }

    fn build(&self) -> Action {
        let project = self.project;
        let settings = &project.settings;
        let parameters = build::Parameters {
            invocation: self.invocation(),
            selection: self.selection(),
            profile: settings.profile.clone(),
            target: settings.target.clone().unwrap_or_default(),
            binaries: settings.bins.clone().unwrap_or_default(),
            all_binaries: settings.bins.is_none() && !project.binaries.is_empty(),
            libraries: !project.libraries.is_empty(),
            workspace: project.workspace.root.clone(),
            source_path: self.target.source_path.clone(),
        };
        let what = match project.packages.as_slice() {
            [package] => format!("build `{package}`"),
            packages => format!("build {} packages", packages.len()),
        };
        let native = Native::new(build::FUNCTION).parameters(json!(parameters));
        self.making("build", Phase::Build, what, native)
            .output_directory(build::OUTPUT, build::OUTPUT)
    }

    fn test(&self) -> Action {
        let parameters = test::Parameters {
            invocation: self.invocation(),
            selection: self.selection(),
            arguments: self.project.settings.test_arguments.clone(),
        };
        let native = Native::new(test::FUNCTION).parameters(json!(parameters));
        self.making("test", Phase::Test, "run the tests".to_owned(), native)
            // What does not compile is told once.
            .after("build")
    }

    /// A step that compiles.
    fn making(&self, id: &str, phase: Phase, description: String, mut native: Native) -> Action {
        native.pass_environment = self.project.settings.pass_environment.clone();
        let files = self.project.source_files(self.target, self.context);
        let wrapper = InlineFile {
            text: WRAPPER_TEXT.to_owned(),
            executable: true,
        };
        let mut action = Action::new(id, phase, description, native)
            .input(SOURCE, InputSource::Source(files))
            .input(WRAPPER, InputSource::Inline(wrapper));
        if self.project.needs_install() {
            action = action.input_from(VENDOR, "install", VENDOR);
        }
        for need in &self.target.needs {
            let name = need.clone();
            action = action.input(format!("needs/{need}"), InputSource::Target { name });
        }
        // Cargo keeps every processor busy that it is left.
        self.with_tools(action.with_jobserver(Jobserver::Descriptors))
    }

    fn with_tools(&self, action: Action) -> Action {
        let toolchain = self.toolchain;
        let action = action
            .tool(toolchain.cargo.clone())
            .tool(toolchain.rustc.clone());
        toolchain
            .cc
            .iter()
            .fold(action, |action, cc| action.tool(cc.clone()))
    }
}
