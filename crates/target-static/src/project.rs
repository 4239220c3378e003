//! A target with everything that its settings and its files say, checked: what a plan is made
//! of. Finds all problems before it gives up.

use std::collections::BTreeMap;

use globset::Glob;
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, FileKind, PlanContext, ProjectPath, SourceFiles, TargetSpec};
use url::Url;

use crate::settings::{Builder, ManifestSetting, Minify, Settings};
use crate::toolchain::{self, Generator, Installation, Package};

/// Files that are beside a site and never part of it, nor read by a build.
const NEVER: [&str; 12] = [
    "**/.git*",
    "**/.env",
    "**/.env.*",
    "**/.DS_Store",
    "**/Thumbs.db",
    "**/.idea",
    "**/.vscode",
    "**/.editorconfig",
    "**/*.swp",
    "**/*~",
    "**/node_modules",
    "synth.toml",
];

/// Files of a tool chain that a site built without one may still carry.
const TOOL_CHAIN_FILES: [&str; 8] = [
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock*",
    ".npmrc",
    "Dockerfile",
];

/// What site generators leave beside their output.
const CACHES: [&str; 9] = [
    ".next",
    ".nuxt",
    ".astro",
    ".svelte-kit",
    ".docusaurus",
    ".parcel-cache",
    ".cache",
    ".turbo",
    ".vite",
];

/// Names of pages.
pub(crate) const PAGES: [&str; 3] = ["**/*.html", "**/*.htm", "**/*.xhtml"];

/// A target, resolved.
pub(crate) struct Project<'a> {
    pub(crate) target: &'a TargetSpec,
    pub(crate) context: &'a dyn PlanContext,
    pub(crate) settings: Settings,
    /// Below the source directory; empty for the native builder.
    pub(crate) build_output: String,
    pub(crate) installation: Installation,
    /// Needed target and its place in the site.
    pub(crate) mounts: Vec<(String, String)>,
    pub(crate) address: Address,
}

/// Where the site is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The site's root, ends in `/`. Its host is not a real one when the user said none.
    pub(crate) root: Url,
    /// Whether the host is the user's.
    pub(crate) has_host: bool,
}

/// The part of a site below `prefix` comes from `source`: how a diagnostic names its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// A directory of the site, empty for all of it.
    pub(crate) prefix: String,
    /// The path that stands for it in messages.
    pub(crate) source: String,
}

/// How messages name a file of the site: by where it comes from.
pub(crate) fn shown_path(origins: &[Origin], path: &str) -> String {
    let below = |prefix: &str| {
        if prefix.is_empty() {
            return Some(path.to_owned());
        }
        let rest = path.strip_prefix(prefix)?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    let candidates = origins
        .iter()
        .filter_map(|origin| Some((origin, below(&origin.prefix)?)));
    let nearest = candidates.max_by_key(|(origin, _)| origin.prefix.len());
    match nearest {
        Some((origin, rest)) if !origin.source.is_empty() => format!("{}/{rest}", origin.source),
        Some((_, rest)) => rest,
        None => path.to_owned(),
    }
}

impl<'a> Project<'a> {
    /// Reads a target.
    ///
    /// # Errors
    /// Every problem that its settings and files have.
    pub(crate) fn read(
        target: &'a TargetSpec,
        context: &'a dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        if let Err(problem) = source_directory(target, context) {
            return Err(vec![problem]);
        }
        settings_problems(&settings, target, &mut problems);
        let package = Package::read(&target.source_path, context).unwrap_or_else(|problem| {
            if settings.builder() == Builder::Command {
                problems.push(problem);
            }
            None
        });
        let generator = toolchain::generator(&target.source_path, package.as_ref(), context);
        let mut collect = Collect { problems };
        let address = collect.take(address(&settings));
        let build_output = collect.take(build_output(&settings, generator.as_ref()));
        let installation = collect.take(installation(&settings, target, package.as_ref(), context));
        let mounts = collect.take(mounts(&settings, target));
        let (Some(address), Some(build_output), Some(installation), Some(mounts)) =
            (address, build_output, installation, mounts)
        else {
            return Err(collect.problems);
        };
        let project = Self {
            target,
            context,
            settings,
            build_output,
            installation,
            mounts,
            address,
        };
        collect
            .problems
            .extend(project.source_problems(generator.as_ref()));
        if collect.problems.iter().any(Diagnostic::is_error) {
            return Err(collect.problems);
        }
        Ok(project)
    }

    /// The files that the site, or its build, is made of.
    pub(crate) fn sources(&self) -> SourceFiles {
        let files = SourceFiles::below(self.target.source_path.clone())
            .include(self.settings.include.clone())
            .exclude(NEVER)
            .exclude(self.settings.exclude.clone());
        match self.settings.builder() {
            Builder::Native => files.exclude(TOOL_CHAIN_FILES),
            Builder::Command => files.exclude(CACHES).exclude([self.build_output.clone()]),
        }
    }

    /// Where the parts of the site come from.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let source = self.target.source_path.as_str();
        let below = [source, &self.build_output];
        let root = below.into_iter().filter(|part| !part.is_empty());
        let root = Origin {
            prefix: String::new(),
            source: root.collect::<Vec<_>>().join("/"),
        };
        let mounts = self.mounts.iter().map(|(need, place)| Origin {
            prefix: place.clone(),
            source: format!("needs/{need}"),
        });
        std::iter::once(root).chain(mounts).collect()
    }

    /// Problems of the files: none that is a page, links that lead elsewhere.
    fn source_problems(&self, generator: Option<&Generator>) -> Vec<Diagnostic> {
        let files = match self.context.files(&self.sources()) {
            Ok(files) => files,
            Err(error) => {
                let message = format!("`{}` can't be listed", self.target.source_path);
                return vec![
                    Diagnostic::error("static.source.unreadable", message).caused_by(&error),
                ];
            }
        };
        let mut problems: Vec<Diagnostic> = files
            .iter()
            .filter_map(|file| self.link_problem(file))
            .collect();
        let pages = crate::tree::patterns(&PAGES.map(str::to_owned));
        let has_pages = pages.is_ok_and(|pages| files.iter().any(|file| pages.is_match(file)));
        if self.settings.builder() == Builder::Native && !has_pages && self.mounts.is_empty() {
            problems.push(self.no_pages(files.len(), generator));
        }
        problems
    }

    fn no_pages(&self, files: usize, generator: Option<&Generator>) -> Diagnostic {
        let source = &self.target.source_path;
        let found = match files {
            0 => "no file".to_owned(),
            files => format!("{files} files, none of them HTML"),
        };
        let diagnostic = Diagnostic::error(
            "static.source.no_pages",
            format!("`{source}` has no page: {found}"),
        )
        .at_setting(["source_path"]);
        match generator {
            Some(generator) => {
                let found_in = &generator.found_in;
                diagnostic.help(format!(
                    "{found_in} says that {} builds this site: set build_command = {:?}{}",
                    generator.name,
                    generator.build_command,
                    generator
                        .install_command
                        .as_ref()
                        .map(|install| format!(" and install_command = {install:?}"))
                        .unwrap_or_default()
                ))
            }
            None => diagnostic.help(
                "put an index.html there, name the directory that holds the pages in \
                 source_path, or set build_command to what makes them",
            ),
        }
    }

    /// A symbolic link may lead to what is in the source directory, and nowhere else: an action
    /// sees nothing else.
    fn link_problem(&self, file: &str) -> Option<Diagnostic> {
        let path = self.target.source_path.join(file).ok()?;
        if self.context.kind(&path) != Ok(Some(FileKind::Symlink)) {
            return None;
        }
        let leads_to = self.context.link(&path).ok().flatten()?;
        let directory = path.parent().unwrap_or_default();
        let inside = directory
            .join(&leads_to)
            .is_ok_and(|to| to.strip_prefix(&self.target.source_path).is_some());
        (!inside).then(|| {
            Diagnostic::error(
                "static.source.link",
                format!(
                    "`{path}` is a symbolic link that leaves `{}`, to `{leads_to}`",
                    self.target.source_path
                ),
            )
            .in_file(path.as_str())
            .help("put a copy there, or exclude it")
        })
    }
}

/// Problems gathered on the way.
struct Collect {
    problems: Vec<Diagnostic>,
}

impl Collect {
    fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }
}

fn source_directory(target: &TargetSpec, context: &dyn PlanContext) -> Result<(), Diagnostic> {
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
fn settings_problems(settings: &Settings, target: &TargetSpec, problems: &mut Vec<Diagnostic>) {
    let mut report = |path: Vec<String>, message: &str, help: &str| {
        let diagnostic = Diagnostic::error("static.settings", message).at_setting(path);
        problems.push(diagnostic.help(help));
    };
    let at = |key: &str| vec![key.to_owned()];
    let has_command = settings.build_command.is_some();
    if settings.builder == Some(Builder::Native) && has_command {
        report(
            at("build_command"),
            "the native builder runs no command",
            "remove build_command, or set builder = \"command\"",
        );
    }
    if settings.builder() == Builder::Command && !has_command {
        report(
            at("builder"),
            "the builder `command` has no build_command",
            "set build_command to what builds the site: \"npm run build\"",
        );
    }
    let commands = [
        ("build_command", &settings.build_command),
        ("install_command", &settings.install_command),
    ];
    for (key, command) in commands {
        if command.as_ref().is_some_and(|command| command.is_empty()) {
            report(
                at(key),
                &format!("{key} is empty"),
                "name a program, or remove it",
            );
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
            report(
                at(key),
                &format!("{key} belongs to a build_command, and there is none"),
                "set build_command, or remove it",
            );
        }
    }
    if !target.dependencies.is_empty() {
        report(
            at("dependencies"),
            "a static site takes no packages from synth.toml",
            "list them in package.json and set install_command; targets go in `needs`",
        );
    }
    if let ManifestSetting::Path(path) = &settings.manifest
        && ProjectPath::parse(path).map_or(true, |path| path.is_root())
    {
        report(
            at("manifest"),
            &format!("`{path}` is no path of a file in the site"),
            "name it relative to the site's root: \"manifest.json\"",
        );
    }
    pattern_problems(settings, problems);
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
fn address(settings: &Settings) -> Result<Address, Diagnostic> {
    let wrong = |key: &str, value: &str, help: &str| {
        Diagnostic::error("static.settings", format!("`{value}` is no valid {key}"))
            .at_setting([key])
            .help(help)
    };
    let with_slash = |path: &str| format!("/{}/", path.trim_matches('/')).replace("//", "/");
    // RFC 2606, section 2: a name that never resolves.
    let nobody = "http://site.invalid/";
    let said = settings.site_url.as_deref();
    let mut root = Url::parse(said.unwrap_or(nobody))
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none())
        .ok_or_else(|| {
            let help = "give scheme, host and path: \"https://shop.example/docs/\"";
            wrong("site_url", said.unwrap_or(nobody), help)
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

fn build_output(settings: &Settings, generator: Option<&Generator>) -> Result<String, Diagnostic> {
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

fn installation(
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

fn mounts(settings: &Settings, target: &TargetSpec) -> Result<Vec<(String, String)>, Diagnostic> {
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
