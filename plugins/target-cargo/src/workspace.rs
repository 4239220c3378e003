//! The manifests that a build reads: the one asked for, its workspace's, the members', and those of
//! dependencies that are directories. All of them have to be below the source directory.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::{Diagnostic, PlanContext, ProjectPath, SourceFiles, TargetSpec};

use crate::document::{Document, NoDocument};
use crate::manifest::{Manifest, PathDependency};

/// The manifests of a build.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// Where the workspace's own manifest is; the package's directory without one.
    pub(crate) root: ProjectPath,
    /// The directory of the manifest that was asked for.
    pub(crate) entry: ProjectPath,
    /// All manifests, by directory.
    pub(crate) manifests: BTreeMap<ProjectPath, Manifest>,
    /// The directories of the packages that Cargo can be asked to build.
    members: BTreeSet<ProjectPath>,
}

impl Workspace {
    /// Reads everything from a manifest on.
    ///
    /// # Errors
    /// Manifests that are missing, malformed or outside of the source directory.
    pub(crate) fn read(
        path: &ProjectPath,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let one = |problem| vec![problem];
        let document = Document::read(path, context).map_err(|none| match none {
            NoDocument::Missing => vec![missing(path)],
            NoDocument::Problem(problem) => vec![problem],
        })?;
        let entry = Manifest::new(document, context).map_err(one)?;
        let root = match find_root(&entry, target, context).map_err(one)? {
            Root::Own => None,
            Root::Other(root) => Some(root),
            Root::Outside(path) => return Err(vec![outside_root(&entry, &path, target)]),
        };
        let mut reading = Reading {
            target,
            context,
            manifests: BTreeMap::new(),
            problems: Vec::new(),
        };
        let entry_directory = entry.directory.clone();
        let root_directory = root
            .as_ref()
            .map_or_else(|| entry_directory.clone(), |root| root.directory.clone());
        let mut members = BTreeSet::from([root_directory.clone(), entry_directory.clone()]);
        let top = root.as_ref().unwrap_or(&entry).clone();
        members.extend(listed_members(&top, context).map_err(one)?);
        reading.add(entry);
        if let Some(root) = root {
            reading.add(root);
        }
        for directory in &members {
            reading.follow(directory, Some((&top, &["workspace", "members"])));
        }
        if !reading.problems.is_empty() {
            return Err(reading.problems);
        }
        let mut workspace = Self {
            root: root_directory,
            entry: entry_directory,
            manifests: reading.manifests,
            members,
        };
        workspace.add_members_by_dependency();
        Ok(workspace)
    }

    /// The manifest that holds profiles, and that `Cargo.lock` lies beside.
    pub(crate) fn root_manifest(&self) -> Option<&Manifest> {
        self.manifests.get(&self.root)
    }

    /// The packages that can be built.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Manifest> {
        self.members
            .iter()
            .filter_map(|directory| self.manifests.get(directory))
            .filter(|manifest| manifest.name().is_some())
    }

    /// The packages that are built if none are named.
    pub(crate) fn default_packages(&self) -> Vec<&Manifest> {
        let root = self.root_manifest();
        let default = root.map_or_else(Vec::new, |root| {
            root.document.texts_at(&["workspace", "default-members"])
        });
        if self.entry == self.root && !default.is_empty() {
            let chosen: Vec<ProjectPath> = default
                .iter()
                .filter_map(|path| self.root.join(path).ok())
                .collect();
            let matches = |package: &Manifest| chosen.contains(&package.directory);
            return self.packages().filter(|package| matches(package)).collect();
        }
        match self.manifests.get(&self.entry) {
            Some(entry) if entry.name().is_some() => vec![entry],
            _ => self.packages().collect(),
        }
    }

    /// Whether a package is one of the workspace's own.
    pub(crate) fn is_member(&self, manifest: &Manifest) -> bool {
        self.members.contains(&manifest.directory)
    }

    /// Whether a package lies outside of the workspace's directory: Cargo names what it makes of
    /// it by its absolute path.
    pub(crate) fn has_packages_outside_root(&self) -> bool {
        self.manifests
            .keys()
            .any(|directory| directory.strip_prefix(&self.root).is_none())
    }

    /// A directory below the root that a member depends on is a member.
    fn add_members_by_dependency(&mut self) {
        let Some(root) = self.root_manifest().filter(|root| root.is_workspace()) else {
            return;
        };
        let excluded = excluded(root);
        let more: Vec<ProjectPath> = self
            .manifests
            .keys()
            .filter(|directory| directory.strip_prefix(&self.root).is_some())
            .filter(|directory| !is_below(directory, &excluded))
            .cloned()
            .collect();
        self.members.extend(more);
    }
}

fn missing(path: &ProjectPath) -> Diagnostic {
    Diagnostic::error("cargo.manifest.missing", format!("there is no `{path}`"))
        .at_setting(["manifest"])
        .help("set `source_path` to the directory of the package, or `manifest` to the path of its Cargo.toml below it")
}

/// The workspace that a package belongs to, if that is described elsewhere.
enum Root {
    /// By the package itself, or there is none.
    Own,
    /// By another manifest.
    Other(Manifest),
    /// By one outside of the source directory, which has this path.
    Outside(String),
}

fn find_root(
    package: &Manifest,
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Result<Root, Diagnostic> {
    if package.is_workspace() {
        return Ok(Root::Own);
    }
    let is_outside =
        |directory: &ProjectPath| directory.strip_prefix(&target.source_path).is_none();
    if let Some(path) = package.document.text_at(&["package", "workspace"]) {
        let directory = match package.directory.join(path) {
            Ok(directory) if !is_outside(&directory) => directory,
            _ => return Ok(Root::Outside(path.to_owned())),
        };
        let root = read_manifest(&directory, context)?;
        let root = root.filter(|root| root.directory != package.directory);
        return Ok(root.map_or(Root::Own, Root::Other));
    }
    let mut next = package.directory.parent();
    while let Some(directory) = next {
        next = directory.parent();
        let Some(root) = read_manifest(&directory, context)? else {
            continue;
        };
        if !root.is_workspace() {
            continue;
        }
        if is_below(&package.directory, &excluded(&root)) {
            return Ok(Root::Own);
        }
        return Ok(if is_outside(&directory) {
            Root::Outside(root.document.path.to_string())
        } else {
            Root::Other(root)
        });
    }
    Ok(Root::Own)
}

fn read_manifest(
    directory: &ProjectPath,
    context: &dyn PlanContext,
) -> Result<Option<Manifest>, Diagnostic> {
    let Ok(path) = directory.join("Cargo.toml") else {
        return Ok(None);
    };
    Document::read_if_there(&path, context)?
        .map(|document| Manifest::new(document, context))
        .transpose()
}

fn outside_root(entry: &Manifest, workspace: &str, target: &TargetSpec) -> Diagnostic {
    let message = format!(
        "`{}` belongs to the workspace `{workspace}`, which is outside of the source directory `{}`",
        entry.document.path, target.source_path
    );
    Diagnostic::error("cargo.workspace.outside", message)
        .at_setting(["source_path"])
        .help(format!(
            "set `source_path` to the directory of the workspace, and `manifest` to the path of `{}` from there",
            entry.document.path
        ))
        .help("or have it belong to no workspace: add an empty `[workspace]` to its Cargo.toml")
}

/// The directories that a workspace says not to belong to it.
fn excluded(root: &Manifest) -> Vec<ProjectPath> {
    let excluded = root.document.texts_at(&["workspace", "exclude"]);
    let paths = excluded
        .iter()
        .filter_map(|path| root.directory.join(path).ok());
    paths.collect()
}

fn is_below(directory: &ProjectPath, directories: &[ProjectPath]) -> bool {
    directories
        .iter()
        .any(|above| directory.strip_prefix(above).is_some())
}

/// The members that a workspace lists, by name or by pattern.
fn listed_members(
    root: &Manifest,
    context: &dyn PlanContext,
) -> Result<Vec<ProjectPath>, Diagnostic> {
    let keys = ["workspace", "members"];
    let listed = root.document.texts_at(&keys);
    let excluded = excluded(root);
    let mut members = Vec::new();
    for member in listed {
        if member.contains(['*', '?', '[']) {
            let normal = ProjectPath::parse(member).map(String::from);
            let pattern = format!("{}/Cargo.toml", normal.as_deref().unwrap_or(member));
            let chosen = SourceFiles::below(root.directory.clone()).include([pattern]);
            let manifests = context.files(&chosen).map_err(|error| {
                let message = format!("the members `{member}` can't be found: {error}");
                let problem = Diagnostic::error("cargo.workspace.members", message);
                root.document.place(problem, &keys)
            })?;
            let directories = manifests
                .iter()
                .filter_map(|path| root.directory.join(path).ok()?.parent());
            members.extend(directories.filter(|member| !is_below(member, &excluded)));
        } else if let Ok(directory) = root.directory.join(member) {
            members.push(directory);
        }
    }
    Ok(members)
}

/// Follows dependencies that are directories.
struct Reading<'a> {
    target: &'a TargetSpec,
    context: &'a dyn PlanContext,
    manifests: BTreeMap<ProjectPath, Manifest>,
    problems: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn add(&mut self, manifest: Manifest) {
        let mut todo = vec![manifest];
        while let Some(manifest) = todo.pop() {
            let directory = manifest.directory.clone();
            if self.manifests.contains_key(&directory) {
                continue;
            }
            self.manifests.insert(directory, manifest.clone());
            self.depend(&manifest, manifest.path_dependencies(), &mut todo);
            if let Some(root) = self.root(&manifest) {
                let inherited = manifest.inherited_dependencies();
                let inherited = root.workspace_path_dependencies(&inherited);
                self.depend(&root, inherited, &mut todo);
                todo.push(root);
            }
        }
    }

    /// What describes the things that a manifest leaves to its workspace.
    fn root(&mut self, manifest: &Manifest) -> Option<Manifest> {
        if !manifest.inherits() {
            return None;
        }
        match find_root(manifest, self.target, self.context) {
            Ok(Root::Own) => return Some(manifest.clone()),
            Ok(Root::Other(root)) => return Some(root),
            Ok(Root::Outside(path)) => {
                self.problems
                    .push(outside_root(manifest, &path, self.target));
            }
            Err(problem) => self.problems.push(problem),
        }
        None
    }

    fn depend(
        &mut self,
        manifest: &Manifest,
        dependencies: Vec<PathDependency>,
        todo: &mut Vec<Manifest>,
    ) {
        for dependency in dependencies {
            let keys: Vec<&str> = dependency.keys.iter().map(String::as_str).collect();
            match self.directory(manifest, &dependency.path) {
                Ok(directory) => todo.extend(self.read(&directory, Some((manifest, &keys)))),
                Err(problem) => self.problems.push(manifest.document.place(problem, &keys)),
            }
        }
    }

    fn follow(&mut self, directory: &ProjectPath, place: Option<(&Manifest, &[&str])>) {
        if let Some(manifest) = self.read(directory, place) {
            self.add(manifest);
        }
    }

    /// The manifest in a directory that has not been read yet.
    fn read(
        &mut self,
        directory: &ProjectPath,
        place: Option<(&Manifest, &[&str])>,
    ) -> Option<Manifest> {
        if self.manifests.contains_key(directory) {
            return None;
        }
        match read_manifest(directory, self.context) {
            Ok(Some(manifest)) => return Some(manifest),
            Ok(None) => {
                let message = format!("there is no `Cargo.toml` in `{directory}`");
                let problem = Diagnostic::error("cargo.manifest.missing", message)
                    .help("Cargo looks for a package there: correct the path");
                self.problems.push(match place {
                    Some((manifest, keys)) => manifest.document.place(problem, keys),
                    None => problem.in_file(directory.to_string()),
                });
            }
            Err(problem) => self.problems.push(problem),
        }
        None
    }

    /// Where a path dependency leads.
    fn directory(&self, from: &Manifest, path: &str) -> Result<ProjectPath, Diagnostic> {
        let source_path = &self.target.source_path;
        let message = format!(
            "the path dependency `{path}` of `{}` leads out of the source directory `{source_path}`",
            from.document.path
        );
        let outside = Diagnostic::error("cargo.path.outside", message);
        match from.directory.join(path) {
            Ok(directory) if directory.strip_prefix(source_path).is_some() => Ok(directory),
            Ok(directory) => {
                let common = common(source_path, &directory);
                let manifest = from.document.path.strip_prefix(&common).unwrap_or_default();
                let help = format!(
                    "set `source_path = \"{common}\"`, which holds both, and `manifest = \"{manifest}\"`"
                );
                Err(outside.help(help))
            }
            Err(_) => Err(outside
                .help("only what is in the project can be built: bring it in, or depend on a version or a repository")),
        }
    }
}

/// The lowest directory that holds both.
fn common(one: &ProjectPath, other: &ProjectPath) -> ProjectPath {
    let mut common = one.clone();
    while other.strip_prefix(&common).is_none() {
        common = common.parent().unwrap_or_default();
    }
    common
}
