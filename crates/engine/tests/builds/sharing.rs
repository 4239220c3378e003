//! How actions share the machine: jobs with real makes below them, processors, memory, and what each
//! has used. Outside of the sandbox here; the sandbox's own tests do the same inside.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use synth_engine::{BuildOptions, BuildReport};

use crate::workspace::{Workspace, pipeline};

/// A make with six recipes, each of which leaves when it began and when it ended.
const MAKE: &str = r#"make -f - all <<'END'
all: 1 2 3 4 5 6
1 2 3 4 5 6: ; @s=$$(date +%s%N); sleep 0.1; echo "$$s $$(date +%s%N)" > out/$@
END
"#;

/// The same by a shell, one after another.
const SHELL: &str = r#"for i in 1 2 3; do
s=$(date +%s%N); sleep 0.1; echo "$s $(date +%s%N)" > out/$i
done
"#;

/// A target with an action of its own: what is equal would be executed once.
fn target(name: &str, script: &str) -> String {
    format!("{name} | | : {name}\n{script}")
}

/// Two targets with makes, one with a shell.
fn makes(head: &str) -> Workspace {
    let mut text = pipeline(head, &[&target("a", MAKE)]);
    text += "jobserver = true\n";
    text += &pipeline("", &[&target("b", MAKE)]);
    text += "jobserver = true\n";
    text += &pipeline("", &[&target("c", SHELL)]);
    Workspace::new(&text)
}

/// How many of the steps of these targets ran at once at the most.
fn most_at_once(workspace: &Workspace, targets: &[&str]) -> usize {
    let mut changes: Vec<(u64, bool)> = Vec::new();
    for target in targets {
        let directory = workspace.project().join("dist").join(target);
        for file in std::fs::read_dir(directory).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let times: Vec<u64> = text
                .split_whitespace()
                .map(|time| time.parse().unwrap())
                .collect();
            changes.extend([(times[0], true), (times[1], false)]);
        }
    }
    // What ends at the same moment ends first.
    changes.sort_unstable();
    let mut running = 0_usize;
    let counts = changes.into_iter().map(|(_, begins)| {
        running = if begins { running + 1 } else { running - 1 };
        running
    });
    counts.max().unwrap()
}

fn built(workspace: &Workspace, options: BuildOptions) -> BuildReport {
    let report = workspace.build_with(options);
    assert!(report.success, "{report:?}");
    report
}

/// Makes of several actions and the actions themselves never do more at once than there are jobs, and
/// one make alone gets them all.
pub(crate) fn makes_share_the_jobs(options: &dyn Fn() -> BuildOptions) {
    for (jobs, alone) in [(2, 2), (3, 3)] {
        let workspace = makes("");
        let with_jobs = || BuildOptions {
            jobs: jobs.try_into().ok(),
            ..options()
        };
        built(&workspace, with_jobs());
        assert!(most_at_once(&workspace, &["a", "b", "c"]) <= jobs);
        let config = pipeline("", &[&format!("a | | {MAKE}")]) + "jobserver = true\n";
        let workspace = Workspace::new(&config);
        built(&workspace, with_jobs());
        assert_eq!(most_at_once(&workspace, &["a"]), alone);
    }
    for head in ["", "parallel_execution = false"] {
        let workspace = makes(head);
        let one = std::num::NonZeroUsize::MIN;
        let jobs = Some(one).filter(|_| head.is_empty());
        let options = BuildOptions { jobs, ..options() };
        built(&workspace, options);
        assert_eq!(most_at_once(&workspace, &["a", "b", "c"]), 1, "{head}");
    }
}

#[test]
fn outside_of_the_sandbox_makes_share_the_jobs() {
    makes_share_the_jobs(&BuildOptions::default);
}

/// Jobs that processes take and don't give back are not lost.
pub(crate) fn jobs_that_are_kept_come_back(options: &dyn Fn() -> BuildOptions) {
    // It takes both jobs that are free, and ends without a word.
    let thief = r#"fd=$(echo "$MAKEFLAGS" | sed 's/.*auth=\([0-9]*\),.*/\1/')
dd if=/proc/self/fd/$fd bs=1 count=2 of=out/jobs"#;
    let text = pipeline("", &[&format!("a | | {thief}")]) + "jobserver = true\n";
    let text = text + &pipeline("", &[&format!("z | a | {MAKE}")]) + "jobserver = true\n";
    let workspace = Workspace::new(&text);
    let options = BuildOptions {
        jobs: 3.try_into().ok(),
        ..options()
    };
    built(&workspace, options);
    assert_eq!(workspace.read("dist/a/jobs").as_deref(), Some("++"));
    assert_eq!(most_at_once(&workspace, &["z"]), 3);
}

#[test]
fn outside_of_the_sandbox_jobs_that_are_kept_come_back() {
    jobs_that_are_kept_come_back(&BuildOptions::default);
}

/// A named pipe with so many bytes, as a make that runs synth has one. As long as the file is open they
/// stay.
fn outer(path: &Path, tokens: usize) -> std::fs::File {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let pipe = options.read(true).write(true).custom_flags(flags);
    let mut pipe = pipe.open(path).unwrap();
    std::io::Write::write_all(&mut pipe, &b"++++"[..tokens]).unwrap();
    pipe
}

#[test]
fn below_a_make_its_jobs_are_shared() {
    for tokens in [0, 1, 2] {
        let workspace = makes("");
        // Not in the workspace, whose path has a space: make's has none either.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs");
        let mut pipe = outer(&path, tokens);
        let flags = format!("-j4 --jobserver-auth=fifo:{}", path.display());
        let options = BuildOptions {
            make_flags: Some(flags.into()),
            ..BuildOptions::default()
        };
        built(&workspace, options);
        assert!(most_at_once(&workspace, &["a", "b", "c"]) <= tokens + 1);
        let left = std::io::Read::read(&mut pipe, &mut [0; 8]).unwrap_or_default();
        assert_eq!(left, tokens, "all are given back");
    }
}

#[test]
fn what_makes_share_is_not_part_of_the_key() {
    let workspace = makes("");
    let jobs = |jobs: usize| BuildOptions {
        jobs: jobs.try_into().ok(),
        ..BuildOptions::default()
    };
    let digests = |report: BuildReport| -> Vec<Option<String>> {
        let actions = report.targets.into_iter().flat_map(|target| target.actions);
        actions.map(|action| action.digest).collect()
    };
    let first = digests(built(&workspace, jobs(2)));
    let again = workspace.read("synth.toml").unwrap();
    let again = again.replace("jobserver = true", "cpus = 2\nmemory = 4096");
    workspace.write("project/synth.toml", &again);
    assert_eq!(digests(built(&workspace, jobs(4))), first);
}

/// Two targets that come to an end only when they run at once: each waits for the other.
fn rendezvous(settings: &str) -> Workspace {
    let workspace = Workspace::new("");
    let [one, two] = ["one", "two"].map(|name| {
        let path = workspace.directory.path().join(name);
        drop(outer(&path, 0));
        path.display().to_string()
    });
    let targets = [
        format!("a | | echo > '{one}'; read x < '{two}'; echo > out/done"),
        format!("b | | read x < '{one}'; echo > '{two}'; echo > out/done"),
    ];
    let targets = targets.map(|target| pipeline("", &[&target]) + settings);
    workspace.write("project/synth.toml", &targets.concat());
    workspace
}

#[test]
fn what_fits_runs_at_once() {
    for (settings, memory) in [
        ("", None),
        ("cpus = 1\n", None),
        ("memory = 500\n", Some(1000)),
    ] {
        let workspace = rendezvous(&format!("{settings}timeout = 60\n"));
        built(
            &workspace,
            BuildOptions {
                jobs: 2.try_into().ok(),
                memory,
                // Nothing of this machine is in the way.
                machine: synth_engine::Machine::at("/nowhere"),
                ..BuildOptions::default()
            },
        );
    }
}

#[test]
fn what_does_not_fit_runs_alone() {
    let busy = "some avg10=99.00 avg60=0.00 avg300=0.00 total=1\n";
    let pressed = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(pressed.path().join("proc/pressure")).unwrap();
    std::fs::write(pressed.path().join("proc/pressure/memory"), busy).unwrap();
    let small = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(small.path().join("proc")).unwrap();
    std::fs::write(small.path().join("proc/meminfo"), "MemAvailable: 1 kB\n").unwrap();
    for (settings, memory, machine) in [
        ("cpus = 2\n", None, Path::new("/nowhere")),
        ("cpus = 99\n", None, Path::new("/nowhere")),
        ("memory = 501\n", Some(1000), Path::new("/nowhere")),
        ("memory = 5000\n", Some(1000), Path::new("/nowhere")),
        ("memory = 600\n", None, small.path()),
        ("", None, pressed.path()),
    ] {
        let targets = ["a", "b", "c"].map(|name| target(name, SHELL));
        let text: String = targets
            .iter()
            .map(|target| pipeline("", &[target]) + settings)
            .collect();
        let workspace = Workspace::new(&text);
        built(
            &workspace,
            BuildOptions {
                jobs: 2.try_into().ok(),
                memory,
                machine: synth_engine::Machine::at(machine),
                ..BuildOptions::default()
            },
        );
        let most = most_at_once(&workspace, &["a", "b", "c"]);
        assert_eq!(most, 1, "{settings} {memory:?} {}", machine.display());
    }
}

/// What an action has used is told, and the next build goes by it.
pub(crate) fn what_was_used_is_told_and_learned(options: &dyn Fn() -> BuildOptions) {
    // More than the test has itself, which outside of the sandbox could not be told from it.
    const MEMORY: u64 = 192 << 20;
    let script = format!(
        "s=$(date +%s%N); head -c {MEMORY} /dev/zero | tail -c {MEMORY} > /dev/null; sleep 0.1; \
         echo \"$s $(date +%s%N)\" > out/1"
    );
    let targets = ["a", "b", "c"].map(|name| target(name, &script));
    let workspace = Workspace::new(&pipeline("", &targets.each_ref().map(String::as_str)));
    let report = built(&workspace, options());
    for target in &report.targets {
        let action = &target.actions[0];
        let peak = action.peak_memory_bytes.unwrap();
        assert!((MEMORY..2 * MEMORY).contains(&peak), "{action:?}");
        let cpu = action.cpu_ms.unwrap();
        assert!((1..600_000).contains(&cpu), "{action:?}");
    }
    for target in &workspace.build_with(options()).targets {
        let action = &target.actions[0];
        assert_eq!((action.cpu_ms, action.peak_memory_bytes), (None, None));
    }
    workspace.write("project/src/input.txt", "two");
    let little = BuildOptions {
        jobs: 3.try_into().ok(),
        memory: Some(2 * MEMORY),
        ..options()
    };
    built(&workspace, little);
    assert_eq!(most_at_once(&workspace, &["a", "b", "c"]), 1);
}

#[test]
fn outside_of_the_sandbox_what_was_used_is_told_and_learned() {
    what_was_used_is_told_and_learned(&BuildOptions::default);
}
