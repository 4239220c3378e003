//! Which actions build a site: `install` and `build` run the user's commands, then the native
//! steps follow, each on the tree that the one before it left:
//! `assemble` -> `optimize` -> `manifest`, with `validate` beside them on the assembled tree,
//! whose lines are those that the user wrote. A bundler, image compression or content-hashed
//! names are further steps between `assemble` and `manifest`.

use serde_json::json;
use synth_core::{
    Action, Diagnostic, Exec, InputSource, Native, Phase, Plan, PlanContext, ProjectPath, Retry,
    SourceFiles, TargetSpec, Tool,
};

use crate::assemble;
use crate::command::Command;
use crate::links;
use crate::manifest;
use crate::optimize;
use crate::programs;
use crate::project::Project;
use crate::settings::{Builder, ManifestSetting};

/// The kind of the artifact: the whole output directory.
pub(crate) const SITE: &str = "static.site";

/// The name, and the place, of the tree that every step takes and leaves.
pub(crate) const TREE: &str = "site";

/// Where the user's commands find their sources, and are started.
const WORK: &str = "project";

/// Variables of package managers, proxies and certificates. They say where packages are fetched
/// from and with which credentials, not what they are.
const INSTALL_ENVIRONMENT: [&str; 27] = [
    "HOME",
    "npm_config_*",
    "NPM_*",
    "NODE_AUTH_TOKEN",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "YARN_*",
    "PNPM_HOME",
    "COREPACK_*",
    "BUN_*",
    "DENO_*",
    "PIP_*",
    "UV_*",
    "PYENV_*",
    "BUNDLE_*",
    "GEM_*",
    "GOPROXY",
    "GOMODCACHE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_*",
];

/// Nothing of what a command-line tool does beside its work: asking for newer versions, sending
/// statistics.
const QUIET: [(&str, &str); 6] = [
    ("npm_config_update_notifier", "false"),
    ("npm_config_fund", "false"),
    ("npm_config_audit", "false"),
    ("DO_NOT_TRACK", "1"),
    ("NEXT_TELEMETRY_DISABLED", "1"),
    ("ASTRO_TELEMETRY_DISABLED", "1"),
];

/// Characters of a command in a line of progress.
const SHORT: usize = 48;

/// The plan of a target whose problems, if any, have been looked for.
///
/// # Errors
/// What leaves no plan.
pub(crate) fn plan(
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Result<Plan, Vec<Diagnostic>> {
    let project = Project::read(target, context)?;
    let mut plan = Plan::default();
    if project.settings.builder() == Builder::Command {
        plan = commands(plan, &project)?;
    }
    let mut assemble = Action::new(
        "assemble",
        Phase::Assemble,
        "put the site together",
        Native::new(assemble::FUNCTION).parameters(json!(assemble_parameters(&project))),
    )
    .output_directory(TREE, TREE);
    assemble = match project.settings.builder() {
        Builder::Native => assemble.input(TREE, InputSource::Source(project.sources())),
        Builder::Command => assemble.input_from(TREE, "build", TREE),
    };
    for (need, place) in &project.mounts {
        let source = InputSource::Target { name: need.clone() };
        assemble = assemble.input(format!("{TREE}/{place}"), source);
    }
    plan = plan.action(assemble);
    Ok(site_steps(plan, &project))
}

fn assemble_parameters(project: &Project<'_>) -> assemble::Parameters {
    assemble::Parameters {
        origins: project.origins(),
        build_output: project.build_output.clone(),
    }
}

/// Everything that is done to an assembled tree.
fn site_steps(mut plan: Plan, project: &Project<'_>) -> Plan {
    let settings = &project.settings;
    let mut last = "assemble";
    if let Some(minify) = settings.minify() {
        let parameters = optimize::Parameters {
            minify,
            origins: project.origins(),
        };
        plan = plan.action(
            Action::new(
                "optimize",
                Phase::Optimize,
                "minify pages, style sheets and scripts",
                Native::new(optimize::FUNCTION).parameters(json!(parameters)),
            )
            .input_from(TREE, last, TREE)
            .output_directory(TREE, TREE),
        );
        last = "optimize";
    }
    if let Some(mode) = settings.check_mode() {
        let parameters = links::Parameters {
            mode,
            ignore: settings.ignore_links.clone(),
            address: project.address.clone(),
            index_files: settings.index_files.clone(),
            clean_urls: settings.clean_urls(),
            origins: project.origins(),
        };
        plan = plan.action(
            Action::new(
                "validate",
                Phase::Validate,
                "check links, anchors and assets",
                Native::new(links::FUNCTION).parameters(json!(parameters)),
            )
            .input_from(TREE, "assemble", TREE),
        );
    }
    let path = match &settings.manifest {
        ManifestSetting::Switch(false) => return plan.export(last, TREE, "").artifact(SITE, ""),
        ManifestSetting::Switch(true) => None,
        // In the form that files of the site have: whether its place is free is seen by that.
        ManifestSetting::Path(path) => {
            Some(ProjectPath::parse(path).map_or_else(|_| path.clone(), String::from))
        }
    };
    plan.action(
        Action::new(
            "manifest",
            Phase::Assemble,
            "write the manifest",
            Native::new(manifest::FUNCTION).parameters(json!(manifest::Parameters { path })),
        )
        .input_from(TREE, last, TREE)
        .output_directory(TREE, TREE),
    )
    .export("manifest", TREE, "")
    .artifact(SITE, "")
}

/// The user's commands.
fn commands(mut plan: Plan, project: &Project<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let settings = &project.settings;
    let Some(command) = &settings.build_command else {
        return Ok(plan);
    };
    let mut problems = Vec::new();
    let mut found = |command: &Command, setting| {
        programs::tools(command, setting, project.context).unwrap_or_else(|mut missing| {
            problems.append(&mut missing);
            Vec::new()
        })
    };
    let build_tools = found(command, "build_command");
    let install = settings.install_command.as_ref();
    let install = install.map(|command| (command, found(command, "install_command")));
    if !problems.is_empty() {
        return Err(problems);
    }
    let sources = InputSource::Source(project.sources());
    // What generators and package managers leave beside is theirs to know, and taken by nobody.
    let mut build = Action::new(
        "build",
        Phase::Build,
        format!("build the site with {}", short(command)),
        exec(command, project).pass(settings.pass_environment.clone()),
    )
    .input(WORK, sources)
    .output_directory(TREE, format!("{WORK}/{}", project.build_output))
    .scratch([format!("{WORK}/**")]);
    build.tools = build_tools;
    for need in &project.target.needs {
        let source = InputSource::Target { name: need.clone() };
        build = build.input(format!("needs/{need}"), source);
    }
    if let Some((command, tools)) = install {
        let action = install_action(command, tools, project);
        for output in &action.outputs {
            build = build.input_from(output.path.clone(), "install", output.name.clone());
        }
        plan = plan.action(action);
    }
    Ok(plan.action(build))
}

fn install_action(command: &Command, tools: Vec<Tool>, project: &Project<'_>) -> Action {
    let environment = INSTALL_ENVIRONMENT.map(str::to_owned).into_iter();
    let environment = environment.chain(project.settings.pass_environment.clone());
    let mut inputs = SourceFiles::below(project.target.source_path.clone());
    inputs.include.clone_from(&project.installation.inputs);
    inputs.exclude = project.sources().exclude;
    let mut action = Action::new(
        "install",
        Phase::Install,
        format!("fetch packages with {}", short(command)),
        exec(command, project).pass(environment),
    )
    .input(WORK, InputSource::Source(inputs))
    .scratch([format!("{WORK}/**")])
    .with_network()
    .retry(Retry::of_network());
    action.tools = tools;
    for output in &project.installation.outputs {
        action = action.output_directory(output.clone(), format!("{WORK}/{output}"));
    }
    action
}

fn exec(command: &Command, project: &Project<'_>) -> Exec {
    let argv = match command {
        Command::Shell(line) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        Command::Arguments(arguments) => {
            let mut argv = arguments.clone();
            if let Some(first) = argv.first_mut() {
                *first = if programs::is_project_file(first) {
                    // A file of the sources, named from where the command starts.
                    let path = ProjectPath::parse(WORK).and_then(|work| work.join(first));
                    path.map_or_else(|_| first.clone(), String::from)
                } else {
                    programs::tool_name(first).to_owned()
                };
            }
            argv
        }
    };
    Exec::new(argv)
        .working_directory(WORK)
        .variables(QUIET)
        .variables(project.target.environment.clone())
}

/// A command in as many characters as a line of progress has room for.
fn short(command: &Command) -> String {
    let whole = command.display();
    let first_line = whole.lines().next().unwrap_or_default();
    if first_line == whole && whole.chars().count() <= SHORT {
        return whole;
    }
    let beginning: String = first_line.chars().take(SHORT).collect();
    format!("{}…", beginning.trim_end())
}
