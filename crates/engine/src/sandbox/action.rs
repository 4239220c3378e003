//! One action's first process: makes what the action sees of the machine, gives up its rights,
//! starts the program, and stays as the parent of everything that is left behind until the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountFlags, mount, mount_remount};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, UnshareFlags, move_into_link_name_space,
    set_capabilities,
};

use super::host::{Host, report};
use super::kernel::{self, Access};
use super::wire::{self, Report, Request, Trouble};
use super::{INSIDE, ROOT, Root, base, inputs, layers, work_beside};

/// What an action's program inherits.
pub(super) struct Streams {
    /// Standard input, output and error.
    pub(super) standard: [OwnedFd; 3],
    /// The two ends of a jobserver's pipe.
    pub(super) jobserver: Option<[OwnedFd; 2]>,
}

impl Streams {
    /// From what came with a request: the action's own socket first. None when it is not that.
    pub(super) fn from(mut descriptors: Vec<OwnedFd>) -> Option<(UnixStream, Self)> {
        const FIRST: usize = 4;
        let jobserver = descriptors.split_off(descriptors.len().min(FIRST));
        let [control, input, output, errors] = <[OwnedFd; FIRST]>::try_from(descriptors).ok()?;
        let streams = Self {
            standard: [input, output, errors],
            jobserver: jobserver.try_into().ok(),
        };
        Some((control.into(), streams))
    }
}

/// Runs an action to its end, as the first process of its process namespace.
pub(super) fn run(
    request: &Request,
    host: &Host,
    network: Option<&OwnedFd>,
    control: UnixStream,
    streams: Streams,
) {
    let see = || match &request.root {
        Root::Host => see_host(request, host),
        Root::Layers(layers) => layers::enter(layers, request, host),
    };
    let prepare = || -> Result<(), Report> {
        let stacked = stack(request).map_err(Report::NotStacked)?;
        see().map_err(Report::NotPrepared)?;
        see_inputs(stacked.as_ref()).map_err(Report::NotStacked)?;
        enter_network(network)
            .and_then(|()| give_up_rights())
            .map_err(Report::NotPrepared)
    };
    let outcome = match prepare() {
        Ok(()) => carry_out(request, &control, streams, end_all),
        Err(not_prepared) => not_prepared,
    };
    report(&control, &outcome);
}

/// Stacks the action's directory on its inputs, where they are in memory.
fn stack(request: &Request) -> Result<Option<OwnedFd>, Trouble> {
    let stacked = request.inputs.as_ref().map(|name| {
        let directory = &request.directory;
        inputs::stack(name, &directory.join(ROOT), &work_beside(directory))
    });
    stacked.transpose()
}

/// Makes a root of what all actions see and of what is this one's.
fn see_host(request: &Request, host: &Host) -> Result<(), Trouble> {
    let at = |path: &Path| Trouble::at(format!("showing `{}`", path.display()));
    // What is cloned has to be so before the host's own root is out of sight.
    let directory = &request.directory;
    let own = base::clone(directory, Access::Write).map_err(at(directory))?;
    let temporary = directory.join("tmp");
    let temporary = base::clone(&temporary, Access::Write).map_err(at(&temporary))?;
    let mut shown = Vec::new();
    for item in &request.shown {
        let access = match item.writable {
            true => Access::Write,
            false => Access::Read,
        };
        match base::clone(&item.path, access) {
            Ok(tree) => shown.push((tree, item.path.as_path())),
            // Whoever misses it says so itself.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&item.path)(error)),
        }
    }
    if request.also_in_place {
        let again = base::clone(directory, Access::Write).map_err(at(directory))?;
        shown.push((again, directory.as_path()));
    }
    move_into_link_name_space(host.view.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(Trouble::at("entering the view of the system"))?;
    kernel::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWIPC)
        .map_err(Trouble::at("making namespaces"))?;
    base::attach(&temporary, Path::new("/tmp")).map_err(at(Path::new("/tmp")))?;
    attach_all(&shown, &request.hidden)?;
    for (path, target) in &request.links {
        // One that is not in the action's own directory has been made already.
        let _ = std::os::unix::fs::symlink(target, path);
    }
    base::attach(&own, Path::new(INSIDE)).map_err(at(Path::new(INSIDE)))?;
    mount_memory()?;
    // Of the kernel's settings the administrator could change what is not a namespace's.
    base::mount_processes(Path::new("/proc"), host.is_root)
}

/// Puts the action's directory with its inputs over the one without them.
fn see_inputs(stacked: Option<&OwnedFd>) -> Result<(), Trouble> {
    let root = Path::new(INSIDE).join(ROOT);
    let attached = stacked.map(|stacked| base::attach(stacked, &root));
    let attached = attached.transpose().map(drop);
    attached.map_err(Trouble::at(format!("showing `{}`", root.display())))
}

/// Shows what is to be seen and hides what is not, from the root down: each may be below another.
fn attach_all(shown: &[(OwnedFd, &Path)], hidden: &[PathBuf]) -> Result<(), Trouble> {
    let mut all: BTreeMap<&Path, Option<&OwnedFd>> = BTreeMap::new();
    all.extend(hidden.iter().map(|path| (path.as_path(), None)));
    all.extend(shown.iter().map(|(tree, path)| (*path, Some(tree))));
    for (path, tree) in all {
        let Some(tree) = tree else {
            hide(path, shown)?;
            continue;
        };
        base::attach_anew(tree, path)
            .map_err(Trouble::at(format!("showing `{}`", path.display())))?;
    }
    Ok(())
}

/// Puts something empty over a directory where it can be seen at all, with places for what is seen
/// nevertheless.
fn hide(path: &Path, shown: &[(OwnedFd, &Path)]) -> Result<(), Trouble> {
    if !path.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let hidden = || -> std::io::Result<()> {
        mount("tmpfs", path, "tmpfs", flags, c"mode=755")?;
        for (tree, place) in shown {
            if place.starts_with(path) {
                base::make_place_for(tree, place)?;
            }
        }
        let flags = flags | MountFlags::BIND | MountFlags::RDONLY;
        Ok(mount_remount(path, flags, "")?)
    };
    hidden().map_err(Trouble::at(format!("hiding `{}`", path.display())))
}

/// Shared memory of the action's own.
pub(super) fn mount_memory() -> Result<(), Trouble> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", "/dev/shm", "tmpfs", flags, c"mode=1777")
        .map_err(Trouble::at("mounting `/dev/shm`"))
}

fn enter_network(network: Option<&OwnedFd>) -> Result<(), Trouble> {
    let Some(network) = network else {
        return Ok(());
    };
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(Trouble::at("entering a network namespace"))
}

/// From here on this process has no capability, and neither has anything that it starts.
fn give_up_rights() -> Result<(), Trouble> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(Trouble::at("giving up capabilities"))?;
    // Without a terminal, whose input could be forged.
    rustix::process::setsid().map_err(Trouble::at("beginning a session"))?;
    Ok(())
}

/// Starts the program and waits until it has ended, or is to. Then whatever it has left behind is
/// ended, and waited for, by `end_all`.
pub(super) fn carry_out(
    request: &Request,
    control: &UnixStream,
    streams: Streams,
    end_all: impl FnOnce(),
) -> Report {
    let failed = |step: &str, error: std::io::Error| {
        Report::NotPrepared(Trouble::at::<std::io::Error>(step)(error))
    };
    let children = match kernel::child_signals() {
        Ok(children) => children,
        Err(error) => return failed("watching for its children", error),
    };
    let environment = match environment(request, streams.jobserver.as_ref()) {
        Ok(environment) => environment,
        Err(error) => return failed("handing on the jobserver", error),
    };
    let [input, output, errors] = streams.standard;
    #[expect(
        clippy::disallowed_types,
        reason = "this is the executor's own way to start a process, from inside the sandbox"
    )]
    let child = std::process::Command::new(&request.program)
        .args(request.arguments.iter().map(|argument| &argument.0))
        .current_dir(&request.working_directory)
        .env_clear()
        .envs(environment)
        .stdin(input)
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            let number = error.raw_os_error().unwrap_or(libc::EINVAL);
            return Report::NotStarted(number);
        }
    };
    let Some(id) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return failed("starting the program", std::io::Error::other("no process"));
    };
    let status = wait(id, control, &children);
    end_all();
    let used = kernel::used_by_children();
    Report::Ended {
        exit_code: status.and_then(|status| status.code()),
        signal: match status {
            Some(status) => status.signal(),
            None => Some(Signal::KILL.as_raw()),
        },
        cpu_microseconds: used.cpu_microseconds,
        peak_memory_bytes: used.peak_memory_bytes,
        read_bytes: used.read_bytes,
        written_bytes: used.written_bytes,
    }
}

/// The variables of the program, and of the jobserver that it inherits from here on.
fn environment(
    request: &Request,
    jobserver: Option<&[OwnedFd; 2]>,
) -> std::io::Result<BTreeMap<OsString, OsString>> {
    let mut variables = BTreeMap::new();
    if let (Some(terms), Some(ends)) = (request.jobserver, jobserver) {
        for end in ends {
            // This process starts no other program.
            fcntl_setfd(end, FdFlags::empty())?;
        }
        let told = terms.variables(ends).into_iter();
        variables.extend(told.map(|(name, value)| (name.into(), value.into())));
    }
    let declared = request.environment.iter().cloned();
    variables.extend(declared.map(|(name, value)| (name.0, value.0)));
    Ok(variables)
}

/// Waits for the program, hands on what is ordered, and buries whoever has nobody else to do it.
/// None when it has to end before its time.
fn wait(program: Pid, control: &UnixStream, children: &OwnedFd) -> Option<ExitStatus> {
    loop {
        let mut waited = [
            PollFd::new(control, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) => {}
        }
        let [ordered, ended] = waited.map(|waited| !waited.revents().is_empty());
        if ended {
            let mut buffer = [0; 1024];
            while rustix::io::read(children, &mut buffer).is_ok_and(|count| count > 0) {}
            while let Ok(Some((child, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                if child == program {
                    return Some(exit_status(status));
                }
            }
        }
        if ordered {
            let mut order = [0];
            let mut control = control;
            match control.read(&mut order) {
                Ok(1) if order == [wire::TERMINATE] => {
                    let _ = rustix::process::kill_process_group(program, Signal::TERM);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // To be ended at once, or nobody is left who waits for it.
                _ => return None,
            }
        }
    }
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    ExitStatus::from_raw(status.as_raw())
}

/// Ends every process of the namespace but this one, and waits until none is left.
fn end_all() {
    kernel::kill_all();
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
