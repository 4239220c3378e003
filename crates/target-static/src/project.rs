//! A target with everything that its settings and its files say, checked: what a plan is made
//! of. Finds all problems before it gives up.

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, FileKind, PlanContext, SourceFiles, TargetSpec};
use url::Url;

use crate::checks;
use crate::settings::{Builder, Settings};
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
    /// What is no reason to stop.
    pub(crate) warnings: Vec<Diagnostic>,
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
        if let Err(problem) = checks::source_directory(target, context) {
            return Err(vec![problem]);
        }
        let mut problems = checks::settings_problems(&settings, target);
        let package = Package::read(&target.source_path, context).unwrap_or_else(|problem| {
            if settings.builder() == Builder::Command {
                problems.push(problem);
            }
            None
        });
        let generator = toolchain::generator(&target.source_path, package.as_ref(), context);
        let mut collect = Collect { problems };
        let address = collect.take(checks::address(&settings));
        let build_output = collect.take(checks::build_output(&settings, generator.as_ref()));
        let installation = collect.take(checks::installation(
            &settings,
            target,
            package.as_ref(),
            context,
        ));
        let mounts = collect.take(checks::mounts(&settings, target));
        let (Some(address), Some(build_output), Some(installation), Some(mounts)) =
            (address, build_output, installation, mounts)
        else {
            return Err(collect.problems);
        };
        let mut project = Self {
            target,
            context,
            settings,
            build_output,
            installation,
            mounts,
            address,
            warnings: Vec::new(),
        };
        collect
            .problems
            .extend(project.source_problems(generator.as_ref()));
        if collect.problems.iter().any(Diagnostic::is_error) {
            return Err(collect.problems);
        }
        project.warnings = collect.problems;
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
        if let Some(generator) = generator
            && self.settings.builder.is_none()
            && self.settings.builder() == Builder::Native
            && has_pages
        {
            problems.push(self.not_built(generator));
        }
        problems
    }

    /// Pages beside a generator's configuration are most often its templates.
    fn not_built(&self, generator: &Generator) -> Diagnostic {
        let Generator { name, found_in, .. } = generator;
        let message = format!(
            "`{}` is published as it is, though {found_in} says that {name} builds it",
            self.target.source_path
        );
        Diagnostic::warning("static.source.not_built", message)
            .at_setting(["source_path"])
            .help(to_build_with(generator))
            .help("set builder = \"native\" if it is meant so")
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
                let Generator { name, found_in, .. } = generator;
                diagnostic
                    .help(format!("{found_in} says that {name} builds this site"))
                    .help(to_build_with(generator))
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

fn to_build_with(generator: &Generator) -> String {
    let build = format!("set build_command = {:?}", generator.build_command);
    match &generator.install_command {
        Some(install) => format!("{build} and install_command = {install:?}"),
        None => build,
    }
}
