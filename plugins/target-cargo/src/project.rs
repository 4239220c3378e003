//! A target as its settings and its manifests describe it, with every problem that can be seen
//! without building it.

use std::collections::BTreeSet;

use synth_core::{Diagnostic, PlanContext, ProjectPath, SourceFiles, TargetSpec};

use crate::configuration::Configuration;
use crate::document::{Document, NoDocument};
use crate::lock::{self, Source};
use crate::manifest::{Manifest, literal};
use crate::settings::Settings;
use crate::workspace::Workspace;

/// The profiles that Cargo has by itself.
const PROFILES: [&str; 4] = ["dev", "release", "test", "bench"];

/// A target that can be planned.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) settings: Settings,
    pub(crate) manifest: ProjectPath,
    pub(crate) workspace: Workspace,
    pub(crate) configuration: Configuration,
    pub(crate) lock: ProjectPath,
    /// Where its packages come from.
    pub(crate) sources: BTreeSet<Source>,
    /// The packages that are built.
    pub(crate) packages: Vec<String>,
    /// The programs that are exported.
    pub(crate) binaries: Vec<String>,
    /// The libraries that are exported.
    pub(crate) libraries: Vec<String>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Project {
    /// Reads a target.
    ///
    /// # Errors
    /// All problems that could be seen.
    pub(crate) fn read(
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
        let mut problems = settings_problems(target, &settings);
        let manifest = manifest_path(target, &settings).map_err(|problem| vec![problem])?;
        let workspace = match Workspace::read(&manifest, target, context) {
            Ok(workspace) => workspace,
            Err(found) => {
                problems.extend(found);
                return Err(problems);
            }
        };
        let configuration = Configuration::read(&workspace.entry, &target.source_path, context)
            .unwrap_or_else(|found| {
                problems.extend(found);
                Configuration::default()
            });
        let (lock, sources) = match locked(&workspace, context) {
            Ok(locked) => locked,
            Err(problem) => {
                problems.push(problem);
                Default::default()
            }
        };
        problems.extend(unknown_profile(&settings, &workspace, &configuration));
        let chosen = Chosen::of(&settings, &workspace).unwrap_or_else(|found| {
            problems.extend(found);
            Chosen::default()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            settings,
            manifest,
            warnings: warnings(&configuration),
            workspace,
            configuration,
            lock,
            sources,
            packages: chosen.packages,
            binaries: chosen.binaries,
            libraries: chosen.libraries,
        })
    }

    /// Whether packages have to be brought in before the build.
    pub(crate) fn needs_install(&self) -> bool {
        !self.sources.is_empty() && !self.configuration.is_vendored()
    }

    /// Everything below the source directory but what Cargo has built there.
    pub(crate) fn source_files(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> SourceFiles {
        let mut built: BTreeSet<String> = self
            .workspace
            .manifests
            .keys()
            .filter_map(|directory| directory.join("target").ok())
            .filter_map(|built| built.strip_prefix(&target.source_path).map(literal))
            .collect();
        let mut files = SourceFiles::below(target.source_path.clone());
        files.exclude = built.iter().cloned().collect();
        // Packages that are no part of this build may lie here as well.
        let marks = files.clone().include(["**/target/CACHEDIR.TAG"]);
        let marked = context.files(&marks).unwrap_or_default();
        built.extend(
            marked
                .iter()
                .filter_map(|mark| mark.strip_suffix("/CACHEDIR.TAG"))
                .map(literal),
        );
        files.exclude = built.into_iter().collect();
        files
    }
}

fn settings_problems(target: &TargetSpec, settings: &Settings) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(first) = target.dependencies.first() {
        let message = format!("`dependencies` names `{first}`, but Cargo reads Cargo.toml alone");
        problems.push(
            Diagnostic::error("cargo.dependencies", message)
                .at_setting(["dependencies"])
                .help(format!("`cargo add {first}` writes it there")),
        );
    }
    if settings.all_features && !settings.features.is_empty() {
        problems.push(
            Diagnostic::error(
                "cargo.features",
                "`all_features` and `features` exclude each other",
            )
            .at_setting(["features"])
            .help("remove one of them"),
        );
    }
    // What begins with `-` would be read as an option, and what is empty as nothing at all.
    let words = |key: &'static str, words: &[String]| {
        let words = words.iter().enumerate();
        let wrong = words.filter(|(_, word)| !is_word(word));
        wrong
            .map(|(index, word)| not_a_word(word).at_setting([key.to_owned(), index.to_string()]))
            .collect::<Vec<_>>()
    };
    problems.extend(words("features", &settings.features));
    let single = [
        ("profile", Some(&settings.profile)),
        ("target", settings.target.as_ref()),
        ("toolchain", settings.toolchain.as_ref()),
    ];
    for (key, word) in single {
        if let Some(word) = word.filter(|word| !is_word(word)) {
            problems.push(not_a_word(word).at_setting([key]));
        }
    }
    if !settings.tests && !settings.test_arguments.is_empty() {
        problems.push(
            Diagnostic::error(
                "cargo.tests.off",
                "`test_arguments` are given, but no tests run",
            )
            .at_setting(["test_arguments"])
            .help("add `tests = true`"),
        );
    }
    problems
}

fn is_word(word: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    !word.is_empty() && !word.starts_with('-') && !word.contains(is_odd)
}

fn not_a_word(word: &str) -> Diagnostic {
    Diagnostic::error("cargo.setting.word", format!("{word:?} is no name"))
        .help("give one name, without spaces, commas and a leading `-`")
}

fn manifest_path(target: &TargetSpec, settings: &Settings) -> Result<ProjectPath, Diagnostic> {
    let text = &settings.manifest;
    let wrong = |what: String| {
        Diagnostic::error("cargo.manifest.path", what)
            .at_setting(["manifest"])
            .help("give the path of a Cargo.toml, relative to `source_path` and below it")
    };
    let path = target.source_path.join(text);
    let path = path.map_err(|error| wrong(error.to_string()))?;
    if path.strip_prefix(&target.source_path).is_none() {
        let source_path = &target.source_path;
        return Err(wrong(format!("`{text}` is not below `{source_path}`")));
    }
    if path.file_name() != Some("Cargo.toml") {
        return Err(wrong(format!("`{text}` is no Cargo.toml")));
    }
    Ok(path)
}

fn locked(
    workspace: &Workspace,
    context: &dyn PlanContext,
) -> Result<(ProjectPath, BTreeSet<Source>), Diagnostic> {
    let root = &workspace.root;
    let path = root.join("Cargo.lock").unwrap_or_default();
    let manifest = root.join("Cargo.toml").unwrap_or_default();
    let lock = Document::read(&path, context).map_err(|none| match none {
        NoDocument::Missing => {
            Diagnostic::error("cargo.lock.missing", format!("there is no `{path}`"))
                .in_file(manifest.to_string())
                .help(format!(
                    "`cargo generate-lockfile --manifest-path {manifest}` writes it; it belongs into the repository, so that every build takes the same versions"
                ))
        }
        NoDocument::Problem(problem) => problem,
    })?;
    let sources = lock::sources(&lock)?;
    match stale(workspace, &lock) {
        Some(problem) => Err(problem),
        None => Ok((path, sources)),
    }
}

/// A dependency that the lock file does not know. Cargo would look for it in the registry, which
/// it is not allowed to ask, and tell of that.
fn stale(workspace: &Workspace, lock: &Document) -> Option<Diagnostic> {
    let known = lock::packages(lock);
    let manifests = workspace.manifests.values();
    manifests
        .flat_map(|manifest| {
            let dependencies = manifest.package_dependencies(workspace.is_member(manifest));
            dependencies
                .into_iter()
                .map(move |dependency| (manifest, dependency))
        })
        .find(|(_, dependency)| !known.contains(dependency.package.as_str()))
        .map(|(manifest, dependency)| {
            let package = &dependency.package;
            let keys: Vec<&str> = dependency.keys.iter().map(String::as_str).collect();
            let message = format!(
                "`{}` depends on `{package}`, which `{}` does not know",
                manifest.document.path, lock.path
            );
            let problem = Diagnostic::error("cargo.lock.stale", message)
                .help("`cargo update --workspace` brings Cargo.lock up to date; commit it");
            manifest.document.place(problem, &keys)
        })
}

fn unknown_profile(
    settings: &Settings,
    workspace: &Workspace,
    configuration: &Configuration,
) -> Option<Diagnostic> {
    let mut known: Vec<String> = PROFILES.map(ToOwned::to_owned).to_vec();
    known.extend(
        workspace
            .root_manifest()
            .map_or_else(Vec::new, Manifest::profiles),
    );
    known.extend(configuration.profiles());
    let profile = &settings.profile;
    if known.contains(profile) {
        return None;
    }
    known.sort();
    known.dedup();
    let problem = Diagnostic::error("cargo.profile", format!("there is no profile `{profile}`"))
        .at_setting(["profile"]);
    Some(match profile.as_str() {
        "debug" => problem.help("Cargo calls it `dev`"),
        _ => problem.help(format!("there are `{}`", known.join("`, `"))),
    })
}

fn warnings(configuration: &Configuration) -> Vec<Diagnostic> {
    let unseen = configuration.unseen.iter();
    unseen
        .map(|path| {
            let message = format!("`{path}` is above the source directory and plays no part");
            Diagnostic::warning("cargo.configuration.unseen", message)
                .in_file(path.to_string())
                .help("set `source_path` to the directory that holds it, and `manifest` to the path of Cargo.toml from there")
        })
        .collect()
}

/// What is built and exported.
#[derive(Clone, Debug, Default)]
struct Chosen {
    packages: Vec<String>,
    binaries: Vec<String>,
    libraries: Vec<String>,
}

impl Chosen {
    fn of(settings: &Settings, workspace: &Workspace) -> Result<Self, Vec<Diagnostic>> {
        let packages = packages(settings, workspace)?;
        let mut problems = Vec::new();
        let mut known: Vec<(String, &Manifest)> = Vec::new();
        for package in &packages {
            for binary in package.binaries() {
                known.push((binary, *package));
            }
        }
        let names: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
        for (index, name) in settings.bins.iter().flatten().enumerate() {
            if !names.contains(name) {
                problems.push(unknown_binary(name, index, &names));
            }
        }
        let binaries = settings.bins.clone().unwrap_or(names);
        problems.extend(twice(&binaries, &known));
        let libraries: Vec<String> = packages
            .iter()
            .filter_map(|package| package.library())
            .collect();
        let libraries = match settings.library {
            Some(true) if libraries.is_empty() => {
                problems.push(no_library(&packages));
                libraries
            }
            Some(true) => libraries,
            None if binaries.is_empty() => libraries,
            _ => Vec::new(),
        };
        if problems.is_empty() && binaries.is_empty() && libraries.is_empty() {
            problems.push(nothing(&packages));
        }
        let packages = packages.iter().filter_map(|package| package.name());
        let packages = packages.map(ToOwned::to_owned).collect();
        if problems.is_empty() {
            Ok(Self {
                packages,
                binaries,
                libraries,
            })
        } else {
            Err(problems)
        }
    }
}

fn packages<'a>(
    settings: &Settings,
    workspace: &'a Workspace,
) -> Result<Vec<&'a Manifest>, Vec<Diagnostic>> {
    let wanted = settings.package.all();
    if wanted.is_empty() {
        return Ok(workspace.default_packages());
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for name in wanted {
        match workspace
            .packages()
            .find(|package| package.name() == Some(name))
        {
            Some(package) => found.push(package),
            None => {
                let known: Vec<&str> = workspace.packages().filter_map(Manifest::name).collect();
                problems.push(
                    Diagnostic::error(
                        "cargo.package.unknown",
                        format!("there is no package `{name}`"),
                    )
                    .at_setting(["package"])
                    .help(format!("there are `{}`", known.join("`, `"))),
                );
            }
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

fn unknown_binary(name: &str, index: usize, known: &[String]) -> Diagnostic {
    let problem = Diagnostic::error("cargo.bin.unknown", format!("there is no program `{name}`"))
        .at_setting(["bins".to_owned(), index.to_string()]);
    if known.is_empty() {
        problem.help("the package has no programs: no `src/main.rs`, `src/bin` or `[[bin]]`")
    } else {
        problem.help(format!("there are `{}`", known.join("`, `")))
    }
}

/// Programs of one name in several packages: they would be one file.
fn twice(binaries: &[String], known: &[(String, &Manifest)]) -> Option<Diagnostic> {
    binaries.iter().find_map(|name| {
        let packages: Vec<&str> = known
            .iter()
            .filter(|(known, _)| known == name)
            .filter_map(|(_, package)| package.name())
            .collect();
        (packages.len() > 1).then(|| {
            let packages = packages.join("` and `");
            let message = format!("the packages `{packages}` both have a program `{name}`");
            Diagnostic::error("cargo.bin.twice", message)
                .at_setting(["package"])
                .help("name one of the packages in `package`, or make a target for each")
        })
    })
}

fn no_library(packages: &[&Manifest]) -> Diagnostic {
    let problem = Diagnostic::error(
        "cargo.library.none",
        "there is no library that can be used without Cargo",
    )
    .help("`crate-type = [\"cdylib\"]` (or \"staticlib\") below `[lib]` of Cargo.toml makes one");
    match packages {
        [package] => problem.in_file(package.document.path.to_string()),
        _ => problem.at_setting(["library"]),
    }
}

fn nothing(packages: &[&Manifest]) -> Diagnostic {
    let problem = Diagnostic::error(
        "cargo.nothing",
        "there is nothing to export: neither a program nor a library of the types `cdylib` and `staticlib`",
    )
    .help("name the right package in `package`, or check `bins` and `library`");
    match packages {
        [package] => problem.in_file(package.document.path.to_string()),
        _ => problem.at_setting(["package"]),
    }
}
