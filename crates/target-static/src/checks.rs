//! What a target's settings mean, and every problem they have that needs no build to be seen.

use std::collections::BTreeMap;

use globset::Glob;
use synth_core::{Diagnostic, FileKind, PlanContext, ProjectPath, Severity, TargetSpec};
use url::Url;

use crate::command::Command;
use crate::project::Address;
use crate::settings::{Builder, ManifestSetting, Minify, Settings};
use crate::toolchain::{self, Generator, Installation, Package};

/// RFC 2606, section 2: a name that never resolves, for a site whose host is not said.
const NOBODY: &str = "http://site.invalid/";

pub(crate) fn source_directory(
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Result<(), Diagnostic> {
    let source = &target.source_path;
    let problem = match context.kind(source) {
        _ if source.is_root() => return Ok(()),
        Ok(Some(FileKind::Directory)) => return Ok(()),
        Ok(None) => Diagnostic::error(
            "static.source.missing",
            format!("the source directory `{source}` does not exist"),
        ),
        Ok(Some(FileKind::Symlink)) => Diagnostic::error(
            "static.source.link",
            format!("the source directory `{source}` is a symbolic link"),
        )
        .help("name the directory that it leads to"),
        Ok(Some(_)) => Diagnostic::error(
            "static.source.not_a_directory",
            format!("`{source}` is not a directory"),
        )
        .help("source_path is the directory that holds the pages"),
        Err(error) => Diagnostic::error(
            "static.source.unreadable",
            format!("`{source}` can't be looked at"),
        )
        .caused_by(&error),
    };
    Err(problem.at_setting(["source_path"]))
}

/// Settings that don't go together, or patterns that are none.
pub(crate) fn settings_problems(settings: &Settings, target: &TargetSpec) -> Vec<Diagnostic> {
    let mut problems = command_problems(settings);
    if let ManifestSetting::Path(path) = &settings.manifest
        && ProjectPath::parse(path).map_or(true, |path| path.is_root())
    {
        problems.push(setting(
            "manifest",
            &format!("`{path}` is no path of a file in the site"),
            "name it relative to the site's root: \"manifest.json\"",
        ));
    }
    if !target.dependencies.is_empty() {
        let mut problem = setting(
            "dependencies",
            "a static site takes no packages from synth.toml: they are not used",
            "list them in package.json and set install_command; targets go in `needs`",
        );
        // No reason to stop: configurations are carried over from tools that wrote them down.
        problem.severity = Severity::Warning;
        problems.push(problem);
    }
    pattern_problems(settings, &mut problems);
    problems
}

fn setting(key: &str, message: &str, help: &str) -> Diagnostic {
    Diagnostic::error("static.settings", message)
        .at_setting([key])
        .help(help)
}

fn command_problems(settings: &Settings) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let has_command = settings.build_command.is_some();
    if settings.builder == Some(Builder::Native) && has_command {
        problems.push(setting(
            "build_command",
            "the native builder runs no command",
            "remove build_command, or set builder = \"command\"",
        ));
    }
    if settings.builder() == Builder::Command && !has_command {
        problems.push(setting(
            "builder",
            "the builder `command` has no build_command",
            "set build_command to what builds the site: \"npm run build\"",
        ));
    }
    let commands = [
        ("build_command", &settings.build_command),
        ("install_command", &settings.install_command),
    ];
    for (key, command) in commands {
        if command.as_ref().is_some_and(Command::is_empty) {
            let message = format!("{key} is empty");
            problems.push(setting(key, &message, "name a program, or remove it"));
        }
    }
    let unused_without_command = [
        ("install_command", settings.install_command.is_some()),
        ("install_inputs", settings.install_inputs.is_some()),
        ("install_outputs", settings.install_outputs.is_some()),
        ("build_output", settings.build_output.is_some()),
    ];
    for (key, is_set) in unused_without_command {
        if is_set && !has_command {
            let message = format!("{key} belongs to a build_command, and there is none");
            problems.push(setting(key, &message, "set build_command, or remove it"));
        }
    }
    problems
}

fn pattern_problems(settings: &Settings, problems: &mut Vec<Diagnostic>) {
    let none = Vec::new();
    let minify_exclude = match &settings.minify {
        Some(Minify::Some(table)) => &table.exclude,
        _ => &none,
    };
    let lists = [
        (vec!["include"], &settings.include),
        (vec!["exclude"], &settings.exclude),
        (vec!["ignore_links"], &settings.ignore_links),
        (
            vec!["install_inputs"],
            settings.install_inputs.as_ref().unwrap_or(&none),
        ),
        (vec!["minify", "exclude"], minify_exclude),
    ];
    for (key, patterns) in lists {
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(error) = Glob::new(pattern) {
                let mut path: Vec<String> = key.iter().copied().map(Into::into).collect();
                path.push(index.to_string());
                let message = format!("`{pattern}` is not a valid pattern: {}", error.kind());
                problems
                    .push(Diagnostic::error("static.settings.pattern", message).at_setting(path));
            }
        }
    }
}

/// The root address: `site_url`, or a host that is nobody's, with the base path.
pub(crate) fn address(settings: &Settings) -> Result<Address, Diagnostic> {
    let wrong = |key: &str, value: &str, help: &str| {
        Diagnostic::error("static.settings", format!("`{value}` is no valid {key}"))
            .at_setting([key])
            .help(help)
    };
    let with_slash = |path: &str| format!("/{}/", path.trim_matches('/')).replace("//", "/");
    let said = settings.site_url.as_deref();
    let mut root = Url::parse(said.unwrap_or(NOBODY))
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none())
        .ok_or_else(|| {
            let help = "give scheme, host and path: \"https://shop.example/docs/\"";
            wrong("site_url", said.unwrap_or(NOBODY), help)
        })?;
    let path = with_slash(root.path());
    if let Some(base) = settings.base_path.as_deref() {
        if base.contains("://") || base.contains(['?', '#']) {
            return Err(wrong("base_path", base, "give the path alone: \"/docs/\""));
        }
        let base = with_slash(base);
        if said.is_some() && path != "/" && path != base {
            let message = format!("base_path is `{base}`, but site_url ends in `{path}`");
            return Err(Diagnostic::error("static.settings", message)
                .at_setting(["base_path"])
                .help("say the path once: remove base_path"));
        }
        root.set_path(&base);
    } else {
        root.set_path(&path);
    }
    root.set_query(None);
    Ok(Address {
        root,
        has_host: said.is_some(),
    })
}

pub(crate) fn build_output(
    settings: &Settings,
    generator: Option<&Generator>,
) -> Result<String, Diagnostic> {
    if settings.builder() == Builder::Native {
        return Ok(String::new());
    }
    let guessed = generator.map(|generator| generator.build_output.as_str());
    let Some(output) = settings.build_output.as_deref().or(guessed) else {
        return Err(Diagnostic::error(
            "static.build_output.unknown",
            "it is not known which directory build_command writes the site to",
        )
        .at_setting(["build_command"])
        .help("set build_output to it, relative to source_path: build_output = \"dist\""));
    };
    let path = ProjectPath::parse(output)
        .ok()
        .filter(|path| !path.is_root());
    path.map(String::from).ok_or_else(|| {
        Diagnostic::error(
            "static.build_output.outside",
            format!("build_output `{output}` is not a directory below source_path"),
        )
        .at_setting(["build_output"])
        .help("have the command write to a directory of its own below source_path, and name that")
    })
}

pub(crate) fn installation(
    settings: &Settings,
    target: &TargetSpec,
    package: Option<&Package>,
    context: &dyn PlanContext,
) -> Result<Installation, Diagnostic> {
    let known =
        package.map(|package| toolchain::node_installation(&target.source_path, package, context));
    let (inputs, outputs) = known.map_or((None, None), |known| {
        (Some(known.inputs), Some(known.outputs))
    });
    let inputs = settings.install_inputs.clone().or(inputs);
    let outputs = settings.install_outputs.clone().or(outputs);
    if settings.install_command.is_some() && outputs.as_ref().is_none_or(Vec::is_empty) {
        return Err(Diagnostic::error(
            "static.install_outputs.unknown",
            "it is not known which directories install_command leaves for build_command",
        )
        .at_setting(["install_command"])
        .help(
            "name them: install_outputs = [\"vendor\"]; what it installs must work from another \
             absolute path, so for Python `pip install --target vendor ..` and PYTHONPATH, not a \
             virtual environment",
        ));
    }
    let mut directories = Vec::new();
    for output in outputs.unwrap_or_default() {
        let path = ProjectPath::parse(&output)
            .ok()
            .filter(|path| !path.is_root());
        directories.push(String::from(path.ok_or_else(|| {
            Diagnostic::error(
                "static.install_outputs.outside",
                format!("`{output}` is not a directory below source_path"),
            )
            .at_setting(["install_outputs"])
            .help("name a directory relative to source_path")
        })?));
    }
    Ok(Installation {
        inputs: inputs.unwrap_or_default(),
        outputs: directories,
    })
}

pub(crate) fn mounts(
    settings: &Settings,
    target: &TargetSpec,
) -> Result<Vec<(String, String)>, Diagnostic> {
    let mount = |(need, place): (&String, &String)| {
        if !target.needs.contains(need) {
            let message = format!("`{need}` is mounted, but not needed");
            return Err(Diagnostic::error("static.mounts.not_needed", message)
                .at_setting(["mounts", need])
                .help(format!("add it: needs = [\"{need}\"]")));
        }
        let path = ProjectPath::parse(place.trim_start_matches('/'));
        let path = path.ok().filter(|path| !path.is_root());
        path.map(|path| (need.clone(), String::from(path)))
            .ok_or_else(|| {
                let message = format!("`{place}` is not a directory in the site");
                Diagnostic::error("static.mounts.outside", message)
                    .at_setting(["mounts", need])
                    .help("name a directory relative to the site's root: \"downloads\"")
            })
    };
    let by_name: &BTreeMap<String, String> = &settings.mounts;
    by_name.iter().map(mount).collect()
}
