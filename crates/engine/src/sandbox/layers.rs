//! A stack of image layers as an action's root: an overlay of directories, of which the topmost
//! takes what the action writes (overlayfs of the kernel's documentation).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::action::mount_memory;
use super::host::Host;
use super::kernel::{self, Access};
use super::wire::{Request, Trouble};
use super::{INSIDE, Layers, base};

/// Of the machine, so that names resolve where the network is allowed.
const NETWORK_FILES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Makes the stack this process's root.
pub(super) fn enter(layers: &Layers, request: &Request, host: &Host) -> Result<(), Trouble> {
    let devices = devices_of(host).map_err(Trouble::at("taking devices"))?;
    let files = if request.network {
        NETWORK_FILES
            .iter()
            .map(Path::new)
            .filter(|path| path.is_file())
            .map(|path| Ok((base::clone(path, Access::Read)?, path)))
            .collect::<io::Result<Vec<(OwnedFd, &Path)>>>()
            .map_err(Trouble::at("taking the network's settings"))?
    } else {
        Vec::new()
    };
    let directory = match request.directory.as_os_str().is_empty() {
        true => None,
        false => Some(
            base::clone(&request.directory, Access::Write)
                .map_err(Trouble::at("taking the action's directory"))?,
        ),
    };
    kernel::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWIPC)
        .map_err(Trouble::at("making namespaces"))?;
    mount_stack(layers, host.is_root)?;
    let attached = || -> io::Result<()> {
        base::attach(&devices, Path::new("/dev"))?;
        for (tree, path) in &files {
            base::attach(tree, path)?;
        }
        match &directory {
            Some(directory) => base::attach(directory, Path::new(INSIDE)),
            None => Ok(()),
        }
    };
    attached().map_err(Trouble::at("mounting what every image has"))?;
    mount_memory()
}

/// The devices of the system's view.
fn devices_of(host: &Host) -> io::Result<OwnedFd> {
    let own = std::fs::File::open("/proc/self/ns/mnt")?;
    let mounts = Some(LinkNameSpaceType::Mount);
    move_into_link_name_space(host.view.as_fd(), mounts)?;
    let devices = base::clone(Path::new("/dev"), Access::Device);
    move_into_link_name_space(own.as_fd(), mounts)?;
    devices
}

fn mount_stack(layers: &Layers, is_root: bool) -> Result<(), Trouble> {
    let failed = || Trouble::at("mounting image layers");
    // By short names without a special character, of which many go into the kernel's one page.
    let names = tempfile::Builder::new()
        .prefix(".layers-")
        .tempdir_in("/dev")
        .map_err(failed())?;
    let named = |name: &str, path: &Path| -> io::Result<String> {
        let at = names.path().join(name);
        symlink(path, &at)?;
        Ok(at.to_string_lossy().into_owned())
    };
    let stacked = || -> io::Result<()> {
        let mut lower = Vec::new();
        // The kernel wants the topmost first.
        for (index, layer) in layers.lower.iter().enumerate().rev() {
            lower.push(named(&index.to_string(), layer)?);
        }
        lower.push(base::SKELETON.to_owned());
        let options = format!(
            "lowerdir={},upperdir={},workdir={},userxattr",
            lower.join(":"),
            named("upper", &layers.upper)?,
            named("work", &layers.work)?
        );
        let options = std::ffi::CString::new(options)?;
        let root = names.path().join("root");
        std::fs::create_dir(&root)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("overlay", &root, "overlay", flags, options.as_c_str())?;
        // While the machine's own can be seen as a whole, which the kernel asks for.
        mount_processes(&root.join("proc"), is_root)?;
        rustix::process::chdir(&root)?;
        rustix::process::pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        Ok(rustix::process::chdir("/")?)
    };
    stacked().map_err(failed())?;
    // They are out of this process's sight, and stay in the host's memory until its end.
    let _ = names.keep();
    Ok(())
}

/// Mounts the processes in an image, which may have something else there than a directory.
fn mount_processes(at: &Path, is_root: bool) -> io::Result<()> {
    if !at.symlink_metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    base::mount_processes(at, is_root).map_err(io::Error::other)
}
