//! A history of many builds: what is asked of it is answered while somebody waits.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, params};

use super::amount;
use crate::workspace::Workspace;

/// How long somebody waits.
const MOST: Duration = Duration::from_secs(1);

const DAY: i64 = 86_400_000_000;

const TARGETS: i64 = 3;
const ACTIONS: i64 = 4;

/// The last of five builds has nothing to do.
fn is_idle(number: i64) -> bool {
    number % 5 == 4
}

/// Fills the history with builds of 59 days, as docs/history.md says that they stand there.
fn fill(database: &mut Connection, builds: i64, now: i64) {
    let transaction = database.transaction().unwrap();
    for number in 0..builds {
        let started = now - (builds - number) * (59 * DAY / builds);
        let idle = is_idle(number);
        let failed = number % 20 == 7;
        let outcome = if failed { "failed" } else { "succeeded" };
        let executed = if idle { 0 } else { TARGETS * ACTIONS };
        let build = "INSERT INTO builds (id, started_us, duration_ms, pipeline, selection, arguments, \
                     outcome, exit_code, synth, idle, target_count, executed, cached, waited, \
                     up_to_date, failed, not_done) VALUES (?1, ?2, ?3, 'shop', '[]', '[\"build\"]', \
                     ?4, ?5, '0.1.0', ?6, 12, ?7, 0, 0, 36, 0, 0)";
        transaction
            .prepare_cached(build)
            .unwrap()
            .execute(params![
                format!("generated {number:06}"),
                started,
                1000 + number % 977,
                outcome,
                i32::from(failed),
                idle,
                executed,
            ])
            .unwrap();
        if !idle {
            let build = transaction.last_insert_rowid();
            (0..TARGETS).for_each(|target| add(&transaction, build, number, target));
        }
    }
    transaction.commit().unwrap();
}

fn add(transaction: &Transaction<'_>, build: i64, number: i64, target: i64) {
    let name = format!("target-{}", (number * 7 + target) % 12);
    let row = "INSERT INTO targets VALUES (?1, ?2, 'command', 'built', ?3)";
    let took = number % 911;
    let mut statement = transaction.prepare_cached(row).unwrap();
    statement.execute(params![build, name, took]).unwrap();
    for action in 0..ACTIONS {
        let row = "INSERT INTO actions VALUES (?1, ?2, ?3, 'build', 'do what is to be done', \
                   'executed', 'executed', ?4, ?5, ?5, 10, 1048576, 0, 4096, NULL, NULL, ?6, ?7, ?8)";
        let id = format!("action-{action}");
        let attempts = if (number + action) % 50 == 0 { 2 } else { 1 };
        let mut statement = transaction.prepare_cached(row).unwrap();
        statement
            .execute(params![
                build,
                name,
                id,
                number,
                took + action,
                attempts,
                format!("{number:064x}"),
                format!(".synth/logs/generated {number:06}/{name}.{id}.log"),
            ])
            .unwrap();
    }
}

#[test]
fn of_10_000_builds_figures_are_there_at_once() {
    let builds = i64::try_from(amount("SYNTH_SOAK_BUILDS", 500)).unwrap();
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n",
    );
    let page = "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>";
    workspace.write("web/index.html", page);
    workspace.synth(["build"]).succeeded();

    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    let now = i64::try_from(now).unwrap();
    let mut database = Connection::open(workspace.path(".synth/history.db")).unwrap();
    fill(&mut database, builds, now);
    drop(database);

    let mut told = Vec::new();
    for arguments in [
        &["stats", "--since", "60", "--json"][..],
        &["stats", "--json"],
        &["history", "--json"],
        &["history", "--json", "--target", "target-3"],
    ] {
        let started = Instant::now();
        let shown = workspace.synth(arguments).succeeded().json();
        let took = started.elapsed();
        assert!(took < MOST, "{arguments:?}: {took:?}");
        told.push(format!("`{}` {} ms", arguments.join(" "), took.as_millis()));
        if told.len() == 1 {
            let idle = (0..builds).filter(|number| is_idle(*number)).count();
            let idle = i64::try_from(idle).unwrap();
            // One was built before.
            assert_eq!(shown["now"]["builds"], builds - idle + 1);
            assert_eq!(shown["now"]["idle_builds"], idle);
            assert_eq!(shown["targets"].as_array().unwrap().len(), 10);
            assert_eq!(shown["slowest_actions"].as_array().unwrap().len(), 10);
        }
    }
    println!("soak: {builds} builds: {}", told.join(", "));
}
