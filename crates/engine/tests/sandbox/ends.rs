//! How what runs in the sandbox ends: by itself, by order, and with whoever started it.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use synth_engine::sandbox::{End, Request};

use crate::machine::Machine;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("ends_are_as_outside", ends_are_as_outside),
    ("what_is_left_behind_ends", what_is_left_behind_ends),
    (
        "who_ignores_the_order_is_ended",
        who_ignores_the_order_is_ended,
    ),
    (
        "nothing_outlives_a_killed_synth",
        nothing_outlives_a_killed_synth,
    ),
    ("what_it_used_is_told", what_it_used_is_told),
    ("what_cannot_be_run_is_told", what_cannot_be_run_is_told),
    ("an_ordinary_user_has_one_too", an_ordinary_user_has_one_too),
];

fn ends_are_as_outside() {
    let machine = Machine::new();
    for (script, end) in [
        ("exit 0", End::Exited(0)),
        ("exit 7", End::Exited(7)),
        ("exit 255", End::Exited(255)),
        ("kill -9 $$", End::Signalled(9)),
        ("kill -11 $$", End::Signalled(11)),
        ("kill -15 $$", End::Signalled(15)),
        // Signals are as at the start of any program.
        ("yes | head -1 > /dev/null", End::Exited(0)),
    ] {
        assert_eq!(machine.sh(script).end, end, "{script}");
    }
    assert_eq!(
        machine
            .sh("echo out; echo err >&2; pwd; echo $PPID")
            .succeeded(),
        "out\nerr\n/synth/root\n1"
    );
}

fn what_is_left_behind_ends() {
    let machine = Machine::new();
    let start = Instant::now();
    let script = "for i in 1 2 3; do (setsid sleep 1000 &) ; done; setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & echo started";
    assert_eq!(machine.sh(script).succeeded(), "started");
    assert!(start.elapsed() < Duration::from_secs(100));
    assert_eq!(
        processes_below(machine.directory.path()),
        Vec::<String>::new()
    );
}

fn who_ignores_the_order_is_ended() {
    let machine = Machine::new();
    let said = |script: &str| {
        let run = machine.run_until(&machine.script(script), Duration::from_secs(1));
        assert_eq!(run.end, End::TimedOut, "{}", run.said);
        run.said
    };
    assert_eq!(
        said("trap 'echo bye; exit' TERM; sleep 1000 & wait"),
        "bye\n"
    );
    assert_eq!(
        said("trap '' TERM; echo deaf; while :; do sleep 1000; done"),
        "deaf\n"
    );
    assert_eq!(
        processes_below(machine.directory.path()),
        Vec::<String>::new()
    );
}

/// Starts an action in a process of its own, which is then killed.
fn nothing_outlives_a_killed_synth() {
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    #[expect(
        clippy::disallowed_types,
        reason = "the test is about a process that is killed"
    )]
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args([crate::VICTIM, directory.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 1];
    // The action runs when it has said so.
    victim.stdout.take().unwrap().read_exact(&mut said).unwrap();
    assert!(!processes_below(directory.path()).is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !processes_below(directory.path()).is_empty() {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            processes_below(directory.path())
        );
        std::thread::yield_now();
    }
}

/// What the victim does.
pub(crate) fn wait_in_the_sandbox(directory: &str) -> ExitCode {
    let machine = Machine::new();
    let request = Request {
        directory: Path::new(directory).to_owned(),
        ..machine.script("trap '' TERM HUP; (setsid sleep 1000 &); echo x; exec sleep 1000")
    };
    for name in ["root", "tmp"] {
        std::fs::create_dir_all(request.directory.join(name)).unwrap();
    }
    let output = rustix::io::dup(rustix::stdio::stdout()).unwrap();
    let finished = machine.finish(&request, output.into(), Duration::from_secs(1000));
    ExitCode::from(u8::from(finished.is_err()))
}

fn what_it_used_is_told() {
    let machine = Machine::new();
    // 64 MiB held by a child of a child.
    let script =
        "sh -c 'perl -e \"my \\$x = q(x) x 67108864; my \\$i = 0; \\$i++ while \\$i < 3000000\"'";
    let log = tempfile::tempfile().unwrap();
    let finished = machine
        .finish(&machine.script(script), log, Duration::from_secs(300))
        .unwrap();
    assert!(
        finished.peak_memory_bytes > 64 * 1024 * 1024,
        "{finished:?}"
    );
    assert!(finished.cpu > Duration::from_millis(20), "{finished:?}");
    // How much goes to a disk depends on where the directory is.
    assert!(finished.read_bytes.is_some() && finished.written_bytes.is_some());
}

fn what_cannot_be_run_is_told() {
    let machine = Machine::new();
    machine.write("action/root/plain", "no program");
    for (program, kind) in [
        ("/nothing", std::io::ErrorKind::NotFound),
        ("/synth/root/plain", std::io::ErrorKind::PermissionDenied),
    ] {
        let request = Request {
            program: program.into(),
            ..machine.script("")
        };
        let log = tempfile::tempfile().unwrap();
        let error = machine
            .finish(&request, log, Duration::from_secs(300))
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{program}");
    }
    let request = Request {
        directory: machine.path("nothing"),
        ..machine.script("")
    };
    let log = tempfile::tempfile().unwrap();
    let error = machine
        .finish(&request, log, Duration::from_secs(300))
        .unwrap_err();
    let shown = error
        .to_string()
        .replace(machine.directory.path().to_str().unwrap(), "");
    assert_eq!(
        shown,
        "showing `/nothing`: No such file or directory (os error 2)"
    );
    // And the sandbox is still there.
    machine.sh("true").succeeded();
}

/// The attacks again, by somebody who is not the administrator, where these tests are.
fn an_ordinary_user_has_one_too() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = directory.path().join("sandbox");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    #[expect(
        clippy::disallowed_types,
        reason = "another user needs another process"
    )]
    let run = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["--skip", "an_ordinary", "--skip", "starting_costs"])
        .env("HOME", "/nonexistent")
        .env("INSTA_UPDATE", "no")
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
}

/// The processes that work below a directory, by what their root holds of it.
fn processes_below(directory: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let shown = directory.to_str().unwrap();
    processes
        .filter(|entry| {
            // Its mounts tell where `/synth` comes from.
            let mounts = std::fs::read_to_string(entry.path().join("mountinfo"));
            mounts.is_ok_and(|mounts| {
                mounts
                    .lines()
                    .any(|line| line.contains(shown) && line.contains(" /synth "))
            })
        })
        .map(|entry| entry.path().display().to_string())
        .collect()
}
