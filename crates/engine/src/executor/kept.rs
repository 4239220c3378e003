//! Directories of actions that have failed, for whoever looks for the reason: moved to `.synth/kept`,
//! each with a command that runs there again what failed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synth_core::{Action, ActionKind};

use super::environment::{Directories, environment, passed_on, with_root};
use super::local;
use crate::failure::is_secret;
use crate::report::KeptDirectory;
use crate::work::remove_tree;

/// What a build keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The project's root.
    root: PathBuf,
    /// Where it keeps it.
    directory: PathBuf,
    /// By target and action.
    found: Mutex<BTreeMap<(String, String), KeptDirectory>>,
}

impl Kept {
    pub(crate) fn new(root: &Path, directory: PathBuf) -> Self {
        Self {
            root: root.to_owned(),
            directory,
            found: Mutex::default(),
        }
    }

    /// What was kept of an action that failed.
    pub(crate) fn of(&self, target: &str, action: &str) -> Option<KeptDirectory> {
        let name = (target.to_owned(), action.to_owned());
        self.found().get(&name).cloned()
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<(String, String), KeptDirectory>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what builds have kept of a target's actions.
pub(crate) fn remove(directory: &Path, target: &str) {
    remove_tree(&directory.join(target));
    // Only if it is empty now.
    let _ = fs::remove_dir(directory);
}

/// What is kept of one action, if it fails.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    kept: Arc<Kept>,
    target: String,
    action: String,
    /// The name of its directory.
    name: String,
    /// The last of its processes that failed, if it is a function that starts some.
    process: Arc<Mutex<Option<Rerun>>>,
}

/// A process, as it is run once more.
#[derive(Clone, Debug)]
pub(super) struct Rerun {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) directory: PathBuf,
    pub(super) environment: BTreeMap<String, OsString>,
    /// Names of variables that are the user's own: their values may be secrets.
    pub(super) passed: Vec<String>,
}

impl Keep {
    pub(crate) fn new(kept: &Arc<Kept>, target: &str, action: &str, name: String) -> Self {
        Self {
            kept: Arc::clone(kept),
            target: target.to_owned(),
            action: action.to_owned(),
            name,
            process: Arc::default(),
        }
    }

    /// A process of a function has failed.
    pub(super) fn failed(&self, process: Rerun) {
        let mut last = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(process);
    }

    fn path(&self) -> PathBuf {
        self.kept.directory.join(&self.target).join(&self.name)
    }

    fn key(&self) -> (String, String) {
        (self.target.clone(), self.action.clone())
    }

    /// What an earlier attempt has left tells nothing any more.
    pub(super) fn forget(&self) {
        self.kept.found().remove(&self.key());
        remove_tree(&self.path());
        let _ = fs::remove_dir(self.kept.directory.join(&self.target));
    }

    /// Keeps the directory in which the action has failed.
    pub(super) fn keep(&self, action: &Action, from: &Path, in_sandbox: bool) -> io::Result<()> {
        let to = self.path();
        remove_tree(&to);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::rename(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy(from, &to)?,
            moved => moved?,
        }
        let process = || {
            let last = self.process.lock();
            last.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let rerun = match &action.kind {
            ActionKind::Exec(_) => of_action(action, from),
            _ => process(),
        };
        let rerun = rerun.map(|rerun| rerun.moved(from, &to).without_secrets());
        let shown = to.strip_prefix(&self.kept.root).unwrap_or(&to);
        let kept = KeptDirectory {
            directory: shown.display().to_string(),
            differences: differences(action, rerun.as_ref(), in_sandbox),
            rerun: rerun.map(|rerun| rerun.line()),
        };
        self.kept.found().insert(self.key(), kept);
        Ok(())
    }
}

/// An action that is a process, as it would be in its directory without a sandbox.
fn of_action(action: &Action, directory: &Path) -> Option<Rerun> {
    let ActionKind::Exec(exec) = &action.kind else {
        return None;
    };
    let directories = Directories::below(directory);
    let root = &directories.root;
    let passed = passed_on(&exec.pass_environment, std::env::vars_os());
    Some(Rerun {
        program: local::program(action, &exec.argv, root).ok()?,
        arguments: exec
            .argv
            .iter()
            .skip(1)
            .map(|argument| with_root(argument, root))
            .collect(),
        directory: root.join(&exec.working_directory),
        environment: environment(action, &exec.environment, Vec::new(), &directories),
        passed: passed
            .map(|(name, _)| name)
            .filter(|name| !exec.environment.contains_key(name))
            .collect(),
    })
}

/// In which ways a process runs otherwise than in the build.
fn differences(action: &Action, rerun: Option<&Rerun>, in_sandbox: bool) -> Vec<String> {
    let Some(rerun) = rerun else {
        return vec!["what failed is code of the target's kind, and no process".to_owned()];
    };
    let mut found = Vec::new();
    if in_sandbox {
        let sandbox = match action.kind {
            ActionKind::Exec(_) => ", and other paths than below `/synth`",
            _ => "",
        };
        found.push(format!(
            "there is no sandbox: it sees the whole machine and its network{sandbox}"
        ));
    }
    found.push("it finds what the run that failed has left, and has no time limit".to_owned());
    let (named, odd): (Vec<&String>, Vec<&String>) =
        rerun.passed.iter().partition(|name| is_variable(name));
    let list = |names: &[&String]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    if !named.is_empty() {
        found.push(format!("your shell's own: {}", list(&named)));
    }
    if !odd.is_empty() {
        found.push(format!("left out: {}", list(&odd)));
    }
    found
}

impl Rerun {
    /// With one directory instead of another, wherever it is named.
    fn moved(self, from: &Path, to: &Path) -> Self {
        let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
        let text = |text: &str| text.replace(&*from, &to);
        let path = |path: &Path| PathBuf::from(text(&path.to_string_lossy()));
        let value = |value: OsString| match value.to_str() {
            Some(value) => OsString::from(text(value)),
            None => value,
        };
        Self {
            program: path(&self.program),
            arguments: self.arguments.iter().map(|one| text(one)).collect(),
            directory: path(&self.directory),
            environment: self
                .environment
                .into_iter()
                .map(|(name, set)| (name, value(set)))
                .collect(),
            passed: self.passed,
        }
    }

    /// What looks like a secret is the user's own, wherever it comes from.
    fn without_secrets(mut self) -> Self {
        let set = self.environment.iter();
        let secret = set.filter(|(name, value)| is_secret(name, &value.to_string_lossy()));
        let secret: Vec<String> = secret.map(|(name, _)| name.clone()).collect();
        let added = secret.into_iter();
        let added: Vec<String> = added.filter(|name| !self.passed.contains(name)).collect();
        self.passed.extend(added);
        self
    }

    /// As a POSIX shell takes it.
    fn line(&self) -> String {
        let directory = quoted(&self.directory.to_string_lossy());
        let mut words = vec!["env".to_owned(), "-i".to_owned()];
        let set = self.environment.iter();
        let set = set.filter(|(name, _)| !self.passed.contains(name));
        words.extend(set.map(|(name, value)| {
            let value = value.to_string_lossy();
            quoted(&format!("{name}={value}"))
        }));
        let passed = self.passed.iter().filter(|name| is_variable(name));
        words.extend(passed.map(|name| format!("{name}=\"${name}\"")));
        words.push(quoted(&self.program.to_string_lossy()));
        words.extend(self.arguments.iter().map(|argument| quoted(argument)));
        format!("cd {directory} && {}", words.join(" "))
    }
}

/// Whether a shell can have a variable of this name.
fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// As a POSIX shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Copies a directory with its modes to another file system; links stay links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut modes = Vec::new();
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let relative = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        let (kind, to) = (entry.file_type(), to.join(relative));
        if kind.is_dir() {
            fs::create_dir(&to)?;
            modes.push((to, entry.metadata()?.permissions()));
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &to)?;
        }
    }
    // Those below first: one that can't be written into takes nothing more.
    let mut modes = modes.into_iter().rev();
    modes.try_for_each(|(path, mode)| fs::set_permissions(path, mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let environment = [
            ("A", "b"),
            ("NPM_TOKEN", "hush"),
            ("TEXT", "it's /old/root"),
            ("TOKEN", "secret"),
        ];
        let rerun = Rerun {
            program: "/usr/bin/cc".into(),
            arguments: vec!["-o".into(), "/old/root/a b".into(), String::new()],
            directory: "/old/root".into(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into(),
            passed: vec!["TOKEN".into(), "odd.name".into()],
        };
        let moved = rerun.moved(Path::new("/old"), Path::new("/my project/kept"));
        let moved = moved.without_secrets();
        insta::assert_snapshot!(
            moved.line(),
            @r#"cd '/my project/kept/root' && env -i A=b 'TEXT=it'\''s /my project/kept/root' TOKEN="$TOKEN" NPM_TOKEN="$NPM_TOKEN" /usr/bin/cc -o '/my project/kept/root/a b' ''"#
        );
    }

    #[test]
    fn a_copy_has_the_same_files_links_and_modes() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::create_dir_all(from.join("closed/below")).unwrap();
        fs::write(from.join("closed/below/run"), "#!").unwrap();
        std::os::unix::fs::symlink("run", from.join("closed/below/link")).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&from.join("closed/below/run"), 0o750);
        mode(&from.join("closed"), 0o555);
        copy(&from, &to).unwrap();
        let seen = |path: &str| {
            let metadata = fs::symlink_metadata(to.join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(seen("closed"), 0o555);
        assert_eq!(seen("closed/below/run"), 0o750);
        assert_eq!(
            fs::read_link(to.join("closed/below/link")).unwrap(),
            Path::new("run")
        );
        mode(&from.join("closed"), 0o755);
        mode(&to.join("closed"), 0o755);
    }
}
