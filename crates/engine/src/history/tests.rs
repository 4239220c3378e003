//! The history as a whole: builds in, lists, logs and figures out; databases of every version.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use synth_core::Phase;

use super::database::{Database, keep, keep_idle};
use super::entry::{ActionEntry, BuildEntry, CacheResult, Counts, Outcome, TargetEntry};
use super::error::HistoryError;
use super::graph::{Graph, GraphAction, GraphTarget};
use super::migration::{self, STEPS};
use super::pending;
use super::read::{Filter, Found};
use super::stats::Window;
use super::write::forget;
use crate::report::{ActionStatus, TargetStatus};

pub(super) const DAY: i64 = 86_400_000_000;
pub(super) const NOW: i64 = 20_000 * DAY;

/// An empty state directory, and where its database is going to be.
pub(super) fn state() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    (directory, path)
}

pub(super) fn action(id: &str, took: u64) -> ActionEntry {
    ActionEntry {
        id: id.to_owned(),
        phase: Phase::Build,
        description: format!("do {id}"),
        status: ActionStatus::Executed,
        cache: Some(CacheResult::Executed),
        started_us: Some(7),
        duration_ms: took + 1,
        executed_ms: Some(took),
        cpu_ms: Some(5),
        peak_memory_bytes: Some(1 << 33),
        read_bytes: None,
        written_bytes: Some(512),
        exit_code: None,
        signal: None,
        attempts: Some(1),
        digest: Some("ab".to_owned()),
        log: Some(format!(".synth/logs/x/{id}.log")),
    }
}

/// A build that took so long, of the target `api`, whose one action took as long.
pub(super) fn build(id: &str, started_us: i64, took: u64) -> BuildEntry {
    BuildEntry {
        id: id.to_owned(),
        started_us,
        duration_ms: took,
        pipeline: "shop".to_owned(),
        environment: None,
        selection: vec!["api".to_owned()],
        arguments: vec!["build".to_owned(), "api".to_owned()],
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        commit: Some("c0ffee".to_owned()),
        dirty: Some(true),
        synth: "0.1.0".to_owned(),
        idle: false,
        target_count: 2,
        actions: Counts {
            executed: 1,
            up_to_date: 3,
            ..Counts::default()
        },
        targets: vec![TargetEntry {
            name: "api".to_owned(),
            kind: "python".to_owned(),
            status: TargetStatus::Built,
            duration_ms: took,
            actions: vec![action("run", took)],
        }],
    }
}

pub(super) fn idle(id: &str, started_us: i64) -> BuildEntry {
    BuildEntry {
        idle: true,
        actions: Counts {
            up_to_date: 4,
            ..Counts::default()
        },
        targets: Vec::new(),
        ..build(id, started_us, 3)
    }
}

fn all() -> Filter {
    Filter {
        limit: 1_000_000,
        ..Filter::default()
    }
}

fn ids(database: &Database, filter: &Filter) -> Vec<String> {
    let builds = database.builds(filter).unwrap().into_iter();
    builds.map(|build| build.id).collect()
}

/// The ids of all builds that a command would see.
fn seen(path: &Path) -> Vec<String> {
    let database = Database::for_reading(path).unwrap();
    database.map_or_else(Vec::new, |database| ids(&database, &all()))
}

#[test]
fn a_build_is_read_as_it_was_written() {
    let (_directory, path) = state();
    let mut failed = build("b", 2, 20);
    failed.outcome = Outcome::Failed;
    failed.exit_code = None;
    failed.commit = None;
    failed.dirty = None;
    failed.environment = Some("production".to_owned());
    failed.targets[0].status = TargetStatus::Failed;
    failed.targets[0].actions = vec![
        ActionEntry {
            status: ActionStatus::Cached,
            cache: Some(CacheResult::Waited),
            attempts: None,
            ..action("install", 9)
        },
        ActionEntry {
            status: ActionStatus::Failed,
            executed_ms: None,
            exit_code: Some(-1),
            signal: Some(9),
            attempts: Some(3),
            ..action("test", 8)
        },
    ];
    let succeeded = build("a", 1, 10);
    for entry in [&succeeded, &failed] {
        assert_eq!(keep(&path, entry, &Graph::default()), None);
    }
    let database = Database::for_reading(&path).unwrap().unwrap();
    assert_eq!(
        database.builds(&all()).unwrap(),
        [failed.clone(), succeeded.clone()]
    );
    let filter = |target: Option<&str>, failed| Filter {
        target: target.map(ToOwned::to_owned),
        failed,
        ..all()
    };
    for (target, failed, expected) in [
        (None, true, &["b"][..]),
        (Some("api"), false, &["b", "a"]),
        (Some("api"), true, &["b"]),
        (Some("site"), false, &[]),
    ] {
        let found = ids(&database, &filter(target, failed));
        assert_eq!(found, expected, "{target:?} {failed}");
    }
    let limited = Filter { limit: 1, ..all() };
    assert_eq!(ids(&database, &limited), ["b"]);
}

#[test]
fn a_build_is_found_by_its_id_by_a_beginning_of_it_and_as_the_last() {
    let (_directory, path) = state();
    for entry in [build("2026a", 1, 1), build("2026b", 2, 1), idle("2027", 3)] {
        assert_eq!(keep(&path, &entry, &Graph::default()), None);
    }
    let database = Database::for_reading(&path).unwrap().unwrap();
    let one = |id: &str, started| match id {
        "2027" => Found::One(Box::new(idle(id, started))),
        _ => Found::One(Box::new(build(id, started, 1))),
    };
    for (name, expected) in [
        ("last", one("2026b", 2)),
        ("2026a", one("2026a", 1)),
        ("2027", one("2027", 3)),
        (
            "20",
            Found::Several(vec!["2026a".into(), "2026b".into(), "2027".into()]),
        ),
        ("2026", Found::Several(vec!["2026a".into(), "2026b".into()])),
        ("202_", Found::None),
        (
            "",
            Found::Several(vec!["2026a".into(), "2026b".into(), "2027".into()]),
        ),
        ("3", Found::None),
    ] {
        assert_eq!(database.find(name).unwrap(), expected, "{name}");
    }
}

#[test]
fn builds_with_nothing_to_do_wait_in_a_file_and_are_moved_in_once() {
    let (_directory, path) = state();
    let (one, two) = (idle("1", 1), idle("2", 2));
    assert_eq!(keep_idle(&path, &one), None);
    assert!(!path.exists(), "no database was opened");
    // One that was cut off by a kill.
    let text = fs::read_to_string(pending::path(&path)).unwrap();
    fs::write(pending::path(&path), format!("{text}\n{}", &text[..40])).unwrap();
    assert_eq!(keep_idle(&path, &two), None);
    let waiting = fs::read(pending::path(&path)).unwrap();
    assert_eq!(seen(&path), ["2", "1"]);
    assert_eq!(fs::read(pending::path(&path)).unwrap(), b"");
    // A kill came before the file was emptied.
    fs::write(pending::path(&path), waiting).unwrap();
    assert_eq!(keep(&path, &build("3", 3, 1), &Graph::default()), None);
    assert_eq!(seen(&path), ["3", "2", "1"]);
    let database = Database::for_reading(&path).unwrap().unwrap();
    assert_eq!(database.builds(&all()).unwrap()[1], two);
}

#[test]
fn a_file_of_waiting_builds_that_is_long_is_moved_in_by_who_appends() {
    let (_directory, path) = state();
    let mut long = idle("0", 0);
    long.arguments = vec!["x".repeat(300 * 1024)];
    assert_eq!(keep_idle(&path, &long), None);
    assert!(!path.exists());
    assert_eq!(keep_idle(&path, &idle("1", 1)), None);
    assert!(path.exists());
    assert_eq!(fs::read(pending::path(&path)).unwrap(), b"");
    assert_eq!(seen(&path), ["1", "0"]);
}

#[test]
fn what_another_process_writes_to_is_read_and_a_build_waits_in_the_file() {
    let (_directory, path) = state();
    assert_eq!(keep(&path, &build("a", 1, 10), &Graph::default()), None);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(keep(&path, &build("b", 2, 10), &Graph::default()), None);
    assert_eq!(keep_idle(&path, &idle("c", 3)), None);
    assert_eq!(seen(&path), ["a"]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(seen(&path), ["c", "b", "a"]);
    let database = Database::for_reading(&path).unwrap().unwrap();
    let Found::One(kept) = database.find("b").unwrap() else {
        panic!("it is there as a whole");
    };
    assert_eq!(*kept, build("b", 2, 10));
}

#[test]
fn the_last_build_is_one_that_began() {
    let (_directory, path) = state();
    let mut not_begun = build("b", 2, 10);
    not_begun.outcome = Outcome::NotBegun;
    let mut waited = build("c", 3, 10);
    waited.outcome = Outcome::Cancelled;
    waited.target_count = 0;
    for entry in [&build("a", 1, 10), &not_begun, &waited] {
        assert_eq!(keep(&path, entry, &Graph::default()), None);
    }
    let database = Database::for_reading(&path).unwrap().unwrap();
    let last = database.find("last").unwrap();
    assert!(matches!(last, Found::One(build) if build.id == "a"));
    let stats = database.stats_at(Window::Last(1), NOW).unwrap();
    assert_eq!((stats.now.succeeded, stats.now.not_begun), (1, 1));
}

#[test]
fn the_oldest_are_forgotten() {
    let (_directory, path) = state();
    let mut database = Database::open(&path).unwrap();
    for number in 0..40 {
        let id = format!("{number:02}");
        let entry = match number % 2 {
            0 => build(&id, number, 1),
            _ => idle(&id, number),
        };
        database.keep(&entry, &Graph::default()).unwrap();
    }
    let rows = |database: &Database, table: &str| -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        let connection = &database.connection;
        connection.query_row(&count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(&database, "actions"), 20);
    for (builds, actions, expected) in [
        (15, 1_000, (30, 15)),
        // The last has one action, and so have those before it.
        (15, 6, (21, 6)),
        // The last stays, however many it has.
        (2, 0, (3, 1)),
    ] {
        let transaction = database.connection.transaction().unwrap();
        forget(&transaction, builds, actions).unwrap();
        transaction.commit().unwrap();
        let left = (rows(&database, "builds"), rows(&database, "actions"));
        assert_eq!(left, expected, "{builds} {actions}");
        assert_eq!(rows(&database, "targets"), expected.1);
    }
    assert_eq!(ids(&database, &all()), ["39", "38", "37"]);
}

#[test]
fn two_builds_at_once_are_both_kept() {
    let (_directory, path) = state();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..10 {
                    let id = format!("{writer} {number}");
                    let kept = match number % 2 {
                        0 => keep(path, &build(&id, number, 1), &Graph::default()),
                        _ => keep_idle(path, &idle(&id, number)),
                    };
                    assert_eq!(kept, None);
                }
            });
        }
    });
    assert_eq!(seen(&path).len(), 40);
}

/// What a synth of the first version of the tables has left. Never changed: it is what users have.
const VERSION_1: &str = r#"
CREATE TABLE builds (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, started_us INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL, pipeline TEXT NOT NULL, environment TEXT,
    selection TEXT NOT NULL, arguments TEXT NOT NULL, outcome TEXT NOT NULL, exit_code INTEGER,
    commit_id TEXT, dirty INTEGER, synth TEXT NOT NULL, idle INTEGER NOT NULL,
    target_count INTEGER NOT NULL, executed INTEGER NOT NULL, cached INTEGER NOT NULL,
    waited INTEGER NOT NULL, up_to_date INTEGER NOT NULL, failed INTEGER NOT NULL,
    not_done INTEGER NOT NULL
);
CREATE INDEX builds_by_start ON builds (started_us);
CREATE INDEX builds_by_idleness ON builds (idle, started_us);
CREATE TABLE targets (
    build INTEGER NOT NULL REFERENCES builds (number) ON DELETE CASCADE, name TEXT NOT NULL,
    kind TEXT NOT NULL, status TEXT NOT NULL, duration_ms INTEGER NOT NULL,
    PRIMARY KEY (build, name)
) WITHOUT ROWID;
CREATE INDEX targets_by_name ON targets (name, build);
CREATE TABLE actions (
    build INTEGER NOT NULL REFERENCES builds (number) ON DELETE CASCADE, target TEXT NOT NULL,
    id TEXT NOT NULL, phase TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL,
    cache TEXT, started_us INTEGER, duration_ms INTEGER NOT NULL, executed_ms INTEGER,
    cpu_ms INTEGER, peak_memory_bytes INTEGER, read_bytes INTEGER, written_bytes INTEGER,
    exit_code INTEGER, signal INTEGER, attempts INTEGER, digest TEXT, log TEXT,
    PRIMARY KEY (build, target, id)
) WITHOUT ROWID;
CREATE TABLE graph (
    pipeline TEXT NOT NULL, environment TEXT NOT NULL, target TEXT NOT NULL, needs TEXT NOT NULL,
    actions TEXT NOT NULL, PRIMARY KEY (pipeline, environment, target)
) WITHOUT ROWID;
PRAGMA user_version = 1;
INSERT INTO builds VALUES (1, '20261123T120000.000000Z-1', 1795435200000000, 2100, 'shop', NULL,
    '[]', '["build"]', 'succeeded', 0, 'c0ffee', 0, '0.1.0', 0, 2, 1, 1, 0, 3, 0, 0);
INSERT INTO builds VALUES (2, '20261123T130000.000000Z-2', 1795438800000000, 900, 'shop',
    'production', '["api"]', '["build","api"]', 'failed', 1, NULL, NULL, '0.1.0', 0, 1, 0, 0, 1,
    0, 1, 1);
INSERT INTO targets VALUES (1, 'api', 'python', 'built', 2000), (2, 'api', 'python', 'failed', 800);
INSERT INTO actions VALUES
    (1, 'api', 'install', 'install', 'install what it needs', 'cached', 'cached', 1795435200000001,
     4, 1500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'ab', NULL),
    (1, 'api', 'test', 'test', 'run the tests', 'executed', 'executed', 1795435200000002, 1990, 1980,
     1700, 1048576, 0, 4096, NULL, NULL, 2, 'cd', '.synth/logs/20261123T120000.000000Z-1/api.test.log'),
    (2, 'api', 'install', 'install', 'install what it needs', 'cached', 'waited', 1795438800000001,
     700, 1500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'ab', NULL),
    (2, 'api', 'test', 'test', 'run the tests', 'failed', 'executed', 1795438800000002, 90, NULL, 60,
     NULL, NULL, NULL, 2, NULL, 1, 'ef', '.synth/logs/20261123T130000.000000Z-2/api.test.log');
INSERT INTO graph VALUES ('shop', 'production', 'api', '[]',
    '[{"id":"install","description":"install what it needs","after":[],"executed_ms":1500},
      {"id":"test","description":"run the tests","after":["install"],"executed_ms":1980}]');
"#;

#[test]
fn a_database_of_the_first_version_still_opens() {
    let (_directory, path) = state();
    Connection::open(&path)
        .unwrap()
        .execute_batch(VERSION_1)
        .unwrap();
    let database = Database::for_reading(&path).unwrap().unwrap();
    let builds = database.builds(&all()).unwrap();
    let outcomes: Vec<_> = builds
        .iter()
        .map(|build| (build.outcome, build.targets[0].status))
        .collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Failed, TargetStatus::Failed),
            (Outcome::Succeeded, TargetStatus::Built),
        ]
    );
    let tests = &builds[1].targets[0].actions[1];
    assert_eq!((tests.attempts, tests.written_bytes), (Some(2), Some(4096)));
    let stats = database
        .stats_at(Window::Days(1), 1_795_442_400_000_000)
        .unwrap();
    assert_eq!(stats.flaky_actions[0].passed_on_retry, 1);
    assert_eq!(stats.critical_path.unwrap().length_ms, 3480);
    drop(database);
    assert_eq!(keep(&path, &build("3", NOW, 1), &Graph::default()), None);
    assert_eq!(seen(&path).len(), 3);
}

#[test]
fn a_database_that_is_made_anew_is_one_that_has_taken_all_steps() {
    let tables = |connection: &Connection| -> Vec<String> {
        let schema = "SELECT name || ': ' || group_concat(column, ' ') FROM \
             (SELECT m.name, c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk AS column \
              FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' \
              ORDER BY m.name, c.cid) GROUP BY name";
        let mut statement = connection.prepare(schema).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let (_directory, path) = state();
    let mut first = Connection::open_in_memory().unwrap();
    first.execute_batch(VERSION_1).unwrap();
    migration::migrate(&mut first, &STEPS).unwrap();
    let anew = Database::open(&path).unwrap();
    assert_eq!(tables(&anew.connection), tables(&first));
    assert_eq!(
        migration::version(&anew.connection).unwrap(),
        migration::newest(&STEPS)
    );
}

#[test]
fn steps_are_taken_one_by_one_and_each_whole_or_not_at_all() {
    let mut connection = Connection::open_in_memory().unwrap();
    let steps = [
        "CREATE TABLE a (b TEXT)",
        "ALTER TABLE a ADD COLUMN c TEXT; INSERT INTO a VALUES ('1', '2')",
    ];
    migration::migrate(&mut connection, &steps[..1]).unwrap();
    assert_eq!(migration::version(&connection).unwrap(), 1);
    let broken = [steps[0], "INSERT INTO a VALUES ('3'); THIS IS NO SQL"];
    migration::migrate(&mut connection, &broken).unwrap_err();
    assert_eq!(migration::version(&connection).unwrap(), 1);
    migration::migrate(&mut connection, &steps).unwrap();
    assert_eq!(migration::version(&connection).unwrap(), 2);
    let rows: i64 = connection
        .query_row("SELECT count(*) FROM a WHERE c = '2'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1, "nothing of the broken step");
    let refused = migration::migrate(&mut connection, &steps[..1]);
    assert!(matches!(
        refused,
        Err(HistoryError::Newer { found: 2, known: 1 })
    ));
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let (_directory, path) = state();
    assert_eq!(keep(&path, &build("1", 1, 1), &Graph::default()), None);
    let later = Connection::open(&path).unwrap();
    later.pragma_update(None, "user_version", 9).unwrap();
    later.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(later);
    let bytes = fs::read(&path).unwrap();
    let problem = Database::for_reading(&path).unwrap_err();
    assert_eq!(problem.code, "history.newer");
    let warning = keep(&path, &build("2", 2, 1), &Graph::default()).unwrap();
    assert!(!warning.is_error());
    assert_eq!(warning.code, "history.newer");
    assert_eq!(
        warning.causes,
        ["it is of version 9, and this synth knows those up to 1"]
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_database_is_set_aside_by_the_next_build_and_told() {
    let (directory, path) = state();
    let text = "this is no database, however long it is".repeat(40);
    fs::write(&path, &text).unwrap();
    let problem = Database::for_reading(&path).unwrap_err();
    assert_eq!(problem.code, "history.damaged");
    let warning = keep(&path, &build("1", 1, 1), &Graph::default()).unwrap();
    assert_eq!(warning.code, "history.damaged");
    assert!(!warning.is_error());
    assert_eq!(seen(&path), ["1"]);
    let aside = directory.path().join("history.db.damaged");
    assert_eq!(fs::read_to_string(aside).unwrap(), text);
}

#[test]
fn where_nothing_can_be_written_a_build_is_warned_and_no_more() {
    let (directory, _) = state();
    let path = directory.path().join("nowhere/history.db");
    for warning in [
        keep(&path, &build("1", 1, 1), &Graph::default()),
        keep_idle(&path, &idle("2", 2)),
    ] {
        let warning = warning.unwrap();
        assert!(!warning.is_error());
        assert_eq!(warning.code, "history.unusable");
    }
    assert!(seen(&path).is_empty());
}

#[test]
fn the_graph_keeps_what_later_builds_do_not_tell_and_forgets_what_is_gone() {
    let (_directory, path) = state();
    let mut database = Database::open(&path).unwrap();
    let target = |name: &str, executed_ms| GraphTarget {
        name: name.to_owned(),
        needs: Vec::new(),
        actions: vec![GraphAction {
            id: "run".to_owned(),
            description: "run it".to_owned(),
            after: Vec::new(),
            executed_ms,
        }],
    };
    let graph = |targets: &[(&str, Option<u64>)], all: Option<&[&str]>| Graph {
        pipeline: "shop".to_owned(),
        environment: String::new(),
        targets: targets
            .iter()
            .map(|(name, took)| target(name, *took))
            .collect(),
        all: all.map(|names| names.iter().map(ToString::to_string).collect()),
    };
    for (number, (graph, expected)) in [
        (
            graph(&[("a", Some(5)), ("b", None)], Some(&["a", "b"])),
            vec![target("a", Some(5)), target("b", None)],
        ),
        // A build of some: the others stay.
        (
            graph(&[("a", None)], None),
            vec![target("a", Some(5)), target("b", None)],
        ),
        (
            graph(&[("c", Some(1))], Some(&["a", "c"])),
            vec![target("a", Some(5)), target("c", Some(1))],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = build(&number.to_string(), 1, 1);
        database.keep(&entry, &graph).unwrap();
        let read = Graph::read(&database.connection, "shop", "").unwrap();
        assert_eq!(read, expected, "{number}");
    }
}
