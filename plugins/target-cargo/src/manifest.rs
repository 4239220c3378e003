//! One `Cargo.toml`: the package, the programs and the library that it describes, and what lies
//! beside it (The Cargo Book, "The Manifest Format" and "Package Layout").

use synth_core::{Diagnostic, PlanContext, ProjectPath, SourceFiles};
use toml::{Table, Value};

use crate::document::Document;

/// The tables of a manifest that name dependencies, in both spellings that Cargo reads.
const DEPENDENCY_TABLES: [&str; 5] = [
    "dependencies",
    "dev-dependencies",
    "dev_dependencies",
    "build-dependencies",
    "build_dependencies",
];

/// A manifest.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) document: Document,
    /// The directory that it is in.
    pub(crate) directory: ProjectPath,
    /// Files that Cargo may take for programs, libraries, tests and the like, relative to the
    /// directory.
    pub(crate) sources: Vec<String>,
}

/// A dependency on a package of another source than a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageDependency {
    /// Where the manifest says it.
    pub(crate) keys: Vec<String>,
    /// The package's name.
    pub(crate) package: String,
}

/// A dependency that is a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathDependency {
    /// Where the manifest says it.
    pub(crate) keys: Vec<String>,
    /// The directory, as it is written.
    pub(crate) path: String,
}

impl Manifest {
    /// The manifest in a document.
    ///
    /// # Errors
    /// When the files beside it can't be listed.
    pub(crate) fn new(document: Document, context: &dyn PlanContext) -> Result<Self, Diagnostic> {
        let directory = document.path.parent().unwrap_or_default();
        let explicit = ["lib", "bin", "example", "test", "bench"]
            .into_iter()
            .flat_map(|kind| match document.get(&[kind]) {
                Some(Value::Array(tables)) => tables.iter().collect(),
                Some(table) => vec![table],
                None => Vec::new(),
            })
            .filter_map(|table| table.get("path")?.as_str())
            .chain(document.text_at(&["package", "build"]))
            .filter_map(|path| ProjectPath::parse(path).ok())
            .map(|path| literal(path.as_str()));
        let usual = ["build.rs", "src/lib.rs", "src/main.rs"].map(ToOwned::to_owned);
        let inferred = ["src/bin", "examples", "tests", "benches"]
            .into_iter()
            .flat_map(|below| [format!("{below}/*.rs"), format!("{below}/*/main.rs")]);
        let chosen = SourceFiles::below(directory.clone())
            .include(usual.into_iter().chain(inferred).chain(explicit));
        let sources = context.files(&chosen).map_err(|error| {
            let what = format!("the sources of `{}` can't be listed", document.path);
            Diagnostic::error("cargo.file.unreadable", what).caused_by(&error)
        })?;
        Ok(Self {
            document,
            directory,
            sources,
        })
    }

    /// The package's name; none in the manifest of a virtual workspace.
    pub(crate) fn name(&self) -> Option<&str> {
        self.document.text_at(&["package", "name"])
    }

    /// Whether it is the root of a workspace.
    pub(crate) fn is_workspace(&self) -> bool {
        self.document.get(&["workspace"]).is_some()
    }

    /// The programs of the package, by name.
    pub(crate) fn binaries(&self) -> Vec<String> {
        let Some(package) = self.name() else {
            return Vec::new();
        };
        let mut names = Vec::new();
        let mut add = |name: &str| {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        let explicit = self.document.get(&["bin"]).and_then(Value::as_array);
        for bin in explicit.into_iter().flatten() {
            add(bin.get("name").and_then(Value::as_str).unwrap_or(package));
        }
        let inferred = self.document.get(&["package", "autobins"]) != Some(&Value::Boolean(false));
        for source in self.sources.iter().filter(|_| inferred) {
            if source == "src/main.rs" {
                // A program of another name may say that this file is its own.
                if !self.is_claimed(source) {
                    add(package);
                }
            } else if let Some(below) = source.strip_prefix("src/bin/")
                && !self.is_claimed(source)
            {
                let name = below.strip_suffix("/main.rs");
                add(name.or(below.strip_suffix(".rs")).unwrap_or(below));
            }
        }
        names.sort();
        names
    }

    fn is_claimed(&self, source: &str) -> bool {
        let explicit = self.document.get(&["bin"]).and_then(Value::as_array);
        explicit.into_iter().flatten().any(|bin| {
            let path = bin.get("path").and_then(Value::as_str);
            path.and_then(|path| ProjectPath::parse(path).ok())
                .is_some_and(|path| path.as_str() == source)
        })
    }

    /// The library's file names without prefix and extension, if it is one that can be used
    /// without Cargo.
    pub(crate) fn library(&self) -> Option<String> {
        let types = ["crate-type", "crate_type"]
            .into_iter()
            .flat_map(|key| self.document.texts_at(&["lib", key]))
            .any(|kind| matches!(kind, "cdylib" | "staticlib"));
        let name = self.document.text_at(&["lib", "name"]);
        let name = name.or_else(|| self.name())?;
        types.then(|| name.replace('-', "_"))
    }

    /// The profiles that it describes.
    pub(crate) fn profiles(&self) -> Vec<String> {
        let profiles = self.document.get(&["profile"]).and_then(Value::as_table);
        profiles
            .into_iter()
            .flat_map(Table::keys)
            .cloned()
            .collect()
    }

    /// Every dependency that is a directory, whatever it is for, but for those that the workspace
    /// says.
    pub(crate) fn path_dependencies(&self) -> Vec<PathDependency> {
        let root = self.document.table();
        let mut found = Vec::new();
        for name in DEPENDENCY_TABLES {
            collect(root, &[name], &mut found);
        }
        collect(root, &["replace"], &mut found);
        for source in keys_of(root, "patch") {
            collect(root, &["patch", source], &mut found);
        }
        for platform in keys_of(root, "target") {
            for name in DEPENDENCY_TABLES {
                collect(root, &["target", platform, name], &mut found);
            }
        }
        found
    }

    /// Whether the manifest leaves something to be said by its workspace.
    pub(crate) fn inherits(&self) -> bool {
        fn any(table: &Table) -> bool {
            table.get("workspace") == Some(&Value::Boolean(true))
                || table.values().filter_map(Value::as_table).any(any)
        }
        any(self.document.table())
    }

    /// The names of the dependencies that its workspace describes.
    pub(crate) fn inherited_dependencies(&self) -> Vec<String> {
        let root = self.document.table();
        let mut found = Vec::new();
        for name in DEPENDENCY_TABLES {
            collect_inherited(root, &[name], &mut found);
            for platform in keys_of(root, "target") {
                collect_inherited(root, &["target", platform, name], &mut found);
            }
        }
        found
    }

    /// Those of its workspace's dependencies that are directories, of the names given.
    pub(crate) fn workspace_path_dependencies(&self, names: &[String]) -> Vec<PathDependency> {
        let keys = ["workspace", "dependencies"];
        let mut found = Vec::new();
        collect(self.document.table(), &keys, &mut found);
        found.retain(|dependency| {
            let name = dependency.keys.get(keys.len());
            name.is_some_and(|name| names.contains(name))
        });
        found
    }

    /// Every dependency on a package that is not a directory, those for development alone only
    /// if `development` is said.
    pub(crate) fn package_dependencies(&self, development: bool) -> Vec<PackageDependency> {
        let root = self.document.table();
        let mut found = Vec::new();
        let tables = DEPENDENCY_TABLES
            .into_iter()
            .filter(|name| development || !name.starts_with("dev"));
        for name in tables {
            collect_packages(root, &[name], &mut found);
            for platform in keys_of(root, "target") {
                collect_packages(root, &["target", platform, name], &mut found);
            }
        }
        found
    }
}

fn keys_of<'a>(root: &'a Table, key: &str) -> Vec<&'a str> {
    let table = root.get(key).and_then(Value::as_table);
    let keys = table.into_iter().flat_map(Table::keys);
    keys.map(String::as_str).collect()
}

fn collect_inherited(root: &Table, keys: &[&str], found: &mut Vec<String>) {
    let table = keys
        .iter()
        .try_fold(root, |table, key| table.get(*key)?.as_table());
    let dependencies = table.into_iter().flatten();
    let inherited =
        dependencies.filter(|(_, it)| it.get("workspace") == Some(&Value::Boolean(true)));
    found.extend(inherited.map(|(name, _)| name.clone()));
}

fn collect_packages(root: &Table, keys: &[&str], found: &mut Vec<PackageDependency>) {
    let table = keys
        .iter()
        .try_fold(root, |table, key| table.get(*key)?.as_table());
    for (name, dependency) in table.into_iter().flatten() {
        // What the workspace says of an inherited one, its name among it, is in another file.
        if dependency.get("path").is_some() || dependency.get("workspace").is_some() {
            continue;
        }
        let package = dependency.get("package").and_then(Value::as_str);
        let keys = keys.iter().copied().chain([name.as_str()]);
        found.push(PackageDependency {
            keys: keys.map(ToOwned::to_owned).collect(),
            package: package.unwrap_or(name).to_owned(),
        });
    }
}

fn collect(root: &Table, keys: &[&str], found: &mut Vec<PathDependency>) {
    let table = keys
        .iter()
        .try_fold(root, |table, key| table.get(*key)?.as_table());
    for (name, dependency) in table.into_iter().flatten() {
        if let Some(path) = dependency.get("path").and_then(Value::as_str) {
            let keys = keys.iter().copied().chain([name.as_str(), "path"]);
            found.push(PathDependency {
                keys: keys.map(ToOwned::to_owned).collect(),
                path: path.to_owned(),
            });
        }
    }
}

/// A path as a pattern that matches it and nothing else.
pub(crate) fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '!' | '\\') {
            pattern.extend(['[', c, ']']);
        } else {
            pattern.push(c);
        }
    }
    pattern
}
