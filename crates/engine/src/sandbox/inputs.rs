//! Inputs of actions, in memory: laid out there by synth, and shown to an action below a directory
//! of its own on the disk, which takes what it writes (overlayfs of the kernel's documentation). So
//! the disk is spared files that are gone a moment later.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, XattrFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount,
};

use super::wire::Trouble;

/// Where the host has them. Actions do not see it.
const PLACE: &str = "/dev/.inputs";

/// Mounts the file system that they are in, and gives its directory.
pub(super) fn mount_memory() -> Result<OwnedFd, Trouble> {
    let mounted = || -> io::Result<OwnedFd> {
        fs::create_dir(PLACE)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", PLACE, "tmpfs", flags, c"mode=700")?;
        open(Path::new(PLACE))
    };
    mounted().map_err(Trouble::at("mounting a file system for inputs"))
}

/// Stacks a directory on inputs: a mount, for an action of which nothing has been hidden yet.
pub(super) fn stack(name: &str, upper: &Path, work: &Path) -> Result<OwnedFd, Trouble> {
    let stacked = || -> io::Result<OwnedFd> {
        // Without attributes the kernel stacks, and fails later where a directory is replaced.
        const TRIAL: &str = "user.synth.trial";
        rustix::fs::lsetxattr(upper, TRIAL, b"", XattrFlags::empty())?;
        rustix::fs::lremovexattr(upper, TRIAL)?;
        // By their descriptors: a path may hold what separates paths here.
        let (upper, work) = (open(upper)?, open(work)?);
        let named = |directory: &OwnedFd| format!("/proc/self/fd/{}", directory.as_raw_fd());
        let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let overlay = overlay.as_fd();
        fsconfig_set_string(overlay, "lowerdir", format!("{PLACE}/{name}"))?;
        fsconfig_set_string(overlay, "upperdir", named(&upper))?;
        fsconfig_set_string(overlay, "workdir", named(&work))?;
        fsconfig_set_string(overlay, "index", "off")?;
        fsconfig_set_flag(overlay, "userxattr")?;
        // Nothing of it outlives the build: its end must not wait until the disk has everything.
        fsconfig_set_flag(overlay, "volatile")?;
        fsconfig_create(overlay)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        Ok(fsmount(overlay, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    };
    stacked().map_err(Trouble::at("stacking a directory on inputs"))
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}
