//! Who can write to a plugin: a library that others can replace runs their code as the user's.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use synth_core::{Concern, Diagnostic};

/// The permission of everybody to write (POSIX `S_IWOTH`).
const OTHERS_WRITE: u32 = 0o002;

/// The permission of a group to write (POSIX `S_IWGRP`).
const GROUP_WRITES: u32 = 0o020;

/// A file or directory that somebody else than the user and root can write to.
#[derive(Debug)]
pub(crate) struct Insecure {
    path: PathBuf,
    is_directory: bool,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// Everybody may write.
    Everybody,
    /// This group may write.
    Group(u32),
    /// It belongs to this user.
    Owner(u32),
}

/// Checks a library: its file, the directory it was found in and, where the file is a link, the
/// one it is in.
pub(crate) fn check_library(path: &Path) -> io::Result<Result<(), Insecure>> {
    let real = fs::canonicalize(path)?;
    let directories = [path.parent(), real.parent()];
    for directory in directories.into_iter().flatten() {
        // A bare file name is one of the current directory.
        let directory = match directory {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            directory => directory,
        };
        if let Err(insecure) = check(&fs::canonicalize(directory)?)? {
            return Ok(Err(insecure));
        }
    }
    check(&real)
}

/// Checks one file or directory.
pub(crate) fn check(path: &Path) -> io::Result<Result<(), Insecure>> {
    let metadata = fs::metadata(path)?;
    Ok(reason(&metadata).map_or(Ok(()), |reason| {
        Err(Insecure {
            path: path.to_owned(),
            is_directory: metadata.is_dir(),
            reason,
        })
    }))
}

fn reason(metadata: &Metadata) -> Option<Reason> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let owner = (metadata.uid(), metadata.gid());
    judge(metadata.mode(), owner, (user.as_raw(), group.as_raw()))
}

/// A sticky directory is refused as well: others can't replace a library in it, but add one. The
/// user's primary group counts as the user's own, as it is where every user has one and files are
/// made with a umask of 002.
fn judge(mode: u32, (owner, owners): (u32, u32), (user, group): (u32, u32)) -> Option<Reason> {
    if mode & OTHERS_WRITE != 0 {
        Some(Reason::Everybody)
    } else if mode & GROUP_WRITES != 0 && owners != group && owners != 0 {
        Some(Reason::Group(owners))
    } else if owner != user && owner != 0 {
        Some(Reason::Owner(owner))
    } else {
        None
    }
}

impl Insecure {
    /// What a user is told, with the command that mends it.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let path = self.path.display();
        let what = if self.is_directory {
            "plugins from this directory are not used"
        } else {
            "this plugin is not used"
        };
        let (message, command) = match self.reason {
            Reason::Everybody => (
                format!("everybody can write to `{path}`: {what}"),
                format!("chmod o-w {}", shell_word(&self.path)),
            ),
            Reason::Group(group) => (
                format!("another group (id {group}) can write to `{path}`: {what}"),
                format!("chmod g-w {}", shell_word(&self.path)),
            ),
            Reason::Owner(owner) => (
                format!("`{path}` belongs to another user (id {owner}): {what}"),
                format!("sudo chown \"$(id -u)\" {}", shell_word(&self.path)),
            ),
        };
        Diagnostic::error("plugin.insecure", message)
            .concerning(Concern::Environment)
            .help(format!("if you trust what is there: `{command}`"))
    }
}

/// A path as a word of a shell's command line (POSIX.1-2017, 2.2.2 "Single-Quotes").
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_and_root_may_write() {
        let user = (1000, 1000);
        for (mode, owner, user, allowed) in [
            (0o100_755, (1000, 1000), user, true),
            (0o100_775, (1000, 1000), user, true),
            (0o100_755, (1000, 100), user, true),
            (0o100_775, (1000, 100), user, false),
            (0o042_775, (1000, 100), user, false),
            (0o100_644, (0, 0), user, true),
            (0o100_757, (1000, 1000), user, false),
            (0o041_777, (0, 0), user, false),
            (0o100_755, (1001, 1000), user, false),
            (0o100_755, (1000, 1000), (0, 0), false),
        ] {
            let refused = judge(mode, owner, user);
            assert_eq!(refused.is_none(), allowed, "{mode:o} {owner:?} {user:?}");
        }
    }

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        for (path, word) in [
            ("/home/a/lib.so", "/home/a/lib.so"),
            ("/my project/x", "'/my project/x'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
