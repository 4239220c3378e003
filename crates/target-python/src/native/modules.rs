//! Which modules a wheel installs, from the paths of its files.

use std::collections::{BTreeMap, BTreeSet};

/// Suffixes of modules that are not Python source.
const EXTENSION_SUFFIXES: [&str; 2] = [".so", ".pyd"];
/// Names that belong to a checkout and not on anyone's import path.
const STRAY: [&str; 9] = [
    "benchmarks",
    "conftest",
    "doc",
    "docs",
    "example",
    "examples",
    "setup",
    "test",
    "tests",
];

/// The modules of a wheel.
pub(super) struct Modules {
    files: BTreeSet<String>,
}

#[derive(Default)]
struct Directory<'a> {
    modules: BTreeSet<&'a str>,
    directories: BTreeMap<&'a str, Directory<'a>>,
}

impl Modules {
    /// From the paths of a wheel's files; what its `.data` directory adds to the import path
    /// counts as if it were at the top.
    pub(super) fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let files = paths.into_iter().filter_map(|path| {
            let (first, rest) = path.split_once('/').unwrap_or((path, ""));
            if first.ends_with(".dist-info") {
                return None;
            }
            if !first.ends_with(".data") {
                return Some(path.to_owned());
            }
            let (scheme, rest) = rest.split_once('/')?;
            matches!(scheme, "purelib" | "platlib").then(|| rest.to_owned())
        });
        Self {
            files: files.collect(),
        }
    }

    /// The top-level modules, as dotted names. Of a namespace package (PEP 420), which has no
    /// code of its own, the packages and modules right inside.
    pub(super) fn top_level(&self) -> Vec<String> {
        let mut root = Directory::default();
        for path in &self.files {
            let mut directory = &mut root;
            let mut rest = path.as_str();
            while let Some((name, below)) = rest.split_once('/') {
                directory = directory.directories.entry(name).or_default();
                rest = below;
            }
            directory.modules.extend(module_name(rest));
        }
        let mut found = Vec::new();
        collect(&root, "", &mut found);
        found
    }

    /// Those of the top-level names that belong to a checkout, unless there is nothing else.
    pub(super) fn stray(&self) -> Vec<String> {
        let top: BTreeSet<String> = self.top_level().iter().map(|name| first(name)).collect();
        let (stray, others): (Vec<_>, Vec<_>) = top
            .into_iter()
            .partition(|name| STRAY.contains(&name.as_str()));
        if others.is_empty() { Vec::new() } else { stray }
    }

    /// The top-level modules that a user is meant to import.
    pub(super) fn importable(&self) -> Vec<String> {
        let stray = self.stray();
        let mut modules = self.top_level();
        modules.retain(|name| !stray.contains(&first(name)));
        modules
    }

    /// Whether a dotted name is a module or package of the wheel.
    pub(super) fn has(&self, module: &str) -> bool {
        let path = module.replace('.', "/");
        let package = format!("{path}/");
        self.files.iter().any(|file| {
            file.starts_with(&package)
                || file
                    .strip_prefix(&path)
                    .is_some_and(|rest| rest == ".py" || is_extension(rest))
        })
    }

    /// Whether the top-level package of a dotted name is the wheel's alone.
    pub(super) fn owns(&self, module: &str) -> bool {
        let package = first(module);
        self.files.contains(&format!("{package}/__init__.py"))
    }

    /// Whether it holds code for one kind of machine.
    pub(super) fn has_extensions(&self) -> bool {
        self.files.iter().any(|file| is_extension(file))
    }
}

fn first(module: &str) -> String {
    module.split('.').next().unwrap_or_default().to_owned()
}

fn is_extension(name: &str) -> bool {
    EXTENSION_SUFFIXES
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

/// The module in a file: `a` of `a.py` and of `a.cpython-312-x86_64-linux-gnu.so`.
fn module_name(file: &str) -> Option<&str> {
    if !file.ends_with(".py") && !is_extension(file) {
        return None;
    }
    let name = file.split('.').next()?;
    let shared_library = file.contains(".so.") || name.starts_with("lib") && is_extension(file);
    (is_identifier(name) && !shared_library).then_some(name)
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|c| c == '_' || c.is_alphabetic())
        && characters.all(|c| c == '_' || c.is_alphanumeric())
}

fn collect(directory: &Directory<'_>, prefix: &str, found: &mut Vec<String>) {
    for name in &directory.modules {
        if !matches!(*name, "__init__" | "__main__") {
            found.push(format!("{prefix}{name}"));
        }
    }
    for (name, below) in &directory.directories {
        if !is_identifier(name) {
            continue;
        }
        if below.modules.contains("__init__") {
            found.push(format!("{prefix}{name}"));
        } else {
            collect(below, &format!("{prefix}{name}."), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_level_modules_come_from_the_files() {
        for (paths, expected) in [
            (
                &["a/__init__.py", "a/b.py", "a-1.dist-info/x.py"][..],
                &["a"][..],
            ),
            (
                &["six.py", "_a.cpython-312-x86_64-linux-gnu.so"],
                &["_a", "six"],
            ),
            (
                &["google/cloud/x/__init__.py", "google/cloud/y.py"],
                &["google.cloud.y", "google.cloud.x"],
            ),
            (
                &["a.data/purelib/b/__init__.py", "a.data/scripts/c.py"],
                &["b"],
            ),
            (
                &["a-stubs/__init__.pyi", "a.libs/libz.so", "a/data.txt"],
                &[],
            ),
            (&["a/__init__.py", "tests/__init__.py"], &["a"]),
            (&["tests/__init__.py"], &["tests"]),
        ] {
            assert_eq!(
                Modules::of(paths.iter().copied()).importable(),
                expected,
                "{paths:?}"
            );
        }
    }

    #[test]
    fn modules_are_looked_up_by_their_dotted_names() {
        let modules = Modules::of(["a/__init__.py", "a/b.py", "a/c/d.abi3.so"]);
        for (module, expected) in [
            ("a", true),
            ("a.b", true),
            ("a.c.d", true),
            ("a.e", false),
            ("b", false),
        ] {
            assert_eq!(modules.has(module), expected, "{module}");
        }
    }
}
