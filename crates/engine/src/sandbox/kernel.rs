//! What the sandbox asks of the kernel that no safe interface offers: the one file with `unsafe`.
//! Everything here is for the sandbox's host process, which has a single thread.

#![expect(
    unsafe_code,
    reason = "fork, namespaces and system calls without a safe wrapper; each use says what it owes"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which attributes a tree of mounts gets (mount_setattr(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    /// As [`Access::Write`], and what is in it may be a device.
    Device,
}

/// Leaves namespaces for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the only obligation is towards other threads that would share this one's files;
    // the host has none, and `FILES` is not asked for.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// Starts a copy of this process that runs `child` and ends with the status it gives.
pub(super) fn fork(child: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: the host process has one thread, so no lock can be held by another one in the copy,
    // and whatever is safe before the fork is safe after it.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = child();
            // SAFETY: ends the copy at once, without the exit handlers that belong to the original.
            unsafe { libc::_exit(status.into()) }
        }
        id => Pid::from_raw(id).ok_or_else(|| io::Error::other("fork gave no process")),
    }
}

/// Sets what may be done with a tree of mounts that was cloned, and that nothing which is mounted
/// or unmounted elsewhere shows in it.
pub(super) fn restrict(tree: BorrowedFd<'_>, access: Access) -> io::Result<()> {
    const RECURSIVE: libc::c_int = 0x8000;
    let devices = match access {
        Access::Device => 0,
        _ => libc::MOUNT_ATTR_NODEV,
    };
    let writing = match access {
        Access::Read => libc::MOUNT_ATTR_RDONLY,
        _ => 0,
    };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_NOSUID | devices | writing,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is a C string, and the attributes live and have the size that is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(result)
}

/// Keeps every descriptor but the standard ones from programs that are executed: what whoever
/// started synth has left open leads to the machine's own files.
pub(super) fn keep_descriptors() -> io::Result<()> {
    const FIRST: libc::c_uint = 3;
    // SAFETY: no descriptor is closed before something else is executed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(result)
}

/// Gives this process and those that it starts a session keyring of their own (keyrings(7)), where
/// the kernel has keyrings.
pub(super) fn leave_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: no pointer is passed but the null that asks for a keyring without a name.
    unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        );
    }
}

/// Refuses system calls to this process and those that it starts, for good, as if the kernel did
/// not have them: see [`filter`](super::filter).
pub(super) fn refuse_system_calls() -> io::Result<()> {
    let mut program = super::filter::program();
    if program.is_empty() {
        return Ok(());
    }
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program lives, has the length that is told, and is copied by the kernel.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        )
    };
    check(result)
}

/// A descriptor that can be read when a child has ended (signalfd(2)). The signal is no longer
/// delivered in another way.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialized by `sigemptyset` before it is read, and lives through the
    // calls; the descriptor is new, and nobody else's.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(descriptor.into())?;
        Ok(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Ends every other process of this namespace, whose first one this is (kill(2)).
pub(super) fn kill_all() {
    // Of any other namespace it would be every process of the user.
    if !rustix::process::getpid().is_init() {
        return;
    }
    // SAFETY: no memory is involved.
    unsafe {
        libc::kill(-1, libc::SIGKILL);
    }
}

/// What the children that were waited for have used, and those that they have waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu_microseconds: u64,
    /// Of the largest; 0 when not known.
    pub(super) peak_memory_bytes: u64,
    /// What came from the disk, and what is to be written to it.
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// What ended children have used. Until it executes its program a child shares this process's memory,
/// and that is counted too (`exec_mmap` of Linux): no more than that tells nothing, which is 0.
pub(super) fn used_by_children() -> Used {
    let usage = usage_of(libc::RUSAGE_CHILDREN);
    // In KiB (getrusage(2)).
    let peak = |usage: &libc::rusage| u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    let most = peak(&usage);
    let own = peak(&usage_of(libc::RUSAGE_SELF));
    let microseconds = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
    };
    // In blocks of 512 bytes, whatever the file system has (getrusage(2)).
    let bytes = |blocks: libc::c_long| u64::try_from(blocks).unwrap_or(0).saturating_mul(512);
    Used {
        cpu_microseconds: microseconds(usage.ru_utime) + microseconds(usage.ru_stime),
        peak_memory_bytes: if most > own { most } else { 0 },
        read_bytes: bytes(usage.ru_inblock),
        written_bytes: bytes(usage.ru_oublock),
    }
}

fn usage_of(whose: libc::c_int) -> libc::rusage {
    // SAFETY: a usage of zeros is a valid one, and the pointer is to it.
    unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(whose, &raw mut usage);
        usage
    }
}

/// Brings up the loopback device of this process's network namespace (netdevice(7)).
pub(super) fn bring_up_loopback() -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: a request of zeros is a valid one; the name in it ends with a zero, and the request
    // lives through the calls.
    unsafe {
        let mut request = std::mem::zeroed::<libc::ifreq>();
        for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
            *to = libc::c_char::try_from(*from).map_err(io::Error::other)?;
        }
        let up = libc::IFF_UP | libc::IFF_RUNNING;
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).map_err(io::Error::other)?;
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request).into())
    }
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
