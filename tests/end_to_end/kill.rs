//! The binary killed or interrupted in the middle of its work: what was there before stays whole.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::plugin_fixtures::directory_with;
use crate::workspace::Workspace;

/// A site whose command tells a file beside the project which process it is: no sandbox lets it.
const OUTSIDE: &str = "sandbox = \"off\"\n[targets.site]\ntype = \"static\"\nsource_path = \"web\"\nbuild_command = \"sh build.sh\"\nbuild_output = \"out\"\n";

const OUTPUTS: [&str; 3] = ["dist/api", "dist/site", "dist/image"];

#[test]
fn a_build_killed_at_any_moment_leaves_the_earlier_outputs_whole() {
    let workspace = Workspace::with_example("storefront");
    workspace.build([""; 0]).succeeded();
    let lines = rebuild_everything(&workspace, 0);
    assert!(lines >= 5, "a rebuild tells of its progress: {lines} lines");
    let mut killed = 0;
    // A build may end just before it is killed; then the next moment is tried as well.
    for attempt in 1..=20_usize {
        if killed == 10 {
            break;
        }
        let before = OUTPUTS.map(|path| workspace.digest(path));
        edit_everything(&workspace, attempt);
        // Spread over the lines of a whole rebuild and the time between two of them.
        let line = attempt * 7 % lines;
        let delay = Duration::from_millis(u64::try_from(attempt * 13 % 41).unwrap());
        let mut build = start(&workspace);
        let told = told(&mut build);
        for _ in 0..line {
            let _ = told.recv();
        }
        let deadline = Instant::now() + delay;
        while told.recv_timeout(deadline - Instant::now()).is_ok() {}
        build.kill().unwrap();
        killed += u32::from(build.wait().unwrap().signal() == Some(9));
        let after = OUTPUTS.map(|path| workspace.digest(path));

        workspace.build([""; 0]).succeeded();
        let next = OUTPUTS.map(|path| workspace.digest(path));
        for (index, path) in OUTPUTS.iter().enumerate() {
            assert!(
                after[index] == before[index] || after[index] == next[index],
                "{path} is neither the earlier nor the later one after a kill at line {line}"
            );
            assert_ne!(before[index], next[index], "{path} was rebuilt");
        }
        assert_no_leftovers(&workspace);
    }
    assert_eq!(killed, 10, "builds that were killed before they ended");
}

#[test]
fn an_interrupted_build_says_so_and_leaves_the_earlier_outputs() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let workspace = Workspace::with_files([
            ("synth.toml", OUTSIDE),
            (
                "web/build.sh",
                "mkdir -p out\necho '<!doctype html><title>One</title>' > out/index.html\n",
            ),
        ]);
        workspace.build([""; 0]).succeeded();
        let before = workspace.digest("dist/site");
        // Waits for what never comes, and tells that it does.
        workspace.write(
            "web/build.sh",
            format!(
                "echo $$ > '{}'\nexec sleep 1000\n",
                workspace.beside("running").display()
            ),
        );
        let mut build = start(&workspace);
        let told = told(&mut build);
        let running = workspace.beside("running");
        let command = loop {
            let text = std::fs::read_to_string(&running).unwrap_or_default();
            if text.ends_with('\n') {
                break Pid::from_raw(text.trim().parse().unwrap()).unwrap();
            }
            assert!(
                build.try_wait().unwrap().is_none(),
                "the build ended by itself"
            );
            let _ = told.recv_timeout(Duration::from_millis(10));
        };
        let process = Pid::from_raw(i32::try_from(build.id()).unwrap()).unwrap();
        kill_process(process, signal).unwrap();
        assert_eq!(build.wait().unwrap().code(), Some(code));
        assert_eq!(workspace.digest("dist/site"), before);
        assert!(has_ended(command), "the command was ended too");
    }
}

#[test]
fn a_signal_ends_a_plugin_that_plans_without_end() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.a]\ntype = \"faults\"\nsource_path = \"src\"\nfault = \"loop in plan\"\n",
        ),
        ("src/a.txt", ""),
    ]);
    let plugins = directory_with(&workspace, &["faults"]);
    let workspace = workspace.variable("SYNTH_PLUGIN_DIR", plugins);
    let mut build = start(&workspace);
    let told = told(&mut build);
    let plugin = loop {
        if let Some(plugin) = child_of(build.id()) {
            break plugin;
        }
        assert!(
            build.try_wait().unwrap().is_none(),
            "the build ended by itself"
        );
        let _ = told.recv_timeout(Duration::from_millis(10));
    };
    let process = Pid::from_raw(i32::try_from(build.id()).unwrap()).unwrap();
    let interrupted = Instant::now();
    kill_process(process, Signal::INT).unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(130));
    // The plugin itself has a minute.
    assert!(interrupted.elapsed() < Duration::from_secs(20));
    assert!(has_ended(plugin), "the plugin was ended too");
}

#[test]
fn a_second_signal_ends_what_is_deaf_to_the_first() {
    let workspace = Workspace::with_files([
        ("synth.toml", OUTSIDE),
        ("web/index.html", "<!doctype html><title>One</title>"),
    ]);
    let running = workspace.beside("running");
    workspace.write(
        "web/build.sh",
        format!(
            "trap '' TERM\necho $$ > '{}'\nwhile :; do sleep 1; done\n",
            running.display()
        ),
    );
    let mut build = start(&workspace);
    let told = told(&mut build);
    let command = loop {
        let text = std::fs::read_to_string(&running).unwrap_or_default();
        if text.ends_with('\n') {
            break Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        }
        let _ = told.recv_timeout(Duration::from_millis(10));
    };
    let process = Pid::from_raw(i32::try_from(build.id()).unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    while !told.recv().unwrap().contains("once more to stop at once") {}
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(build.wait().unwrap().code(), Some(143));
    assert!(has_ended(command), "the command was ended too");
}

#[test]
fn what_runs_in_the_sandbox_ends_with_a_killed_build() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            OUTSIDE.strip_prefix("sandbox = \"off\"\n").unwrap(),
        ),
        (
            "web/build.sh",
            "trap '' TERM HUP\n(setsid sleep 1000 &)\nexec sleep 1000\n",
        ),
    ]);
    let mut build = start(&workspace);
    let told = told(&mut build);
    let work = workspace.beside("cache");
    while in_the_sandbox(&work).len() < 2 {
        assert!(build.try_wait().unwrap().is_none(), "the build goes on");
        let _ = told.recv_timeout(Duration::from_millis(10));
    }
    build.kill().unwrap();
    build.wait().unwrap();
    let killed = Instant::now();
    while !in_the_sandbox(&work).is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(60));
        thread::yield_now();
    }
}

#[test]
fn a_daemon_ends_with_its_action_also_outside_of_the_sandbox() {
    // With two parents that are gone, a session of its own, another directory and no variables, and
    // deaf to what can be heard: nothing but its parents tells whose it is.
    let daemon = "cd /; trap \"\" TERM HUP INT; echo $$ > \"$1\"; exec sleep 1000";
    for (mode, end) in [("off", "true"), ("warn", "true"), ("off", "exit 3")] {
        let workspace = Workspace::with_files([(
            "synth.toml",
            OUTSIDE.replace("\"off\"", &format!("\"{mode}\"")),
        )]);
        let running = workspace.beside("daemon");
        let script = format!(
            "(env -i setsid setsid sh -c '{daemon}' sh '{0}' > /dev/null 2>&1 &)\n\
             until [ -s '{0}' ]; do :; done\nmkdir -p out\n\
             echo '<!doctype html><title>One</title>' > out/index.html\n{end}\n",
            running.display()
        );
        workspace.write("web/build.sh", script);
        let run = workspace.synth(["build", "-q"]);
        assert_eq!(run.output.status.success(), end == "true", "{run}");
        let daemon = std::fs::read_to_string(running).unwrap();
        let daemon = Pid::from_raw(daemon.trim().parse().unwrap()).unwrap();
        assert!(has_ended(daemon), "{mode}: the daemon was ended");
    }
}

#[test]
fn what_runs_outside_of_the_sandbox_ends_with_a_killed_build_too() {
    let workspace = Workspace::with_files([("synth.toml", OUTSIDE)]);
    let running = workspace.beside("running");
    let script = format!(
        "trap '' TERM HUP\n(setsid sh -c 'echo $$ > \"$1\"; exec sleep 1000' sh '{}' &)\n\
         exec sleep 1000\n",
        running.display()
    );
    workspace.write("web/build.sh", script);
    let mut build = start(&workspace);
    let told = told(&mut build);
    let daemon = loop {
        let text = std::fs::read_to_string(&running).unwrap_or_default();
        if text.ends_with('\n') {
            break Pid::from_raw(text.trim().parse().unwrap()).unwrap();
        }
        assert!(build.try_wait().unwrap().is_none(), "the build goes on");
        let _ = told.recv_timeout(Duration::from_millis(10));
    };
    build.kill().unwrap();
    build.wait().unwrap();
    let killed = Instant::now();
    while !has_ended(daemon) {
        assert!(killed.elapsed() < Duration::from_secs(60));
        thread::yield_now();
    }
}

/// The processes of actions whose directories are below this one.
fn in_the_sandbox(work: &std::path::Path) -> Vec<PathBuf> {
    let work = work.to_str().unwrap();
    let is_inside = |line: &str| line.contains(work) && line.contains(" /synth ");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .map(|process| process.path())
        .filter(|process| {
            let mounts = std::fs::read_to_string(process.join("mountinfo"));
            mounts.is_ok_and(|mounts| mounts.lines().any(is_inside))
        })
        .collect()
}

#[test]
fn a_build_goes_on_when_nobody_can_be_told() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n",
        ),
        ("web/index.html", "<!doctype html><title>One</title>"),
    ]);
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let mut command = workspace.command(["build"]);
    command.stdout(Stdio::null()).stderr(full());
    assert_eq!(command.status().unwrap().code(), Some(0));
    // A report that was asked for and can't be written is another thing.
    let mut command = workspace.command(["build", "--format", "json"]);
    command.stdout(full()).stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(4));
}

/// Whether a process is gone, or only waits for its parent to ask how it ended.
fn has_ended(process: Pid) -> bool {
    let status = format!("/proc/{}/stat", process.as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap_or_default();
    // The state follows the name, which is in brackets.
    status
        .rsplit_once(") ")
        .is_none_or(|(_, state)| state.starts_with('Z'))
}

/// A process that one of a process's threads has started.
fn child_of(process: u32) -> Option<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    threads.flatten().find_map(|thread| {
        let children = std::fs::read_to_string(thread.path().join("children")).ok()?;
        let first = children.split_whitespace().next()?.parse().ok()?;
        Pid::from_raw(first)
    })
}

/// Builds after an edit of every target; how many lines it told on the way.
fn rebuild_everything(workspace: &Workspace, edit: usize) -> usize {
    edit_everything(workspace, edit);
    let mut build = start(workspace);
    let lines = told(&mut build).iter().count();
    assert!(build.wait().unwrap().success());
    lines
}

fn edit_everything(workspace: &Workspace, edit: usize) {
    let mut edited = BTreeSet::new();
    for path in workspace.files("") {
        let generated =
            path.starts_with("dist/") || path.starts_with(".synth/") || path.contains("test");
        let comment = match path.rsplit_once('.') {
            _ if generated => continue,
            Some((_, "py")) => format!("# edit {edit}\nEDIT_{edit} = {edit}\n"),
            Some((_, "css")) => format!(".edit-{edit} {{ order: {edit}; }}\n"),
            _ => continue,
        };
        if edited.insert(path.rsplit_once('.').map(|(_, end)| end.to_owned())) {
            workspace.append(&path, &comment);
        }
    }
    assert_eq!(
        edited.len(),
        2,
        "a Python file and a style sheet were edited"
    );
}

fn start(workspace: &Workspace) -> Child {
    let mut command = workspace.command(["build", "-v"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The lines that a build tells on standard error, as they come.
fn told(build: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    let lines = BufReader::new(build.stderr.take().unwrap()).lines();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn assert_no_leftovers(workspace: &Workspace) {
    let mut beside: Vec<String> = std::fs::read_dir(workspace.path("dist"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    beside.sort();
    assert_eq!(beside, ["api", "image", "site"]);
}
