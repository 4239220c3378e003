//! The sandbox's host process: makes namespaces and the system's view once for a build, then
//! starts its actions. It has one thread and little memory, so that it is forked cheaply, and it
//! ends with all it has started when the other side of its socket is closed.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{DumpableBehavior, Pid, WaitOptions};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, LinkNameSpaceType, UnshareFlags,
    move_into_link_name_space,
};
use synth_core::Diagnostic;

use super::action::{self, Streams};
use super::base::{self, Base};
use super::wire::{self, Beginning, Hold, Request, Trouble};
use super::{Root, inputs, kernel, together};
use crate::plugin::take_socket;

/// Serves the sandbox of a build, or what its actions have instead of one, until the other side of
/// the socket on standard input is closed.
///
/// # Errors
/// When the process was not started by synth: there is no such socket.
pub fn serve() -> Result<(), Diagnostic> {
    let mut socket = take_socket().map_err(|error| {
        Diagnostic::error(
            "sandbox.host",
            "this command is for synth itself, which starts it for a sandbox",
        )
        .caused_by(&error)
    })?;
    // Whoever does not say how is gone.
    let child = match wire::read(&mut socket) {
        Ok(Hold::Confined) => enter_namespaces(),
        Ok(Hold::Together { lock }) => {
            let lock = lock.map(|lock| PathBuf::from(lock.0));
            let _ = together::serve(socket, lock.as_deref());
            return Ok(());
        }
        Err(_) => return Ok(()),
    };
    let child = child.and_then(|()| {
        let host = socket
            .try_clone()
            .map_err(Trouble::at("copying a socket"))?;
        // The first process of a process namespace has to be a new one.
        kernel::fork(|| u8::from(work(host).is_err())).map_err(Trouble::at("starting a process"))
    });
    match child {
        Ok(child) => {
            // The host is its other end from here on, and its end is the end of this.
            drop(socket);
            while rustix::process::waitpid(Some(child), WaitOptions::empty())
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
        }
        Err(trouble) => {
            // When the other side is gone nobody is left to be told.
            let _ = wire::write(&mut socket, &Beginning::Refused(trouble));
        }
    }
    Ok(())
}

/// New namespaces for everything but the network, in which the user is who they are.
fn enter_namespaces() -> Result<(), Trouble> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    kernel::keep_descriptors().map_err(Trouble::at("keeping descriptors"))?;
    kernel::unshare(
        UnshareFlags::NEWUSER
            | UnshareFlags::NEWNS
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWUTS
            | UnshareFlags::NEWIPC,
    )
    .map_err(Trouble::at("making namespaces"))?;
    let told = |path: &str, text: &str| {
        std::fs::write(path, text).map_err(Trouble::at(format!("writing `{path}`")))
    };
    told("/proc/self/setgroups", "deny")?;
    told("/proc/self/uid_map", &format!("{user} {user} 1"))?;
    told("/proc/self/gid_map", &format!("{group} {group} 1"))
}

/// What the host keeps for its actions.
pub(super) struct Host {
    /// The mount namespace with the root that they see.
    pub(super) view: OwnedFd,
    /// Its own process namespace.
    processes: OwnedFd,
    /// Whether the user may do what only the administrator may.
    pub(super) is_root: bool,
    /// The directory of inputs in memory, where the system allows it.
    inputs: Option<OwnedFd>,
    /// Network namespaces that no action uses.
    idle_networks: Vec<OwnedFd>,
    running: HashMap<Pid, Option<OwnedFd>>,
}

fn work(mut socket: UnixStream) -> io::Result<()> {
    let host = Host::prepare();
    let (host, beginning) = match host {
        Ok(host) => {
            let inputs = host.inputs.is_some();
            (Some(host), Beginning::Ready { inputs })
        }
        Err(trouble) => (None, Beginning::Refused(trouble)),
    };
    wire::write(&mut socket, &beginning)?;
    match host {
        Some(mut host) => {
            if let Some(inputs) = &host.inputs {
                send_descriptor(&socket, inputs)?;
            }
            host.serve(&socket)
        }
        None => Ok(()),
    }
}

impl Host {
    fn prepare() -> Result<Self, Trouble> {
        // What is mounted and unmounted outside shows here, and not the other way round.
        mount_change(
            "/",
            MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
        )
        .map_err(Trouble::at("keeping mounts to itself"))?;
        // Every build has the same name for the machine, and one that resolves.
        rustix::system::sethostname(b"localhost").map_err(Trouble::at("naming the machine"))?;
        let base = Base::stage()?;
        let view = in_child("mnt", || base.enter())?;
        // Without it inputs are on the disk.
        let inputs = inputs::mount_memory().ok();
        let own = |error| Trouble::at("looking at its own namespace")(error);
        let mut host = Self {
            view,
            processes: open_namespace("pid").map_err(own)?,
            is_root: rustix::process::geteuid().is_root(),
            inputs,
            idle_networks: Vec::new(),
            running: HashMap::new(),
        };
        give_up_privileges()?;
        // One is always needed, and this is where it shows whether there can be any.
        host.idle_networks.push(new_network()?);
        // Nothing that it starts may look into it.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(Trouble::at("protecting its memory"))?;
        Ok(host)
    }

    /// Starts what is asked for until nobody is left to ask.
    fn serve(&mut self, socket: &UnixStream) -> io::Result<()> {
        let children = kernel::child_signals()?;
        loop {
            let mut waited = [
                PollFd::new(socket, PollFlags::IN),
                PollFd::new(&children, PollFlags::IN),
            ];
            match poll(&mut waited, None) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled?,
            };
            let [asked, ended] = waited.map(|waited| !waited.revents().is_empty());
            if ended {
                drain(&children);
                self.reap();
            }
            if asked {
                match wire::receive(socket)? {
                    Some((request, descriptors)) => self.start(request, descriptors),
                    None => return Ok(()),
                }
            }
        }
    }

    fn start(&mut self, request: Request, descriptors: Vec<OwnedFd>) {
        let Some((control, streams)) = Streams::from(descriptors) else {
            return;
        };
        let tell = control.try_clone();
        if let Err(trouble) = self.fork_action(&request, control, streams)
            && let Ok(mut control) = tell
        {
            let _ = wire::write(&mut control, &wire::Report::NotPrepared(trouble));
        }
    }

    fn fork_action(
        &mut self,
        request: &Request,
        control: UnixStream,
        streams: Streams,
    ) -> Result<(), Trouble> {
        make_places(request)?;
        let network = match (request.network, self.idle_networks.pop()) {
            (true, idle) => {
                self.idle_networks.extend(idle);
                None
            }
            (false, Some(idle)) => Some(idle),
            (false, None) => Some(new_network()?),
        };
        kernel::unshare(UnshareFlags::NEWPID).map_err(Trouble::at("making a process namespace"))?;
        let child = kernel::fork(|| {
            action::run(request, self, network.as_ref(), control, streams);
            0
        });
        move_into_link_name_space(self.processes.as_fd(), Some(LinkNameSpaceType::ProcessID))
            .map_err(Trouble::at("returning to its own process namespace"))?;
        let child = child.map_err(Trouble::at("starting a process"))?;
        self.running.insert(child, network);
        Ok(())
    }

    /// Takes note of actions that have ended, of which nothing is left.
    fn reap(&mut self) {
        while let Ok(Some((child, _))) = rustix::process::wait(WaitOptions::NOHANG) {
            self.idle_networks
                .extend(self.running.remove(&child).flatten());
        }
    }
}

/// Capabilities stay with the host, for its own namespaces; what is executed gets none, not even as
/// the administrator.
fn give_up_privileges() -> Result<(), Trouble> {
    const STEP: &str = "giving up privileges";
    kernel::leave_keyring();
    for number in 0..CapabilitySet::all().bits().count_ones() {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // One that this kernel does not know is none that it gives.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED,
    )
    .map_err(Trouble::at(STEP))?;
    rustix::thread::set_no_new_privs(true).map_err(Trouble::at(STEP))?;
    kernel::refuse_system_calls().map_err(Trouble::at(STEP))
}

/// A network of nothing but its own loopback, on which a server can listen for its tests.
fn new_network() -> Result<OwnedFd, Trouble> {
    in_child("net", || {
        kernel::unshare(UnshareFlags::NEWNET)
            .and_then(|()| kernel::bring_up_loopback())
            .map_err(Trouble::at("making a network namespace"))?;
        // The next action finds no connection that the last one has closed.
        let _ = std::fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", "0");
        Ok(())
    })
}

fn make_places(request: &Request) -> Result<(), Trouble> {
    let at = |path: &Path| Trouble::at(format!("making a place for `{}`", path.display()));
    if matches!(request.root, Root::Layers(_)) {
        return base::make_skeleton().map_err(Trouble::at("making what images are laid upon"));
    }
    if request.also_in_place {
        base::make_place(&request.directory, true).map_err(at(&request.directory))?;
    }
    for shown in &request.shown {
        // What is gone meanwhile is told when it is to be mounted.
        let is_directory = shown.path.is_dir();
        base::make_place(&shown.path, is_directory).map_err(at(&shown.path))?;
    }
    for (path, target) in &request.links {
        base::make_link(path, target).map_err(at(path))?;
    }
    Ok(())
}

/// Has a new process go into namespaces, and gives the one of this kind that it ended up in.
fn in_child(kind: &str, enter: impl FnOnce() -> Result<(), Trouble>) -> Result<OwnedFd, Trouble> {
    const STEP: &str = "making a namespace";
    let failed = || Trouble::at(STEP);
    let (here, mut there) = UnixStream::pair().map_err(failed())?;
    let child = kernel::fork(|| {
        let entered = enter().and_then(|()| {
            let namespace = open_namespace(kind).map_err(failed())?;
            send_descriptor(&there, &namespace).map_err(failed())
        });
        if let Err(trouble) = entered {
            let _ = wire::write(&mut there, &trouble);
        }
        0
    })
    .map_err(failed())?;
    drop(there);
    let received = receive_descriptor(&here).map_err(failed())?;
    rustix::process::waitpid(Some(child), WaitOptions::empty()).map_err(Trouble::at(STEP))?;
    received
}

fn open_namespace(kind: &str) -> io::Result<OwnedFd> {
    std::fs::File::open(format!("/proc/self/ns/{kind}")).map(OwnedFd::from)
}

fn send_descriptor(socket: &UnixStream, descriptor: &OwnedFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(
        socket,
        &[io::IoSlice::new(b"\0")],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The descriptor that a child sends, or the trouble that it tells instead.
pub(super) fn receive_descriptor(socket: &UnixStream) -> io::Result<Result<OwnedFd, Trouble>> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [io::IoSliceMut::new(&mut bytes)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match descriptor {
        Some(descriptor) => Ok(Ok(descriptor)),
        None => {
            let mut told = bytes.get(..received.bytes).unwrap_or_default();
            wire::read(&mut told).map(Err)
        }
    }
}

pub(super) fn drain(signals: &OwnedFd) {
    let mut buffer = [0; 1024];
    while rustix::io::read(signals, &mut buffer).is_ok_and(|count| count > 0) {}
}

/// Writes what became of an action where synth waits for it.
pub(super) fn report(control: &UnixStream, report: &wire::Report) {
    let mut control = control;
    // When the other side is gone nobody is left to be told.
    let _ = wire::write(&mut control, report).and_then(|()| control.flush());
}
