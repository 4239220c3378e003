//! What every action sees of the machine: the system, read-only, on a root of the sandbox's own.
//! Made once per build; an action gets a copy of these mounts, and then its own.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, mount_remount, move_mount, open_tree, unmount,
};
use rustix::thread::UnshareFlags;

use super::kernel::{self, Access};
use super::wire::Trouble;

/// The system's own directories; those that are not there are left out, and so is whatever is
/// a link to elsewhere. What begins with `/lib` is found by looking.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/bin",
    "/sbin",
    "/etc",
    "/opt",
    "/nix/store",
    "/gnu/store",
    // Where certificates are on some systems, linked to from /etc.
    "/var/lib/ca-certificates",
];

/// How many processors and memory nodes there are; nothing else of the machine's devices.
const HARDWARE: &str = "/sys/devices/system";

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Directories that are there for what is mounted later.
const DIRECTORIES: [&str; 7] = ["dev/shm", "proc", "run", "sys", "synth", "tmp", "var"];

const LINKS: [(&str, &str); 6] = [
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("var/tmp", "/tmp"),
    ("var/run", "/run"),
];

/// Below it, for images that do not have them: the directories that something is mounted on.
pub(super) const SKELETON: &str = "/dev/.skeleton";
const SKELETON_DIRECTORIES: [&str; 6] = ["dev", "etc", "proc", "synth", "sys", "tmp"];
const SKELETON_FILES: [&str; 2] = ["etc/hosts", "etc/resolv.conf"];

/// Where the host process has the root that actions see: writable, and without what is mounted on
/// it for them. Its own devices are of no use to it.
const STAGING: &str = "/dev";

/// The root in the making.
pub(super) struct Base {
    devices: Vec<(&'static str, OwnedFd)>,
    /// Directories to be mounted, each where it is.
    system: Vec<PathBuf>,
}

impl Base {
    /// Lays out the root: directories, links and places for mounts.
    pub(super) fn stage() -> Result<Self, Trouble> {
        let devices = devices()?;
        mount(
            "tmpfs",
            STAGING,
            "tmpfs",
            MountFlags::NOSUID | MountFlags::NODEV,
            c"mode=755",
        )
        .map_err(Trouble::at("mounting a file system in memory"))?;
        let mut system = Vec::new();
        lay_out(&mut system).map_err(Trouble::at("laying out a root"))?;
        Ok(Self { devices, system })
    }

    /// Makes the root this process's own, in a mount namespace of its own. For a process that is
    /// there for nothing else.
    pub(super) fn enter(self) -> Result<(), Trouble> {
        kernel::unshare(UnshareFlags::NEWNS).map_err(Trouble::at("making a mount namespace"))?;
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .map_err(Trouble::at("keeping mounts private"))?;
        for path in &self.system {
            let at = format!("mounting `{}`", path.display());
            clone(path, Access::Read)
                .and_then(|tree| attach(&tree, &staged(path)))
                .map_err(Trouble::at(at))?;
        }
        for (name, device) in &self.devices {
            attach(device, &Path::new(STAGING).join("dev").join(name))
                .map_err(Trouble::at(format!("mounting `/dev/{name}`")))?;
        }
        // Later ones can be mounted where one can be seen as a whole.
        mount_processes(&Path::new(STAGING).join("proc"), false)?;
        let change = || -> io::Result<()> {
            rustix::process::chdir(STAGING)?;
            rustix::process::pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
            rustix::process::chdir("/")?;
            let flags =
                MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            Ok(mount_remount("/", flags, "")?)
        };
        change().map_err(Trouble::at("changing the root"))
    }
}

/// Mounts the processes of this process's namespace.
pub(super) fn mount_processes(at: &Path, read_only: bool) -> Result<(), Trouble> {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if read_only {
        flags |= MountFlags::RDONLY;
    }
    mount("proc", at, "proc", flags, None).map_err(Trouble::at("mounting `/proc`"))
}

/// A tree of mounts as it is at `path`, to be attached elsewhere.
pub(super) fn clone(path: &Path, access: Access) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags)?;
    kernel::restrict(tree.as_fd(), access)?;
    Ok(tree)
}

/// Attaches a tree that was cloned.
pub(super) fn attach(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, "", CWD, at, flags).map_err(io::Error::from)
}

/// Attaches it where there may be no place for it yet, in a directory that can be written.
pub(super) fn attach_anew(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    match attach(tree, at) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        attached => return attached,
    }
    make_place_for(tree, at)?;
    attach(tree, at)
}

/// Makes a place for a tree where this process sees it.
pub(super) fn make_place_for(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode);
    make_at(at, kind == FileType::Directory)
}

/// Makes a place for a mount in the root of actions, where nothing that they all see covers it.
pub(super) fn make_place(path: &Path, is_directory: bool) -> io::Result<()> {
    if is_beyond_a_link(path) {
        return Ok(());
    }
    make_at(&staged(path), is_directory)
}

/// Whether a path leads through a link of the root of actions, which would lead elsewhere here.
fn is_beyond_a_link(path: &Path) -> bool {
    let above = path.ancestors().skip(1);
    above.map(staged).any(|above| above.is_symlink())
}

fn make_at(path: &Path, is_directory: bool) -> io::Result<()> {
    if is_directory {
        return fs::create_dir_all(path);
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true).open(path).map(drop)
}

/// Makes a link in the root of actions. One that is there already stays.
pub(super) fn make_link(path: &Path, target: &Path) -> io::Result<()> {
    if is_beyond_a_link(path) {
        return Ok(());
    }
    let staged = staged(path);
    if let Some(parent) = staged.parent() {
        fs::create_dir_all(parent)?;
    }
    match symlink(target, staged) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn staged(path: &Path) -> PathBuf {
    Path::new(STAGING).join(path.strip_prefix("/").unwrap_or(path))
}

fn devices() -> Result<Vec<(&'static str, OwnedFd)>, Trouble> {
    let there = DEVICES
        .iter()
        .map(|name| (*name, Path::new("/dev").join(name)))
        .filter(|(_, path)| path.exists());
    there
        .map(|(name, path)| {
            let device = clone(&path, Access::Device)
                .map_err(Trouble::at(format!("taking `{}`", path.display())))?;
            Ok((name, device))
        })
        .collect()
}

fn lay_out(system: &mut Vec<PathBuf>) -> io::Result<()> {
    let staging = Path::new(STAGING);
    for directory in DIRECTORIES {
        fs::create_dir_all(staging.join(directory))?;
    }
    for (at, target) in LINKS {
        symlink(target, staging.join(at))?;
    }
    for name in DEVICES {
        fs::File::create(staging.join("dev").join(name))?;
    }
    let mut paths: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    paths.push(HARDWARE.into());
    for entry in fs::read_dir("/")?.flatten() {
        if is_library_directory(&entry.file_name()) {
            paths.push(entry.path());
        }
    }
    for path in paths {
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_symlink() {
            make_link(&path, &fs::read_link(&path)?)?;
        } else if metadata.is_dir() {
            make_place(&path, true)?;
            system.push(path);
        }
    }
    Ok(())
}

/// Makes what images are laid upon.
pub(super) fn make_skeleton() -> io::Result<()> {
    for directory in SKELETON_DIRECTORIES {
        fs::create_dir_all(Path::new(SKELETON).join(directory))?;
    }
    for file in SKELETON_FILES {
        fs::File::create(Path::new(SKELETON).join(file))?;
    }
    Ok(())
}

fn is_library_directory(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| {
        let rest = name.strip_prefix("lib");
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == 'x'))
    })
}
