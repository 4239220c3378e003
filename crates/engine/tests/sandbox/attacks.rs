//! Ways out of the sandbox, each with what comes of it.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};

use synth_engine::sandbox::{End, Shown};

use crate::machine::Machine;

pub(crate) const TESTS: &[(&str, fn())] = &[
    (
        "the_home_directory_is_not_there",
        the_home_directory_is_not_there,
    ),
    ("the_system_cannot_be_written", the_system_cannot_be_written),
    ("the_source_tree_is_not_there", the_source_tree_is_not_there),
    ("loopback_is_its_own", loopback_is_its_own),
    (
        "sockets_of_the_machine_are_not_there",
        sockets_of_the_machine_are_not_there,
    ),
    ("other_processes_are_not_seen", other_processes_are_not_seen),
    ("links_and_dots_lead_nowhere", links_and_dots_lead_nowhere),
    ("a_set_uid_file_gives_nothing", a_set_uid_file_gives_nothing),
    ("proc_leads_nowhere", proc_leads_nowhere),
    ("nothing_can_be_mounted", nothing_can_be_mounted),
    ("devices_cannot_be_made", devices_cannot_be_made),
    ("the_keyring_is_out_of_reach", the_keyring_is_out_of_reach),
    (
        "the_network_does_not_show_what_is_hidden",
        the_network_does_not_show_what_is_hidden,
    ),
];

fn the_home_directory_is_not_there() {
    let machine = Machine::new();
    let secret = machine.write("home/.ssh/id", "secret");
    let home = std::env::var("HOME").unwrap();
    for path in [
        secret.to_str().unwrap(),
        &home,
        "/home",
        "/root",
        "/var/lib",
        "/mnt",
        "/srv",
    ] {
        let run = machine.sh(&format!("ls -la '{path}'"));
        assert_ne!(run.end, End::Exited(0), "{path}: {}", run.said);
        assert!(run.said.contains("No such file"), "{path}: {}", run.said);
    }
    assert_eq!(
        machine.sh("ls -A ~ /tmp /var/tmp /run").succeeded(),
        "/run:\n\n/synth/home:\n\n/tmp:\n\n/var/tmp:"
    );
}

fn the_system_cannot_be_written() {
    let machine = Machine::new();
    for path in [
        "/x",
        "/usr/x",
        "/etc/x",
        "/dev/x",
        "/run/x",
        "/proc/x",
        "/sys/x",
        "/opt/x",
        "/synth/../x",
    ] {
        let run = machine.sh(&format!("echo > {path}"));
        assert_ne!(run.end, End::Exited(0), "{path}");
    }
    // What is its own can be, and what it leaves belongs to the user.
    machine
        .sh("echo kept > out; echo > ~/x; echo > /tmp/x; echo > /dev/shm/x; echo > /dev/null")
        .succeeded();
    let left = machine.path("action/root/out");
    assert_eq!(std::fs::read_to_string(&left).unwrap(), "kept\n");
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&left.metadata().unwrap()),
        user
    );
}

fn the_source_tree_is_not_there() {
    let machine = Machine::new();
    let source = machine.write("project/main.c", "int x;");
    let project = machine.path("project");
    let run = machine.sh(&format!("echo changed > '{}'", source.display()));
    assert!(
        run.said.contains("nonexistent") || run.said.contains("No such"),
        "{}",
        run.said
    );
    // Shown, it can be read and not be written.
    let mut request = machine.script(&format!(
        "cd '{}' && cat main.c && ! echo changed > main.c && ! rm main.c && ! mv main.c x",
        project.display()
    ));
    request.shown = vec![Shown {
        path: project,
        writable: false,
    }];
    let run = machine.run(&request);
    assert!(run.succeeded().starts_with("int x;"));
    assert!(run.said.contains("Read-only file system"), "{}", run.said);
    assert_eq!(std::fs::read_to_string(source).unwrap(), "int x;");
}

/// Connects to a port of loopback, as a language that is everywhere can.
fn connect(port: u16) -> String {
    format!(
        "perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr=>\"127.0.0.1:{port}\", Timeout=>5) or die \"refused: $@\"'"
    )
}

fn loopback_is_its_own() {
    let machine = Machine::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let run = machine.sh(&connect(port));
    assert!(run.said.contains("refused"), "{:?} {}", run.end, run.said);
    // Who declares the network gets it.
    machine
        .sh_with_network(&connect(port), &machine.path("action"))
        .succeeded();
    // A test may listen to itself, and the next one does not find it.
    let script = "my $l = IO::Socket::INET->new(Listen=>1, LocalAddr=>\"127.0.0.1:4321\") or die \"bind: $!\"; my $c = IO::Socket::INET->new(PeerAddr=>\"127.0.0.1:4321\") or die \"connect: $!\"; my $s = $l->accept; close $s;";
    for _ in 0..2 {
        machine
            .sh(&format!("perl -MIO::Socket::INET -e '{script}'"))
            .succeeded();
    }
    let run = machine.sh(&connect(4321));
    assert!(run.said.contains("refused"), "{}", run.said);
}

fn sockets_of_the_machine_are_not_there() {
    let machine = Machine::new();
    let path = machine.path("docker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let name = format!("synth-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _hidden = UnixListener::bind_addr(&address).unwrap();
    let connect = |path: &str| {
        format!(
            "perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un(\"{path}\")) or die \"refused: $!\"'"
        )
    };
    for path in [
        path.to_str().unwrap(),
        "/run/docker.sock",
        "/var/run/docker.sock",
        &format!("\\0{name}"),
    ] {
        let run = machine.sh(&connect(path));
        assert!(
            run.said.contains("refused"),
            "{path}: {:?} {}",
            run.end,
            run.said
        );
    }
    // With the network, what is shown can be reached, though it is read-only.
    machine
        .sh_with_network(&connect(path.to_str().unwrap()), &path)
        .succeeded();
}

fn other_processes_are_not_seen() {
    let machine = Machine::new();
    let own = std::process::id();
    let run = machine.sh("ls -d /proc/[0-9]*");
    let seen = run.succeeded().lines().count();
    assert!(seen <= 4, "{}", run.said);
    for script in [
        format!("kill -0 {own}"),
        "cat /proc/1/environ".into(),
        "cat /proc/1/mem".into(),
        "readlink /proc/1/fd/0".into(),
        "cat /proc/1/fd/3".into(),
        "readlink /proc/1/ns/mnt".into(),
        "ls /proc/1/root/".into(),
        // ptrace of the first process, which made the sandbox: PTRACE_ATTACH is 16.
        "perl -e 'exit(syscall(101, 16, 1, 0, 0) == -1 ? 1 : 0)'".into(),
    ] {
        let run = machine.sh(&script);
        assert_ne!(run.end, End::Exited(0), "{script}: {}", run.said);
    }
    // Signals to the first process are lost.
    machine.sh("kill -9 1; kill -19 1; kill -0 1").succeeded();
}

fn links_and_dots_lead_nowhere() {
    let machine = Machine::new();
    let secret = machine.write("secret", "secret");
    symlink(&secret, machine.path("action/root/input")).unwrap();
    symlink(
        "../../../../../../../../../../var/tmp",
        machine.path("action/root/up"),
    )
    .unwrap();
    for script in [
        "cat input",
        "echo changed > input",
        "cat ../../../../../../../../var/tmp/*/secret",
        "cat up/*/secret",
        "cat /synth/../var/tmp/*/secret",
        "cd / && cat ../../var/tmp/*/secret",
    ] {
        assert_ne!(machine.sh(script).end, End::Exited(0), "{script}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    // A link that it leaves says something, and is not followed for it.
    machine
        .sh(&format!("ln -s '{}' out", secret.display()))
        .succeeded();
    assert!(machine.path("action/root/out").is_symlink());
}

fn a_set_uid_file_gives_nothing() {
    let machine = Machine::new();
    let copy = machine.path("action/root/id");
    std::fs::copy("/usr/bin/id", &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let own = rustix::process::geteuid().as_raw().to_string();
    assert_eq!(machine.sh("./id -u").succeeded(), own);
    let run = machine.sh("grep -E '^(CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '");
    insta::assert_snapshot!(run.succeeded(), @r"
    CapPrm: 0000000000000000
    CapEff: 0000000000000000
    CapBnd: 0000000000000000
    CapAmb: 0000000000000000
    NoNewPrivs: 1
    Seccomp: 2
    ");
    assert!(
        machine
            .sh("grep ' /synth ' /proc/mounts")
            .succeeded()
            .contains("nosuid")
    );
}

fn proc_leads_nowhere() {
    let machine = Machine::new();
    let secret = machine.write("secret", "secret");
    let path = secret.display();
    for script in [
        format!("cat /proc/self/root{path}"),
        format!("cat /proc/1/root{path}"),
        format!("cat /proc/self/cwd/../../..{path}"),
        "cat /proc/1/cwd/etc/passwd".into(),
        "echo x > /proc/sys/kernel/hostname".into(),
        "echo '|/synth/root/x' > /proc/sys/kernel/core_pattern".into(),
        "echo 1 > /proc/sys/vm/drop_caches".into(),
        "echo h > /proc/sysrq-trigger".into(),
        "head -c 1 /proc/kcore".into(),
        // Nothing of what others have open.
        "ls /proc/self/fd | grep -vE '^[0-3]$'".into(),
    ] {
        assert_ne!(machine.sh(&script).end, End::Exited(0), "{script}");
    }
}

fn nothing_can_be_mounted() {
    let machine = Machine::new();
    let secret = machine.write("secret", "secret");
    for script in [
        "mount -t tmpfs none /tmp".to_owned(),
        "mount -o remount,rw /usr".into(),
        "mount -o remount,rw /".into(),
        "umount /proc".into(),
        "umount -l /synth".into(),
        "chroot / true".into(),
        // Namespaces of its own bring nothing to light that is not there.
        format!(
            "unshare -Urm sh -c 'umount -l /tmp; umount -l /proc; umount -l /synth; cat {}'",
            secret.display()
        ),
        "unshare -Urm mount -o remount,rw,bind /usr".into(),
        "unshare -Urm sh -c 'echo > /usr/x'".into(),
    ] {
        let run = machine.sh(&script);
        assert_ne!(run.end, End::Exited(0), "{script}: {}", run.said);
    }
}

fn devices_cannot_be_made() {
    let machine = Machine::new();
    for script in [
        "mknod x b 8 0",
        "mknod x c 1 1",
        "mknod /dev/x c 1 1",
        "ls /dev/sda /dev/vda /dev/mem /dev/kmsg /dev/fuse",
    ] {
        assert_ne!(machine.sh(script).end, End::Exited(0), "{script}");
    }
    assert_eq!(
        machine.sh("ls /dev | tr '\\n' ' '").succeeded(),
        "fd full null random shm stderr stdin stdout tty urandom zero"
    );
    // Those that are there work.
    machine
        .sh("head -c 8 /dev/urandom > /dev/null && echo x > /dev/stdout")
        .succeeded();
}

fn the_keyring_is_out_of_reach() {
    let machine = Machine::new();
    // add_key, request_key and keyctl are 248, 249 and 250 on x86-64.
    for number in [248, 249, 250] {
        let run = machine.sh(&format!(
            "perl -e 'print syscall({number}, 0, 0, 0, 0, 0), \" \", $!+0'"
        ));
        // ENOSYS
        assert_eq!(run.succeeded(), "-1 38");
    }
}

fn the_network_does_not_show_what_is_hidden() {
    let machine = Machine::new();
    machine.write("home/.netrc", "token");
    machine.write("home/project/main.c", "source");
    machine.write("home/.cache/synth/cas", "store");
    let home = machine.path("home");
    let mut request = machine.script(&format!(
        "cd '{}' && cat .netrc && ls -A project .cache/synth && echo > .new && ! echo > project/x",
        home.display()
    ));
    request.network = true;
    request.shown = vec![Shown {
        path: home.clone(),
        writable: true,
    }];
    request.hidden = vec![home.join("project"), home.join(".cache/synth")];
    let run = machine.run(&request);
    assert!(
        run.succeeded()
            .starts_with("token.cache/synth:\n\nproject:"),
        "{}",
        run.said
    );
    assert!(home.join(".new").exists());
    // In its own place the action's directory is there, though what is above is hidden.
    let directory = home.join(".cache/synth/work/a");
    for name in ["root", "tmp"] {
        std::fs::create_dir_all(directory.join(name)).unwrap();
    }
    request.directory = directory.clone();
    request.also_in_place = true;
    let script = format!(
        "echo x > '{}/root/out'; ls '{}'",
        directory.display(),
        home.join(".cache/synth").display()
    );
    request.arguments = vec!["-c".into(), script.into()];
    assert_eq!(machine.run(&request).succeeded(), "work");
    assert!(directory.join("root/out").exists());
}
