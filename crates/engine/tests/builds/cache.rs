//! The store under builds: what it loses is made anew, what is in use stays, what several builds
//! want is executed once.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use synth_engine::{
    BuildOptions, BuildReport, Cache, CacheLimits, CancellationToken, Collected, Event, Observer,
    TargetStatus,
};

use crate::workspace::{Workspace, pipeline, statuses};

/// Files of the store whose bytes are these.
fn blobs(workspace: &Workspace, bytes: &str) -> Vec<PathBuf> {
    let store = workspace.directory.path().join("the store/v1/cas");
    let files = walkdir(&store).into_iter();
    files
        .filter(|path| fs::read(path).is_ok_and(|found| found == bytes.as_bytes()))
        .collect()
}

fn walkdir(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(walkdir(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}

fn codes(report: &BuildReport) -> Vec<&str> {
    let all = report.diagnostics.iter();
    all.map(|problem| problem.code.as_str()).collect()
}

fn cache(workspace: &Workspace) -> Cache {
    Cache::open(&workspace.directory.path().join("the store")).unwrap()
}

/// Counts executions in a file beside the project.
fn counting(workspace: &Workspace, targets: &[&str]) -> PathBuf {
    let count = workspace.directory.path().join("count");
    let mut text = String::new();
    for target in targets {
        let (head, script) = target.rsplit_once('|').unwrap();
        let target = format!("{head}| printf x >> \"$COUNT\"; {script}");
        text += &pipeline("", &[&target]);
        text += &format!("environment = {{ COUNT = '{}' }}\n", count.display());
    }
    workspace.write("project/synth.toml", &text);
    count
}

fn executed(count: &Path) -> usize {
    let executed = fs::read(count).unwrap_or_default().len();
    let _ = fs::remove_file(count);
    executed
}

#[test]
fn what_is_damaged_is_told_and_made_anew_in_the_same_build() {
    use TargetStatus::{Built, UpToDate};
    let damaged: fn(&Path) = |path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "eno").unwrap();
    };
    let shortened: fn(&Path) = |path| {
        fs::remove_file(path).unwrap();
        fs::write(path, "").unwrap();
    };
    let lost: fn(&Path) = |path| fs::remove_file(path).unwrap();
    for (harm, warnings) in [
        (damaged, &["store.damaged"][..]),
        (shortened, &[]),
        (lost, &[]),
    ] {
        let workspace = Workspace::new("");
        // The second target adds the variable, so that it can be had executed by itself.
        let config = |added: &str| {
            let script = format!(
                "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt; printf {added} >> out/b.txt"
            );
            pipeline("", &["a | | printf one > out/a.txt", &script])
        };
        workspace.write("project/synth.toml", &config("1"));
        workspace.build();
        assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "one1");

        // As an input of another target, and as an output that is to be put in place.
        for prepare in [
            Box::new(|| workspace.write("project/synth.toml", &config("2"))) as Box<dyn Fn()>,
            Box::new(|| fs::remove_dir_all(workspace.project().join("dist/a")).unwrap()),
        ] {
            prepare();
            let blobs = blobs(&workspace, "one");
            // The source has the same bytes, but is not in the store.
            assert_eq!(blobs.len(), 1);
            harm(&blobs[0]);
            let report = workspace.build();
            assert_eq!(codes(&report), warnings);
            assert!(report.success, "{report:?}");
            assert_eq!(statuses(&report)[0], ("a", Built));
            assert_eq!(workspace.read("dist/a/a.txt").unwrap(), "one");
            assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "one2");
            let report = workspace.build();
            assert_eq!(statuses(&report), [("a", UpToDate), ("b", UpToDate)]);
            assert!(codes(&report).is_empty());
            assert!(cache(&workspace).verify().unwrap().damaged.is_empty());
        }
    }
}

#[test]
fn forced_targets_are_executed_and_kept_and_others_are_not() {
    let workspace = Workspace::new("");
    let count = counting(
        &workspace,
        &[
            "a | | date +%N > out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
        ],
    );
    let forced = |names: &[&str]| BuildOptions {
        force: names.iter().map(|name| (*name).to_owned()).collect(),
        ..BuildOptions::default()
    };
    workspace.build();
    assert_eq!(executed(&count), 2);
    let first = workspace.read("dist/a/a.txt");
    for (names, expected) in [(&["b"][..], 1), (&["a", "b"], 2), (&["a"], 2), (&[], 0)] {
        workspace.build_with(forced(names));
        assert_eq!(executed(&count), expected, "{names:?}");
    }
    // What was kept is what was executed last.
    let last = workspace.read("dist/a/a.txt");
    assert_ne!(first, last);
    fs::remove_dir_all(workspace.project().join("dist")).unwrap();
    workspace.build();
    assert_eq!(executed(&count), 0);
    assert_eq!(workspace.read("dist/a/a.txt"), last);
    // Without the cache, what is executed leaves nothing in it.
    workspace.build_with(BuildOptions {
        use_cache: false,
        ..BuildOptions::default()
    });
    assert_eq!(executed(&count), 2);
    fs::remove_dir_all(workspace.project().join("dist")).unwrap();
    workspace.build();
    assert_eq!(executed(&count), 0);
    assert_eq!(workspace.read("dist/a/a.txt"), last);
}

#[test]
fn a_build_that_is_forced_and_repaired_executes_everything_once() {
    let workspace = Workspace::new("");
    let count = counting(
        &workspace,
        &[
            "a | | printf one > out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
        ],
    );
    workspace.build();
    assert_eq!(executed(&count), 2);
    for blob in blobs(&workspace, "one") {
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, "eno").unwrap();
    }
    let report = workspace.build_with(BuildOptions {
        force: vec!["b".into()],
        ..BuildOptions::default()
    });
    assert_eq!(codes(&report), ["store.damaged"]);
    assert!(report.success, "{report:?}");
    assert_eq!(executed(&count), 2);
    assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "one");
}

#[test]
fn equal_actions_of_builds_at_once_are_executed_once() {
    /// Says when a build waits for another.
    #[derive(Default)]
    struct Waiting(AtomicBool);
    impl Observer for Waiting {
        fn notify(&self, event: &Event) {
            if matches!(event, Event::WaitingForAction { .. }) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
    }
    let shared = tempfile::tempdir().unwrap();
    let count = shared.path().join("count");
    let go = shared.path().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let config = pipeline(
        "",
        &["a | | printf x >> \"$COUNT\"; cat \"$GO\"; printf one > out/a.txt"],
    ) + &format!(
        "environment = {{ COUNT = '{}', GO = '{}' }}\n",
        count.display(),
        go.display()
    );
    let build = |cancel: CancellationToken, waiting: Arc<Waiting>| {
        let (config, store) = (config.clone(), shared.path().join("store"));
        std::thread::spawn(move || {
            let workspace = Workspace::new(&config);
            let report = workspace.build_with(BuildOptions {
                store: Some(store),
                observer: waiting,
                cancel,
                ..BuildOptions::default()
            });
            let target = &report.targets[0];
            let waited = target.actions[0].waited;
            (target.status, workspace.read("dist/a/a.txt"), waited)
        })
    };
    let until_one_waits = |waiting: &Waiting| {
        while !waiting.0.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    };
    let waiting = Arc::new(Waiting::default());
    let go_on = CancellationToken::new;
    let builds: Vec<_> = (0..4)
        .map(|_| build(go_on(), Arc::clone(&waiting)))
        .collect();
    until_one_waits(&waiting);
    // Who waits can be stopped.
    let (cancel, waiting) = (CancellationToken::new(), Arc::new(Waiting::default()));
    let stopped = build(cancel.clone(), Arc::clone(&waiting));
    until_one_waits(&waiting);
    cancel.cancel();
    assert_eq!(stopped.join().unwrap().0, TargetStatus::Cancelled);
    // Lets the one go on that is executed.
    fs::write(&go, "").unwrap();
    let ended: Vec<_> = builds
        .into_iter()
        .map(|build| build.join().unwrap())
        .collect();
    assert_eq!(fs::read(&count).unwrap().len(), 1);
    let built = ended
        .iter()
        .filter(|(status, ..)| *status == TargetStatus::Built);
    assert_eq!(built.count(), 1, "{ended:?}");
    for (status, text, waited) in &ended {
        assert!(status.is_success());
        assert_eq!(text.as_deref(), Some("one"));
        assert!(!waited || *status != TargetStatus::Built);
    }
    assert!(ended.iter().any(|(.., waited)| *waited), "{ended:?}");
    let locks = shared.path().join("store/v1/locks");
    let left = fs::read_dir(locks).unwrap();
    let left: Vec<u64> = left
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(left, [0], "one empty file is for all locks");
}

#[test]
fn builds_lose_nothing_to_a_collection_beside_them() {
    const BUILDS: usize = 40;
    let workspace = Arc::new(Workspace::new(""));
    let text = |round: usize| {
        // Some results are new, some are known from earlier rounds if they are still there.
        pipeline(
            "",
            &[
                &format!(
                    "a | | printf {} > out/a.txt; printf same > out/b.txt",
                    round % 3
                ),
                &format!(
                    "b | a | cat \"$SYNTH_OUT_A\"/*.txt > out/b.txt; printf {round} >> out/b.txt"
                ),
                "c | b | cat \"$SYNTH_OUT_B/b.txt\" > out/c.txt",
            ],
        )
    };
    let over = Arc::new(AtomicBool::new(false));
    let collector = {
        let (cache, over) = (cache(&workspace), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut removed = 0;
            while !over.load(Ordering::SeqCst) {
                let Collected { blobs, .. } = cache.collect(&everything(), false).unwrap();
                removed += blobs.files;
            }
            removed
        })
    };
    for round in 0..BUILDS {
        // Long unused, so that everything is about to be removed.
        let old = SystemTime::now() - Duration::from_secs(86_400);
        for file in walkdir(&workspace.directory.path().join("the store/v1")) {
            if let Ok(file) = File::open(&file) {
                file.set_times(FileTimes::new().set_modified(old)).unwrap();
            }
        }
        if round % 2 == 0 {
            workspace.write("project/synth.toml", &text(round / 2));
        } else {
            fs::remove_dir_all(workspace.project().join("dist")).unwrap();
        }
        let report = workspace.build();
        assert!(report.success, "{report:?}");
        assert!(codes(&report).is_empty(), "{report:?}");
        let expected = format!("{}same{}", round / 2 % 3, round / 2);
        assert_eq!(workspace.read("dist/c/c.txt").unwrap(), expected);
    }
    over.store(true, Ordering::SeqCst);
    assert!(collector.join().unwrap() > 0, "something was removed");
    // With no build left nothing is in use.
    cache(&workspace).collect(&everything(), false).unwrap();
    let stats = cache(&workspace).stats().unwrap();
    assert_eq!((stats.blobs.files, stats.actions.files), (0, 0));
}

fn everything() -> CacheLimits {
    CacheLimits {
        max_bytes: Some(0),
        max_age: None,
    }
}

#[test]
fn what_was_used_last_is_kept() {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | printf aaaa > out/a.txt",
            "b | | printf bbbb > out/b.txt",
        ],
    ));
    workspace.build();
    let age = |bytes: &str, days: u64| {
        let time = SystemTime::now() - Duration::from_secs(86_400 * days);
        for blob in blobs(&workspace, bytes) {
            let file = File::open(blob).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
    };
    age("aaaa", 40);
    let old = CacheLimits {
        max_bytes: None,
        max_age: Some(Duration::from_secs(86_400 * 30)),
    };
    let would = cache(&workspace).collect(&old, true).unwrap();
    assert_eq!((would.blobs.files, would.actions.files), (1, 1));
    assert_eq!(
        blobs(&workspace, "aaaa").len(),
        1,
        "nothing was removed yet"
    );
    // Found in the cache, it is used.
    fs::remove_dir_all(workspace.project().join("dist/a")).unwrap();
    workspace.build();
    let would = cache(&workspace).collect(&old, true).unwrap();
    assert_eq!((would.blobs.files, would.actions.files), (0, 0));

    age("bbbb", 1);
    let stats = cache(&workspace).stats().unwrap();
    let nearly = CacheLimits {
        max_bytes: Some(stats.bytes - 1),
        max_age: None,
    };
    let removed = cache(&workspace).collect(&nearly, false).unwrap();
    assert_eq!((removed.blobs.files, removed.actions.files), (1, 1));
    assert!(blobs(&workspace, "bbbb").is_empty());
    assert_eq!(
        removed.remaining.bytes,
        cache(&workspace).stats().unwrap().bytes
    );
    assert_eq!(cache(&workspace).verify().unwrap().dropped_actions, 0);
}
