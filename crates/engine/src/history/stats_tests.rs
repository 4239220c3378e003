//! Figures of a history whose figures were computed by hand.

use super::database::Database;
use super::entry::{ActionEntry, BuildEntry, CacheResult, Counts, Outcome, TargetEntry};
use super::graph::Graph;
use super::stats::{Flaky, Period, Stats, TargetTrend, Window};
use super::tests::{DAY, NOW, action, build, idle, state};
use crate::report::{ActionStatus, TargetStatus};

/// The build that is so many before the last: there is one every four hours. Of ten in a row
///
/// - the first finds `site` in the cache beside what it executes,
/// - the fourth passes at the second attempt,
/// - the eighth is cancelled, in every second ten,
/// - the ninth fails,
/// - the tenth has nothing to do,
///
/// and the first takes 100 ms, the second 200 ms and so on; half of that before the last 30 days.
fn nth(number: i64) -> BuildEntry {
    let id = format!("build {number:03}");
    let started = NOW - number * (DAY / 6);
    let digit = u64::try_from(number % 10).unwrap();
    let long = if number > 180 { 50 } else { 100 };
    let mut entry = build(&id, started, long * (digit + 1));
    let counted = |counts: Counts| Counts {
        up_to_date: 3,
        ..counts
    };
    match digit {
        0 => {
            entry.actions.cached = 1;
            entry.targets.push(TargetEntry {
                name: "site".to_owned(),
                kind: "static".to_owned(),
                status: TargetStatus::Cached,
                duration_ms: 1,
                actions: vec![ActionEntry {
                    status: ActionStatus::Cached,
                    cache: Some(CacheResult::Cached),
                    attempts: None,
                    ..action("assemble", 30)
                }],
            });
        }
        3 => entry.targets[0].actions[0].attempts = Some(2),
        7 if number % 20 == 7 => {
            entry.outcome = Outcome::Cancelled;
            entry.targets[0].status = TargetStatus::Cancelled;
            entry.targets[0].actions[0].status = ActionStatus::Cancelled;
            entry.actions = counted(Counts {
                not_done: 1,
                ..Counts::default()
            });
        }
        8 => {
            entry.outcome = Outcome::Failed;
            entry.targets[0].status = TargetStatus::Failed;
            entry.targets[0].actions[0].status = ActionStatus::Failed;
            entry.actions = counted(Counts {
                failed: 1,
                ..Counts::default()
            });
        }
        9 => return idle(&id, started),
        _ => {}
    }
    entry
}

fn figures(window: Window) -> Stats {
    let (_directory, path) = state();
    let mut database = Database::open(&path).unwrap();
    let transaction = database.connection.transaction().unwrap();
    // Those that are older than twice 30 days count for nothing.
    for number in 0..400 {
        super::write::insert(&transaction, &nth(number)).unwrap();
    }
    transaction.commit().unwrap();
    database.stats_at(window, NOW).unwrap()
}

#[test]
fn figures_of_days_are_those_computed_by_hand() {
    let stats = figures(Window::Days(30));
    // Builds 0 to 180. Of the 136 that succeeded 19 took 100 ms, 18 each 200 to 700 ms, 9 800 ms.
    let now = Period {
        builds: 163,
        idle_builds: 18,
        succeeded: 136,
        failed: 18,
        cancelled: 9,
        not_begun: 0,
        success_rate: Some(0.8831),
        median_ms: Some(400),
        p90_ms: Some(700),
        actions: Counts {
            executed: 136,
            cached: 19,
            waited: 0,
            up_to_date: 489,
            failed: 18,
            not_done: 9,
        },
        hit_rate: Some(0.7674),
        saved_ms: 570,
    };
    assert_eq!(stats.now, now);
    // Builds 181 to 360: 135 succeeded, 18 each took 50 to 350 ms, 9 400 ms.
    let before = &stats.before;
    assert_eq!((before.builds, before.idle_builds), (162, 18));
    assert_eq!((before.succeeded, before.failed), (135, 18));
    assert_eq!((before.median_ms, before.p90_ms), (Some(200), Some(350)));
    assert_eq!((before.actions.cached, before.saved_ms), (18, 540));
    assert_eq!(stats.median_change, Some(1.0));
    let api = TargetTrend {
        target: "api".to_owned(),
        built: 136,
        failed: 18,
        median_ms: Some(400),
        p90_ms: Some(700),
        before_median_ms: Some(200),
        change: Some(1.0),
    };
    assert_eq!(stats.targets, [api]);
    let [run] = stats.slowest_actions.as_slice() else {
        panic!("{:?}", stats.slowest_actions);
    };
    assert_eq!((run.executed, run.total_ms), (136, 57_700));
    assert_eq!((run.median_ms, run.p90_ms), (400, 700));
    assert_eq!(run.before_median_ms, Some(200));
    let flaky = Flaky {
        target: "api".to_owned(),
        action: "run".to_owned(),
        description: "do run".to_owned(),
        passed_on_retry: 18,
        executed: 136,
        last_build: "build 003".to_owned(),
    };
    assert_eq!(stats.flaky_actions, [flaky]);
    assert_eq!(stats.critical_path, None);
}

#[test]
fn the_last_builds_are_those_that_had_something_to_do() {
    let stats = figures(Window::Last(50));
    // Builds 0 to 54, and 55 to 110.
    assert_eq!((stats.now.builds, stats.now.idle_builds), (50, 5));
    assert_eq!((stats.before.builds, stats.before.idle_builds), (50, 6));
    // Fewer than that are all that there are.
    let all = figures(Window::Last(1000));
    assert_eq!((all.now.builds, all.before.builds), (360, 0));
    assert_eq!(all.median_change, None);
}

#[test]
fn figures_of_nothing_are_none() {
    let (_directory, path) = state();
    let mut database = Database::open(&path).unwrap();
    for window in [Window::Days(1), Window::Last(1), Window::Last(0)] {
        let stats = database.stats_at(window, NOW).unwrap();
        assert_eq!(stats, Stats::none(window));
    }
    database.keep(&nth(0), &Graph::default()).unwrap();
    let stats = database.stats_at(Window::Days(u32::MAX), NOW).unwrap();
    assert_eq!(stats.now.builds, 1);
}
