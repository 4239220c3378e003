//! Figures of builds as tables: how they go, what takes long, what bounds them.

use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use synth_engine::{ActionTrend, CriticalPath, Flaky, Period, Stats, TargetTrend, Window};

use super::duration;

/// Everything, section by section; those with nothing in them are left out.
pub(crate) fn of_stats(stats: &Stats) -> String {
    let Period {
        builds,
        idle_builds,
        ..
    } = stats.now;
    let (now, before) = titles(stats.window);
    let mut sections = Vec::new();
    if builds + idle_builds == 0 {
        sections.push(match stats.window {
            Window::Days(_) => format!("no builds in {now}"),
            Window::Last(_) => "no builds".to_owned(),
        });
    } else {
        sections.push(of_periods(stats, &now, &before));
    }
    if !stats.targets.is_empty() {
        sections.push(of_targets(&stats.targets));
    }
    if !stats.slowest_actions.is_empty() {
        sections.push(of_actions(&stats.slowest_actions));
    }
    if !stats.flaky_actions.is_empty() {
        sections.push(of_flaky(&stats.flaky_actions));
    }
    sections.extend(stats.critical_path.as_ref().map(of_path));
    sections.join("\n\n")
}

fn titles(window: Window) -> (String, String) {
    match window {
        Window::Days(1) => ("the last day".to_owned(), "the day before".to_owned()),
        Window::Days(days) => (
            format!("the last {days} days"),
            format!("the {days} before"),
        ),
        Window::Last(1) => ("the last build".to_owned(), "the one before".to_owned()),
        Window::Last(builds) => (
            format!("the last {builds} builds"),
            format!("the {builds} before"),
        ),
    }
}

fn of_periods(stats: &Stats, now: &str, before: &str) -> String {
    let both = |figure: &dyn Fn(&Period) -> String| [figure(&stats.now), figure(&stats.before)];
    let [builds, builds_before] = both(&|period| period.builds.to_string());
    let [idle, idle_before] = both(&|period| period.idle_builds.to_string());
    let [succeeded, succeeded_before] = both(&|period| share(period.success_rate));
    let [median, median_before] = both(&|period| time(period.median_ms));
    let [p90, p90_before] = both(&|period| time(period.p90_ms));
    let [hits, hits_before] = both(&|period| share(period.hit_rate));
    let [saved, saved_before] = both(&|period| time(Some(period.saved_ms)));
    let none = String::new;
    table(
        ["", now, before, "change"],
        [
            ["builds".to_owned(), builds, builds_before, none()],
            ["with nothing to do".to_owned(), idle, idle_before, none()],
            ["succeeded".to_owned(), succeeded, succeeded_before, none()],
            [
                "median".to_owned(),
                median,
                median_before,
                change(stats.median_change),
            ],
            ["9 of 10 within".to_owned(), p90, p90_before, none()],
            ["cache hits".to_owned(), hits, hits_before, none()],
            ["saved by the cache".to_owned(), saved, saved_before, none()],
        ],
    )
}

fn of_targets(targets: &[TargetTrend]) -> String {
    let rows = targets.iter().map(|target| {
        [
            target.target.clone(),
            target.built.to_string(),
            target.failed.to_string(),
            time(target.median_ms),
            time(target.p90_ms),
            time(target.before_median_ms),
            change(target.change),
        ]
    });
    let head = [
        "target",
        "built",
        "failed",
        "median",
        "9 of 10 within",
        "before",
        "change",
    ];
    table(head, rows)
}

fn of_actions(actions: &[ActionTrend]) -> String {
    let rows = actions.iter().map(|action| {
        [
            format!("{} {}", action.target, action.action),
            action.executed.to_string(),
            time(Some(action.median_ms)),
            time(Some(action.p90_ms)),
            time(action.before_median_ms),
            change(action.change),
        ]
    });
    let head = [
        "slowest actions",
        "executed",
        "median",
        "9 of 10 within",
        "before",
        "change",
    ];
    table(head, rows)
}

fn of_flaky(actions: &[Flaky]) -> String {
    let rows = actions.iter().map(|flaky| {
        [
            format!("{} {}", flaky.target, flaky.action),
            format!("{} of {}", flaky.passed_on_retry, flaky.executed),
            flaky.last_build.clone(),
        ]
    });
    table(["flaky actions", "passed on retry", "last in build"], rows)
}

fn of_path(path: &CriticalPath) -> String {
    let rows = path.steps.iter().map(|step| {
        [
            format!("{} {}", step.target, step.action),
            time(Some(step.duration_ms)),
            match step.gain_ms {
                Some(gain) => format!("{} less", time(Some(gain))),
                None => String::new(),
            },
        ]
    });
    let mut text = table(["critical path", "takes", "without it"], rows);
    let (length, work) = (time(Some(path.length_ms)), time(Some(path.work_ms)));
    text.push_str(&format!(
        "\n\nall actions together take {work}; a build of everything takes at least {length}"
    ));
    if path.least_jobs > 1 {
        let jobs = path.least_jobs;
        text.push_str(&format!(", and longer with fewer than {jobs} jobs at once"));
    }
    let most = path.steps.iter().max_by_key(|step| step.gain_ms);
    if let Some((step, gain)) = most.and_then(|step| Some((step, step.gain_ms?)))
        && gain > 0
    {
        text.push_str(&format!(
            "\nto shorten it, begin with {} {}: make it faster, split it, or let less wait for it \
             (at most {} are gained)",
            step.target,
            step.action,
            time(Some(gain))
        ));
    }
    match path.unknown_actions {
        0 => {}
        1 => text.push_str("\n1 action was never executed here, and counts as if it took no time"),
        count => text.push_str(&format!(
            "\n{count} actions were never executed here, and count as if they took no time"
        )),
    }
    text
}

fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn time(milliseconds: Option<u64>) -> String {
    milliseconds.map_or_else(
        || "-".to_owned(),
        |milliseconds| duration(Duration::from_millis(milliseconds)),
    )
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn change(change: Option<f64>) -> String {
    change.map_or_else(String::new, |change| format!("{:+.0} %", change * 100.0))
}

#[cfg(test)]
mod tests {
    use synth_engine::{Counts, CriticalStep};

    use super::*;

    fn stats() -> Stats {
        let period = |builds, median| Period {
            builds,
            idle_builds: 40,
            succeeded: builds,
            success_rate: Some(0.9333),
            median_ms: median,
            p90_ms: median.map(|median| median * 2),
            actions: Counts::default(),
            hit_rate: Some(0.75),
            saved_ms: 61_000,
            ..Period::default()
        };
        Stats {
            version: 1,
            window: Window::Days(30),
            now: period(14, Some(2100)),
            before: period(0, None),
            median_change: Some(-0.25),
            targets: Vec::new(),
            slowest_actions: Vec::new(),
            flaky_actions: Vec::new(),
            critical_path: None,
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        insta::assert_snapshot!(of_stats(&stats()), @"
                            the last 30 days  the 30 before  change
        builds              14                0
        with nothing to do  40                40
        succeeded           93.3 %            93.3 %
        median              2.1 s             -              -25 %
        9 of 10 within      4.2 s             -
        cache hits          75.0 %            75.0 %
        saved by the cache  1 min 1 s         1 min 1 s
        ");
        let none = Stats {
            now: Period::default(),
            window: Window::Last(1),
            ..stats()
        };
        assert_eq!(of_stats(&none), "no builds");
    }

    #[test]
    fn everything_is_told_in_sections() {
        let step = |action: &str, duration_ms, gain_ms| CriticalStep {
            target: "api".to_owned(),
            action: action.to_owned(),
            description: "do it".to_owned(),
            duration_ms,
            gain_ms,
        };
        let all = Stats {
            targets: vec![TargetTrend {
                target: "api".to_owned(),
                built: 12,
                failed: 1,
                median_ms: Some(1900),
                p90_ms: Some(2000),
                before_median_ms: None,
                change: None,
            }],
            slowest_actions: vec![ActionTrend {
                target: "api".to_owned(),
                action: "test".to_owned(),
                description: "run the tests".to_owned(),
                executed: 12,
                total_ms: 20_000,
                median_ms: 1500,
                p90_ms: 1600,
                before_median_ms: Some(1000),
                change: Some(0.5),
            }],
            flaky_actions: vec![Flaky {
                target: "api".to_owned(),
                action: "test".to_owned(),
                description: "run the tests".to_owned(),
                passed_on_retry: 2,
                executed: 12,
                last_build: "20261123T120000.000000Z-1".to_owned(),
            }],
            critical_path: Some(CriticalPath {
                pipeline: "shop".to_owned(),
                environment: None,
                length_ms: 3500,
                work_ms: 6000,
                least_jobs: 2,
                unknown_actions: 1,
                steps: vec![
                    step("install", 1500, Some(1500)),
                    step("test", 1990, Some(700)),
                    step("wheel", 10, None),
                ],
            }),
            ..stats()
        };
        insta::assert_snapshot!(of_stats(&all), @"
                             the last 30 days  the 30 before  change
         builds              14                0
         with nothing to do  40                40
         succeeded           93.3 %            93.3 %
         median              2.1 s             -              -25 %
         9 of 10 within      4.2 s             -
         cache hits          75.0 %            75.0 %
         saved by the cache  1 min 1 s         1 min 1 s

         target  built  failed  median  9 of 10 within  before  change
         api     12     1       1.9 s   2.0 s           -

         slowest actions  executed  median  9 of 10 within  before  change
         api test         12        1.5 s   1.6 s           1.0 s   +50 %

         flaky actions  passed on retry  last in build
         api test       2 of 12          20261123T120000.000000Z-1

         critical path  takes  without it
         api install    1.5 s  1.5 s less
         api test       2.0 s  700 ms less
         api wheel      10 ms

        all actions together take 6.0 s; a build of everything takes at least 3.5 s, and longer with fewer than 2 jobs at once
        to shorten it, begin with api install: make it faster, split it, or let less wait for it (at most 1.5 s are gained)
        1 action was never executed here, and counts as if it took no time
        ");
    }
}
