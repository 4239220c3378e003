//! Steps are taken back from wherever a build was killed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::commit::in_place;

/// A project with outputs of an earlier build, and new ones aside.
struct Project {
    directory: tempfile::TempDir,
    undo: Undo,
}

/// What a build does, in its order.
const STEPS: usize = 9;

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["dist/a/sub", "src/gone", ".synth"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for path in ["dist/a/sub/x", "src/gone/stale", "src/output", "src/source"] {
            fs::write(root.join(path), format!("earlier {path}")).unwrap();
        }
        let mode = fs::Permissions::from_mode(0o750);
        fs::set_permissions(root.join("src/gone"), mode).unwrap();
        symlink("output", root.join("src/link")).unwrap();
        let records = Records::of(root);
        let known: [(&str, &[u8]); 1] = [("dist/a", b"{\"tree\": \"earlier\"}")];
        records.put(Sort::Output, known).unwrap();
        let undo = Undo::begin(root).unwrap();
        Self { directory, undo }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// A file that is aside.
    fn aside(&self, content: &str) -> PathBuf {
        let path = self.undo.directory().join(self.undo.name());
        fs::write(&path, content).unwrap();
        path
    }

    fn aside_for(&self, place: &str) -> PathBuf {
        let new = self.undo.directory_for(&self.path(place)).unwrap();
        fs::write(new.join("x"), format!("new {place}")).unwrap();
        new
    }

    /// Does one thing that a build does.
    fn take(&self, step: usize) -> io::Result<()> {
        let undo = &self.undo;
        let replace = |place: &str| {
            undo.note(Sort::Output, place)?;
            let records: [(&str, &[u8]); 1] = [(place, b"{\"pending\": [\"x\"]}")];
            undo.records.put(Sort::Output, records).unwrap();
            undo.put(&self.aside_for(place), &self.path(place))
        };
        match step {
            0 => replace("dist/a"),
            1 => undo.note(Sort::Keys, "new").map(|()| {
                let records: [(&str, &[u8]); 1] = [("new", b"keys")];
                undo.records.put(Sort::Keys, records).unwrap();
            }),
            2 => replace("out/deep/b"),
            3 => undo.take(&self.path("src/gone/stale")),
            4 => undo.remove_directory(&self.path("src/gone")),
            5 => undo.put(&self.aside("a file now"), &self.path("src/gone")),
            6 => undo.put(&self.aside("new"), &self.path("src/output")),
            7 => {
                let link = undo.directory().join(undo.name());
                symlink("elsewhere", &link)?;
                undo.put(&link, &self.path("src/link"))
            }
            _ => {
                undo.make_directories(&self.path("src/made/deep"))?;
                undo.put(&self.aside("new"), &self.path("src/made/deep/file"))
            }
        }
    }

    /// Everything but what is of synth, with modes and times.
    fn state(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(self.directory.path()).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(self.directory.path()).unwrap();
            if path.starts_with(".synth") || path.as_os_str().is_empty() {
                continue;
            }
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let content = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(entry.path()).unwrap().display())
            } else if metadata.is_dir() {
                // In those among the sources something was done meanwhile.
                let is_moved = path.starts_with("dist/a");
                format!("/ {}", if is_moved { metadata.mtime_nsec() } else { 0 })
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                format!("{text:?} {}", metadata.mtime_nsec())
            };
            let mode = metadata.permissions().mode();
            found.push(format!("{} {mode:o} {content}", path.display()));
        }
        let records = &self.undo.records;
        for (sort, name) in [
            (Sort::Output, "dist/a"),
            (Sort::Output, "out/deep/b"),
            (Sort::Keys, "new"),
        ] {
            let value = records.get(sort, name).unwrap_or_default();
            found.push(String::from_utf8(value).unwrap());
        }
        found
    }

    /// What the next build finds and does.
    fn undo_left(&self) {
        let left = Undo::left(self.directory.path()).unwrap().unwrap();
        assert!(left.undo().unwrap().is_empty());
        assert!(Undo::left(self.directory.path()).unwrap().is_none());
        assert!(!self.undo.directory.exists());
    }
}

#[test]
fn steps_are_taken_back_from_wherever_they_ended() {
    for end in 0..=STEPS {
        let project = Project::new();
        let before = project.state();
        for step in 0..end {
            project.take(step).unwrap();
        }
        assert_eq!(project.state() == before, end == 0, "{end}");
        project.undo_left();
        assert_eq!(project.state(), before, "after {end} steps");
    }
}

#[test]
fn a_step_that_was_written_and_not_taken_is_none() {
    for end in 0..STEPS {
        let project = Project::new();
        let before = project.state();
        for step in 0..end {
            project.take(step).unwrap();
        }
        let undo = &project.undo;
        let (place, aside) = (project.path("src/source"), project.aside("new"));
        undo.write_move(&aside, &place).unwrap();
        undo.write_move(&undo.directory().join("none"), &place)
            .unwrap();
        undo.write_move(&aside, &project.path("src/none")).unwrap();
        let made = Step::Made {
            directory: "src/never".into(),
        };
        undo.write(&made).unwrap();
        project.undo_left();
        assert_eq!(project.state(), before, "after {end} steps");
    }
}

#[test]
fn taking_back_may_be_cut_off_and_begun_again() {
    for end in 0..=STEPS {
        let project = Project::new();
        let before = project.state();
        for step in 0..STEPS {
            project.take(step).unwrap();
        }
        let log = fs::read(project.undo.directory.join(LOG)).unwrap();
        let steps = log::decoded(&log).unwrap();
        for step in steps.iter().rev().take(end) {
            project.undo.revert(step).unwrap();
        }
        project.undo_left();
        assert_eq!(project.state(), before, "after {end} of {STEPS}");
    }
}

#[test]
fn a_last_step_that_was_cut_off_is_none_and_any_other_damage_is_refused() {
    let project = Project::new();
    let before = project.state();
    for step in 0..STEPS {
        project.take(step).unwrap();
    }
    let path = project.undo.directory.join(LOG);
    let log = fs::read(&path).unwrap();
    let all = log::decoded(&log).unwrap();
    for length in 0..log.len() {
        let steps = log::decoded(&log[..length]).unwrap();
        assert!(steps.len() < all.len() && all.starts_with(&steps));
    }
    let mut damaged = log.clone();
    damaged[20] ^= 1;
    fs::write(&path, damaged).unwrap();
    let problem = project.undo.undo().unwrap_err();
    assert_eq!(problem.code, "rollback.log");
    fs::write(&path, &log).unwrap();
    project.undo_left();
    assert_eq!(project.state(), before);
}

#[test]
fn what_stays_needs_no_log() {
    let project = Project::new();
    for step in 0..STEPS {
        project.take(step).unwrap();
    }
    let after = project.state();
    project.undo.keep().unwrap();
    assert!(!is_left(project.directory.path()));
    assert!(!project.undo.directory.exists());
    assert_eq!(project.state(), after);
}

#[test]
fn what_somebody_has_done_since_is_seen() {
    let project = Project::new();
    for step in 0..STEPS {
        project.take(step).unwrap();
    }
    // A file that nobody but the user can have written keeps its directory.
    fs::write(project.path("dist/a/mine"), "mine").unwrap();
    let problem = project.undo.undo().unwrap_err();
    assert_eq!(problem.code, "rollback.not_ours");
    assert!(problem.message.contains("`mine`"), "{}", problem.message);
    fs::remove_file(project.path("dist/a/mine")).unwrap();
    // What was before is gone.
    let kept = walkdir::WalkDir::new(&project.undo.directory);
    for entry in kept.into_iter().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text == "earlier src/output" {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let lost = project.undo.undo().unwrap();
    let codes: Vec<&str> = lost.iter().map(|lost| lost.code.as_str()).collect();
    assert_eq!(codes, ["rollback.lost"]);
    assert!(lost[0].message.contains("`src/output`"));
    assert!(!is_left(project.directory.path()));
}

#[test]
fn a_file_that_was_moved_away_and_back_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for path in ["src", ".synth"] {
        fs::create_dir(root.join(path)).unwrap();
    }
    let path = root.join("src/output");
    fs::write(&path, "earlier").unwrap();
    let record = || -> in_place::Record {
        crate::commit::record::read(&Records::of(root), Sort::InPlace, "t").unwrap()
    };
    let written = crate::commit::record::Written::of(&path).unwrap();
    let content = serde_json::json!({ "target": "t", "files": { "src/output": {
        "content": "text",
        "size": 0, "modified_ns": 0, "changed_s": 0, "changed_ns": 0, "inode": 0, "mode": 0,
    }}});
    let mut known: in_place::Record = serde_json::from_value(content).unwrap();
    known.files.get_mut("src/output").unwrap().written = written;
    crate::commit::record::write(&Records::of(root), Sort::InPlace, "t", &known).unwrap();

    let undo = Undo::begin(root).unwrap();
    undo.note(Sort::InPlace, "t").unwrap();
    let aside = undo.directory().join(undo.name());
    fs::write(&aside, "new").unwrap();
    undo.put(&aside, &path).unwrap();
    assert!(undo.undo().unwrap().is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");
    let now = crate::commit::record::Written::of(&path).unwrap();
    assert_eq!(record().files["src/output"].written, now);
}

#[test]
fn what_was_done_since_effects_began_is_taken_back_by_itself_or_with_them() {
    for middle in 0..=STEPS {
        let mut project = Project::new();
        let before = project.state();
        for step in 0..middle {
            project.take(step).unwrap();
        }
        project.undo.note_effects("build").unwrap();
        let at_effects = project.state();
        // Each time another build, which dies, and one that is over.
        for is_over in [false, true] {
            project.undo = Undo::left(project.directory.path()).unwrap().unwrap();
            assert!(project.undo.undo_unsettled().unwrap().is_none());
            for step in middle..STEPS {
                project.take(step).unwrap();
            }
            if is_over {
                project.undo.stay().unwrap();
                continue;
            }
            let left = Undo::left(project.directory.path()).unwrap().unwrap();
            let lost = left.undo_unsettled().unwrap();
            assert_eq!(lost.is_some(), middle < STEPS);
            assert!(lost.unwrap_or_default().is_empty());
            assert_eq!(project.state(), at_effects, "after {middle}");
        }
        let after = project.state();
        let left = Undo::left(project.directory.path()).unwrap().unwrap();
        assert!(left.undo_unsettled().unwrap().is_none());
        assert_eq!(project.state(), after, "after {middle}");
        project.undo_left();
        assert_eq!(project.state(), before, "after {middle}");
    }
}

#[test]
fn what_was_announced_comes_back_though_the_rest_of_the_log_is_lost() {
    let project = Project::new();
    let (file, new) = (project.path("src/output"), project.aside("new"));
    let (place, directory) = (project.path("dist/a"), project.aside_for("dist/a"));
    let before = project.state();
    let undo = &project.undo;
    let moves = [
        (new.as_path(), file.clone()),
        (directory.as_path(), place.clone()),
    ];
    undo.note(Sort::Output, "dist/a").unwrap();
    undo.announce(moves).unwrap();
    let path = undo.directory.join(LOG);
    let announced = fs::metadata(&path).unwrap().len();
    let records: [(&str, &[u8]); 1] = [("dist/a", b"{\"pending\": [\"x\"]}")];
    undo.records.put(Sort::Output, records).unwrap();
    undo.put(&new, &file).unwrap();
    undo.put(&directory, &place).unwrap();
    let log = File::options().write(true).open(&path).unwrap();
    log.set_len(announced).unwrap();
    // It may be longer than what came to the disk.
    log.set_len(announced + 100).unwrap();
    project.undo_left();
    assert_eq!(project.state(), before);
}

#[test]
fn what_no_step_tells_of_is_not_removed() {
    let project = Project::new();
    let stale = project.path("src/gone/stale");
    project.undo.take(&stale).unwrap();
    let path = project.undo.directory.join(LOG);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    let left = Undo::left(project.directory.path()).unwrap().unwrap();
    let problem = left.undo().unwrap_err();
    assert_eq!(problem.code, "rollback.log");
    let kept: Vec<_> = fs::read_dir(&project.undo.directory).unwrap().collect();
    assert_eq!(kept.len(), 2, "the log and what was taken");
}

#[test]
fn what_a_log_names_beside_outputs_is_no_leftover() {
    let project = Project::new();
    let root = project.directory.path();
    assert_eq!(asides_elsewhere(root), Some(Vec::new()));
    let beside = project.path("dist/.a.synth-x1y2");
    fs::create_dir_all(beside.join("outputs")).unwrap();
    project
        .undo
        .put(&beside.join("outputs"), &project.path("dist/a"))
        .unwrap();
    let state = crate::state::State::open(root).unwrap();
    let store = crate::store::Store::open(&root.join("store")).unwrap();
    let outputs = crate::commit::Outputs::new(root, state, store, in_place::InPlace::load(root));
    let other = project.path("dist/.a.synth-other");
    fs::create_dir(&other).unwrap();
    outputs.clear_leftovers(&[synth_core::ProjectPath::parse("dist/a").unwrap()]);
    assert!(beside.join("outputs/sub/x").exists());
    assert!(!other.exists());
}
