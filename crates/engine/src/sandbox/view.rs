//! What an action sees of the machine beside the system: its tools where they are installed, what
//! the variables name that are passed on to it, and, where it uses the network, what that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use synth_core::Tool;

use super::wire::Shown;

/// Where every action sees what is there.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
];

/// Directories of programs: what belongs to them is installed beside.
const PROGRAM_DIRECTORIES: [&str; 5] = ["bin", "sbin", "shims", "libexec", "Scripts"];

/// What is shown of an installation that is one with somebody's files, such as `~/.local`.
const PARTS: [&str; 14] = [
    "bin",
    "include",
    "lib",
    "lib64",
    "libexec",
    "plugins",
    "sbin",
    "share/fnm",
    "share/mise",
    "share/pipx",
    "share/uv",
    "shims",
    "version",
    "versions",
];

/// Directories that are everybody's.
const SHARED: [&str; 6] = ["/tmp", "/var", "/var/tmp", "/dev", "/proc", "/sys"];

/// A link to a link to a link is followed so far, and so is an interpreter's interpreter.
const MOST_STEPS: usize = 16;

/// The places of a machine that belong to somebody.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// The user's, links resolved.
    pub(crate) home: Option<PathBuf>,
    /// What is never shown, links resolved: the project, the store.
    pub(crate) hidden: Vec<PathBuf>,
}

/// What an action sees beside the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) shown: Vec<Shown>,
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    pub(crate) hidden: Vec<PathBuf>,
}

/// What a view is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs<'a> {
    pub(crate) tools: &'a [Tool],
    /// The variables that are passed on from the user's environment.
    pub(crate) passed: &'a [(String, OsString)],
    /// What all actions may read.
    pub(crate) read: &'a [PathBuf],
    pub(crate) network: bool,
}

impl Machine {
    /// What an action with these needs sees.
    pub(crate) fn view(&self, needs: &Needs<'_>) -> View {
        let mut viewing = Viewing {
            machine: self,
            shown: BTreeMap::new(),
            links: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        for path in needs.read {
            viewing.show_named(path, false);
        }
        for tool in needs.tools {
            viewing.show_program(&tool.path);
        }
        if needs.network {
            viewing.show_network();
        }
        for (name, value) in needs.passed {
            viewing.show_variable(name, value, needs.network);
        }
        viewing.finish()
    }

    /// Whether a directory is more than an installation: it holds what must not be seen.
    fn is_too_much(&self, directory: &Path) -> bool {
        let above = |inner: &Path| inner.starts_with(directory);
        directory.parent().is_none()
            || SHARED.iter().any(|shared| directory == Path::new(shared))
            || self.home.as_deref().is_some_and(above)
            || self.hidden.iter().any(|hidden| above(hidden))
    }
}

struct Viewing<'a> {
    machine: &'a Machine,
    /// By path, whether it may be changed.
    shown: BTreeMap<PathBuf, bool>,
    links: BTreeMap<PathBuf, PathBuf>,
    /// Programs that were looked at.
    seen: BTreeSet<PathBuf>,
}

impl Viewing<'_> {
    fn show(&mut self, path: &Path, writable: bool) {
        if !is_system(path) {
            *self.shown.entry(path.to_owned()).or_default() |= writable;
        }
    }

    /// Shows what somebody has named, if it is there, under that name.
    fn show_named(&mut self, path: &Path, writable: bool) {
        if let Ok(real) = fs::canonicalize(path)
            && !self.machine.is_too_much(&real)
        {
            self.show(&real, writable);
            self.link(path);
        }
    }

    /// Makes the links on the way to a path be there, each as it is.
    fn link(&mut self, path: &Path) {
        let mut at = path.to_owned();
        for _ in 0..MOST_STEPS {
            let Some((link, target)) = first_link(&at) else {
                return;
            };
            let rest = at.strip_prefix(&link).unwrap_or(Path::new("")).to_owned();
            let absolute = link.parent().unwrap_or(Path::new("/")).join(&target);
            if !is_system(&link) {
                self.links.insert(link, target);
            }
            at = plain(&absolute.join(rest));
        }
    }

    /// Shows a program with what belongs to it.
    fn show_program(&mut self, path: &Path) {
        if self.seen.len() > MOST_STEPS * 4 || !self.seen.insert(path.to_owned()) {
            return;
        }
        self.link(path);
        let Ok(real) = fs::canonicalize(path) else {
            return;
        };
        // A link may lie in an installation of its own, as that of an environment's Python does.
        let parent = path
            .parent()
            .and_then(|parent| fs::canonicalize(parent).ok());
        let name = path.file_name().unwrap_or_default();
        if let Some(unlinked) = parent.map(|parent| parent.join(name)) {
            self.show_installation(&unlinked);
        }
        self.show_installation(&real);
        if let Some(interpreter) = interpreter(&real) {
            self.show_program(&interpreter);
        }
    }

    /// Shows where a program is installed.
    fn show_installation(&mut self, program: &Path) {
        let Some(directory) = program.parent() else {
            return;
        };
        if is_system(program) {
            return;
        }
        let is_for_programs = directory
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| PROGRAM_DIRECTORIES.contains(&name));
        let prefix = directory.parent().filter(|_| is_for_programs);
        match prefix {
            Some(prefix)
                if self.machine.is_too_much(prefix)
                    || (self.is_somebodys(prefix) && !is_environment(prefix)) =>
            {
                for part in PARTS.map(|part| prefix.join(part)) {
                    if part.exists() && !self.machine.is_too_much(&part) {
                        self.show(&part, false);
                    }
                }
            }
            Some(prefix) => {
                self.show(prefix, false);
                if let Some(interpreter) = base_interpreter(prefix) {
                    self.show_program(&interpreter);
                }
            }
            // One that is a link is there by itself.
            None if self.is_somebodys(directory) => {
                if !program.is_symlink() {
                    self.show(program, false);
                }
            }
            None => self.show(directory, false),
        }
    }

    /// Whether a directory may have other things in it: the home directory's own, and what is too
    /// much.
    fn is_somebodys(&self, directory: &Path) -> bool {
        self.machine.is_too_much(directory)
            || self
                .machine
                .home
                .as_deref()
                .is_some_and(|home| directory.parent() == Some(home))
    }

    fn show_variable(&mut self, name: &str, value: &OsStr, network: bool) {
        if name == "HOME" {
            let home = Path::new(value);
            // What is in it is hidden again where it must not be seen.
            if network
                && home.is_absolute()
                && let Ok(real) = fs::canonicalize(home)
                && real.is_dir()
                && real.parent().is_some()
            {
                self.show(&real, true);
                self.link(home);
            }
            return;
        }
        for path in paths_in(value) {
            if network && names_a_directory(name) && !path.exists() {
                // Whoever uses it makes it, and can't where its parent is not to be seen. One that
                // can't be made is missed there.
                let _ = fs::create_dir_all(&path);
            }
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let real = fs::canonicalize(&path).unwrap_or_default();
            let hidden = &self.machine.hidden;
            if hidden.iter().any(|hidden| real.starts_with(hidden))
                || (metadata.file_type().is_socket() && !network)
            {
                continue;
            }
            self.show_named(&path, network && metadata.is_dir());
        }
    }

    fn show_network(&mut self) {
        self.show(Path::new("/run"), false);
        let resolver = Path::new("/etc/resolv.conf");
        if let Ok(real) = fs::canonicalize(resolver)
            && !real.starts_with("/run")
        {
            self.show(&real, false);
        }
    }

    fn finish(self) -> View {
        let mut shown: Vec<Shown> = Vec::new();
        for (path, writable) in self.shown {
            // What is above comes before, and shows it already.
            let covered =
                shown.iter().any(|above| {
                    path.starts_with(&above.path)
                        && (above.writable || !writable)
                        && !self.machine.hidden.iter().any(|hidden| {
                            hidden.starts_with(&above.path) && path.starts_with(hidden)
                        })
                });
            if !covered {
                shown.push(Shown { path, writable });
            }
        }
        let hidden = self.machine.hidden.iter().filter(|hidden| {
            let mut shown = shown.iter();
            shown.any(|shown| hidden.starts_with(&shown.path))
        });
        View {
            hidden: hidden.cloned().collect(),
            links: self.links.into_iter().collect(),
            shown,
        }
    }
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// The first component of a path that is a link, and what it holds.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut at = PathBuf::new();
    for component in path.components() {
        at.push(component);
        if let Ok(target) = fs::read_link(&at) {
            return Some((at, target));
        }
    }
    None
}

/// A path without `.` and `..`, of which no component before is a link.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a variable's name says that it holds a directory, as `UV_CACHE_DIR`, `CARGO_HOME` and
/// `npm_config_cache` do.
fn names_a_directory(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["_DIR", "_HOME", "_CACHE"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The absolute paths that a variable holds: one, several with colons between, or in a URL.
fn paths_in(value: &OsStr) -> Vec<PathBuf> {
    let bytes = value.as_bytes();
    for scheme in ["unix://", "file://"] {
        if let Some(path) = bytes.strip_prefix(scheme.as_bytes()) {
            return vec![PathBuf::from(OsStr::from_bytes(path))];
        }
    }
    std::env::split_paths(value)
        .filter(|path| path.is_absolute())
        .collect()
}

/// The program that a script's first line names.
fn interpreter(program: &Path) -> Option<PathBuf> {
    /// A longer first line is no interpreter's (execve(2)).
    const MOST_BYTES: u64 = 256;
    let mut head = Vec::new();
    let file = fs::File::open(program).ok()?;
    file.take(MOST_BYTES).read_to_end(&mut head).ok()?;
    let line = head
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t'));
    let path = PathBuf::from(OsStr::from_bytes(words.find(|word| !word.is_empty())?));
    path.is_absolute().then_some(path)
}

/// Whether a directory is a virtual environment of Python, wherever it is.
fn is_environment(prefix: &Path) -> bool {
    prefix.join("pyvenv.cfg").is_file()
}

/// The programs of the Python that a virtual environment was made from (PEP 405).
fn base_interpreter(prefix: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(prefix.join("pyvenv.cfg")).ok()?;
    let home = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    })?;
    home.is_absolute().then(|| home.join("python3"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use synth_core::Digest;

    use super::*;

    /// A machine in a directory, with files, links and what a view of them shows.
    struct Place(tempfile::TempDir, PathBuf);

    impl Place {
        fn new(files: &[&str], links: &[(&str, &str)]) -> Self {
            let directory = tempfile::Builder::new()
                .prefix("machine")
                .tempdir_in("/var/tmp")
                .unwrap();
            let root = fs::canonicalize(directory.path()).unwrap();
            for file in files {
                let (path, text) = file.split_once('|').unwrap_or((file, ""));
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let text = text.replace("ROOT", root.to_str().unwrap());
                fs::write(path, text).unwrap();
            }
            for (path, target) in links {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(target.replace("ROOT", root.to_str().unwrap()), path).unwrap();
            }
            Self(directory, root)
        }

        fn view(&self, tools: &[&str], passed: &[(&str, &str)], network: bool) -> String {
            let machine = Machine {
                home: Some(self.1.join("home/me")),
                hidden: vec![
                    self.1.join("home/me/project"),
                    self.1.join("home/me/.cache/synth"),
                ],
            };
            let tools: Vec<Tool> = tools
                .iter()
                .map(|path| Tool {
                    name: "tool".into(),
                    path: self.1.join(path),
                    version_output: String::new(),
                    digest: Digest::new("0".repeat(64), 0).unwrap(),
                })
                .collect();
            let passed: Vec<(String, OsString)> = passed
                .iter()
                .map(|(name, value)| {
                    let value = value.replace("ROOT", self.1.to_str().unwrap());
                    ((*name).to_owned(), value.into())
                })
                .collect();
            let view = machine.view(&Needs {
                tools: &tools,
                passed: &passed,
                read: &[],
                network,
            });
            let mut lines = Vec::new();
            let short = |path: &Path| {
                path.display()
                    .to_string()
                    .replace(self.1.to_str().unwrap(), "")
            };
            for shown in &view.shown {
                // Where the resolver's file is depends on the machine.
                if network && !shown.path.starts_with(&self.1) {
                    continue;
                }
                let writable = if shown.writable { " rw" } else { "" };
                lines.push(format!("{}{writable}", short(&shown.path)));
            }
            let link = |(at, to): &(PathBuf, PathBuf)| format!("{} -> {}", short(at), short(to));
            lines.extend(view.links.iter().map(link));
            lines.extend(
                view.hidden
                    .iter()
                    .map(|path| format!("not {}", short(path))),
            );
            assert!(self.0.path().exists());
            lines.join("\n")
        }
    }

    #[test]
    fn a_tool_is_shown_with_its_installation_and_no_more() {
        let files = [
            "home/me/.rustup/toolchains/a/bin/cargo",
            "home/me/.local/bin/uv",
            "home/me/.local/share/keyrings/secret",
            "home/me/.local/share/uv/python/cpython/bin/python3.12",
            "home/me/venv/pyvenv.cfg|home = ROOT/home/me/.local/share/uv/python/cpython/bin\n",
            "home/me/Downloads/hugo",
            "home/me/bin/script|#!ROOT/srv/node/bin/node\n",
            "home/me/project/bin/tool",
            "home/me/project/.venv/bin/black",
            "srv/node/bin/node",
        ];
        let links = [
            ("home/me/venv/bin/python", "python3.12"),
            (
                "home/me/venv/bin/python3.12",
                "ROOT/home/me/.local/share/uv/python/cpython/bin/python3.12",
            ),
            ("home/me/links/node", "../../../srv/node/bin/node"),
        ];
        let place = Place::new(&files, &links);
        for (tool, expected) in [
            (
                "home/me/.rustup/toolchains/a/bin/cargo",
                "/home/me/.rustup/toolchains/a",
            ),
            (
                "home/me/.local/bin/uv",
                "/home/me/.local/bin\n/home/me/.local/share/uv",
            ),
            ("home/me/Downloads/hugo", "/home/me/Downloads/hugo"),
            ("home/me/bin/script", "/home/me/bin\n/srv/node"),
            ("home/me/project/bin/tool", "/home/me/project/bin"),
            ("home/me/project/.venv/bin/black", "/home/me/project/.venv"),
            (
                "home/me/links/node",
                "/srv/node\n/home/me/links/node -> ../../../srv/node/bin/node",
            ),
            ("srv/node/bin/missing", ""),
        ] {
            let view = place.view(&[tool], &[], false);
            let view = view.replace("\nnot /home/me/project", "");
            assert_eq!(view, expected, "{tool}");
        }
        insta::assert_snapshot!(place.view(&["home/me/venv/bin/python"], &[], false), @"
        /home/me/.local/share/uv/python/cpython
        /home/me/venv
        /home/me/venv/bin/python -> python3.12
        /home/me/venv/bin/python3.12 -> /home/me/.local/share/uv/python/cpython/bin/python3.12
        ");
    }

    #[test]
    fn variables_show_what_they_name_but_not_the_project() {
        let files = [
            "home/me/.cargo/registry/a",
            "home/me/project/secret",
            "home/me/.cache/synth/cas",
            "etc/ca.pem",
        ];
        let place = Place::new(&files, &[("link", "home/me/.cargo")]);
        let passed = [
            ("HOME", "ROOT/home/me"),
            ("CARGO_HOME", "ROOT/home/me/.cargo"),
            ("SSL_CERT_FILE", "ROOT/etc/ca.pem"),
            ("BAR", "ROOT/home/me/project/secret:relative:ROOT/none"),
            ("ALL", "ROOT/home"),
            ("LINKED", "ROOT/link"),
        ];
        insta::assert_snapshot!(place.view(&[], &passed, false), @"
        /etc/ca.pem
        /home/me/.cargo
        /link -> home/me/.cargo
        ");
        insta::assert_snapshot!(place.view(&[], &passed, true), @"
        /etc/ca.pem
        /home/me rw
        /link -> home/me/.cargo
        not /home/me/project
        not /home/me/.cache/synth
        ");
    }

    #[test]
    fn a_cache_that_is_not_there_yet_is_made_for_who_uses_the_network() {
        let place = Place::new(&["srv/other/a"], &[]);
        let passed = [
            ("UV_CACHE_DIR", "ROOT/srv/cache/uv"),
            ("NAME", "ROOT/srv/none"),
        ];
        assert_eq!(place.view(&[], &passed, false), "");
        assert_eq!(place.view(&[], &passed, true), "/srv/cache/uv rw");
    }
}
