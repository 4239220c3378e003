//! What a plugin's process may touch of the file system: the system read-only, and the directories
//! of the action that it runs. By Landlock (Linux 5.13 and later, landlock(7)); where the kernel
//! does not have it, the process is not confined.

use std::io;
use std::path::{Path, PathBuf};

/// Confines this thread, and those that it starts, for good.
#[cfg(target_os = "linux")]
pub(crate) fn to(library: &Path, readable: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    use landlock::{
        ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules,
    };
    /// Where libraries, time zones, certificates and the like are; no project, no home.
    /// Of other processes nothing: their variables are the user's.
    const SYSTEM: [&str; 17] = [
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/bin",
        "/sbin",
        "/etc",
        "/opt",
        "/nix/store",
        "/gnu/store",
        "/proc/self",
        "/proc/sys",
        "/proc/cpuinfo",
        "/proc/filesystems",
        "/proc/meminfo",
        "/proc/stat",
        "/sys",
    ];
    const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];
    // What later versions of Landlock know beside files is left alone.
    let version = ABI::V3;
    let read = AccessFs::from_read(version);
    let write = AccessFs::from_all(version);
    let confined = || {
        Ruleset::default()
            .handle_access(write)?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(version)))?
            .add_rules(path_beneath_rules([library], read))?
            .add_rules(path_beneath_rules(readable, read))?
            .add_rules(path_beneath_rules(writable, write))?
            .restrict_self()
    };
    confined().map(drop).map_err(io::Error::other)
}

/// There is no such means here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn to(_library: &Path, _readable: &[PathBuf], _writable: &[PathBuf]) -> io::Result<()> {
    Ok(())
}
