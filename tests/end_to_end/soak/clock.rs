//! Times that can't be believed: files of the future, edits that look older than what they replace,
//! and state that seems to have been written tomorrow. What was built is never taken for what would
//! be built now.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::pipeline::with_tools;
use crate::workspace::Workspace;

const CONFIG: &str = r#"[targets.join]
type = "command"
source_path = "src"
script = "cat *.txt > joined"
outputs = ["joined"]
output_path = "dist/join"
"#;

const HOUR: Duration = Duration::from_secs(3600);

fn project() -> Workspace {
    let files = [("src/a.txt", "one\n"), ("src/b.txt", "two\n")];
    let workspace = with_tools(Workspace::with_files(files), None);
    workspace.write("synth.toml", CONFIG);
    workspace
}

fn date(path: &Path, time: SystemTime) {
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// Builds; the target's status, and what it left.
fn built(workspace: &Workspace) -> (String, String) {
    let report = workspace.build([""; 0]).succeeded();
    (report.statuses(), workspace.read("dist/join/joined"))
}

#[test]
fn an_edit_is_seen_whatever_time_it_has() {
    let now = SystemTime::now();
    let times = [
        ("tomorrow", now + 24 * HOUR),
        ("an hour ago, as if the clock had been set back", now - HOUR),
        ("the time that it had", SystemTime::UNIX_EPOCH + HOUR),
        ("before 1970", SystemTime::UNIX_EPOCH - HOUR),
        ("far away", SystemTime::UNIX_EPOCH + 100_000 * 24 * HOUR),
    ];
    let workspace = project();
    let path = workspace.path("src/a.txt");
    for (index, (what, time)) in times.into_iter().enumerate() {
        date(&path, SystemTime::UNIX_EPOCH + HOUR);
        built(&workspace);
        // The same length, so that nothing but the bytes tells.
        let edited = format!("{index:03}\n");
        fs::write(&path, &edited).unwrap();
        date(&path, time);
        let (status, joined) = built(&workspace);
        assert_eq!(joined, format!("{edited}two\n"), "{what}");
        assert_eq!(status, "join built", "{what}");
        assert_eq!(built(&workspace).0, "join up_to_date", "{what}");
    }
}

#[test]
fn files_of_the_future_are_as_good_as_others() {
    let workspace = project();
    let future = SystemTime::now() + 24 * HOUR;
    for name in ["a", "b"] {
        date(&workspace.path(format!("src/{name}.txt")), future);
    }
    assert_eq!(
        built(&workspace),
        ("join built".into(), "one\ntwo\n".into())
    );
    assert_eq!(built(&workspace).0, "join up_to_date");
    // Replaced by another of the same length and time, as version control and backups do.
    let (path, beside) = (workspace.path("src/b.txt"), workspace.beside("b.txt"));
    fs::write(&beside, "TWO\n").unwrap();
    date(&beside, future);
    fs::rename(&beside, &path).unwrap();
    assert_eq!(
        built(&workspace),
        ("join built".into(), "one\nTWO\n".into())
    );
}

#[test]
fn state_that_was_written_tomorrow_or_long_ago_serves_nothing_stale() {
    let times = [
        SystemTime::now() + 24 * HOUR,
        SystemTime::UNIX_EPOCH + HOUR,
        SystemTime::UNIX_EPOCH - HOUR,
    ];
    let workspace = project();
    built(&workspace);
    for (index, time) in times.into_iter().enumerate() {
        for directory in [
            workspace.path(".synth"),
            workspace.path("dist"),
            workspace.cache(),
        ] {
            for entry in walkdir::WalkDir::new(directory) {
                let entry = entry.unwrap();
                if !entry.path_is_symlink() {
                    date(entry.path(), time);
                }
            }
        }
        let edited = format!("{index:03}\n");
        workspace.write("src/a.txt", &edited);
        assert_eq!(
            built(&workspace),
            ("join built".into(), format!("{edited}two\n"))
        );
        assert_eq!(built(&workspace).0, "join up_to_date");
        workspace.synth(["cache", "verify"]).succeeded();
        let collect = ["cache", "gc", "--max-age", "1h", "--max-size", "0"];
        workspace.synth(collect).succeeded();
        assert_eq!(built(&workspace).1, format!("{edited}two\n"));
    }
}
