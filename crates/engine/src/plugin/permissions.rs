//! Who can write to a plugin: a library that others can replace runs their code as the user's.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use synth_core::{Concern, Diagnostic};

/// The permission of everybody to write (POSIX `S_IWOTH`).
const OTHERS_WRITE: u32 = 0o002;

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
    let user = rustix::process::geteuid().as_raw();
    Ok(reason(&metadata, user).map_or(Ok(()), |reason| {
        Err(Insecure {
            path: path.to_owned(),
            is_directory: metadata.is_dir(),
            reason,
        })
    }))
}

fn reason(metadata: &Metadata, user: u32) -> Option<Reason> {
    judge(metadata.mode(), metadata.uid(), user)
}

/// A sticky directory is refused as well: others can't replace a library in it, but add one.
fn judge(mode: u32, owner: u32, user: u32) -> Option<Reason> {
    if mode & OTHERS_WRITE != 0 {
        Some(Reason::Everybody)
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
        for (mode, owner, user, allowed) in [
            (0o100_755, 1000, 1000, true),
            (0o100_775, 1000, 1000, true),
            (0o100_644, 0, 1000, true),
            (0o100_757, 1000, 1000, false),
            (0o041_777, 0, 1000, false),
            (0o100_755, 1001, 1000, false),
            (0o100_755, 1000, 0, false),
        ] {
            let refused = judge(mode, owner, user);
            assert_eq!(refused.is_none(), allowed, "{mode:o} {owner} {user}");
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
