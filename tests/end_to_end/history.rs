//! The history of builds: what is listed, printed and computed of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::workspace::{Run, Workspace, assert_run, text};

/// Two targets, the second of which needs the first.
fn shop() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "name = \"shop\"\n\n\
         [targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\n\
         [targets.image]\ntype = \"docker\"\nsource_path = \"deploy\"\nneeds = [\"site\"]\n",
    );
    page(&workspace, "<p>one</p>");
    let dockerfile = "FROM scratch\nCOPY --from=site . /srv\n";
    workspace.write("deploy/Dockerfile", dockerfile);
    workspace
}

fn page(workspace: &Workspace, body: &str) {
    let page = format!("<!doctype html><html lang=en><title>Shop</title>{body}</html>");
    workspace.write("web/index.html", page);
}

fn code(run: &Run) -> i32 {
    run.output.status.code().unwrap()
}

fn history(workspace: &Workspace, arguments: &[&str]) -> Vec<Value> {
    let all = ["history", "--json"].iter().chain(arguments);
    let list = workspace.synth(all).succeeded().json();
    list["builds"].as_array().unwrap().clone()
}

/// Each build in short: outcome, exit code, whether it had nothing to do, and its targets.
fn outcomes(builds: &[Value]) -> Vec<String> {
    let of_build = |build: &Value| {
        let targets = build["targets"].as_array().cloned().unwrap_or_default();
        let targets: Vec<String> = targets
            .iter()
            .map(|target| format!("{} {}", text(&target["name"]), text(&target["status"])))
            .collect();
        let idle = match build["idle"].as_bool().unwrap() {
            true => " idle",
            false => "",
        };
        let outcome = text(&build["outcome"]);
        format!(
            "{outcome} {}{idle}: {}",
            build["exit_code"],
            targets.join(", ")
        )
    };
    builds.iter().map(of_build).collect()
}

/// Builds: everything, nothing, a page that leads nowhere, and one after it is mended.
fn four_builds() -> Workspace {
    let workspace = shop();
    workspace.synth(["build"]).succeeded();
    workspace.synth(["build"]).succeeded();
    page(&workspace, "<a href=gone.html>gone</a>");
    assert_eq!(code(&workspace.synth(["build", "site"])), 1);
    page(&workspace, "<p>two</p>");
    workspace.synth(["build"]).succeeded();
    workspace
}

#[test]
fn every_build_is_in_the_history() {
    let workspace = four_builds();
    let builds = history(&workspace, &[]);
    assert_eq!(
        outcomes(&builds),
        [
            "succeeded 0: image built, site built",
            "failed 1: site failed",
            "succeeded 0 idle: ",
            "succeeded 0: image built, site built",
        ]
    );
    let ids: Vec<&str> = builds.iter().map(|build| text(&build["id"])).collect();
    assert!(ids.is_sorted_by(|one, other| one > other), "{ids:?}");
    let failed = &builds[1];
    assert_eq!(failed["selection"], serde_json::json!(["site"]));
    assert_eq!(failed["arguments"], serde_json::json!(["build", "site"]));
    assert_eq!(failed["actions"]["failed"], 1);
    assert_eq!(builds[2]["actions"]["up_to_date"], 6);
    assert_eq!(builds[2]["target_count"], 2);
    let first = builds[3]["targets"].as_array().unwrap();
    for action in first[0]["actions"].as_array().unwrap() {
        assert_eq!(action["cache"], "executed", "{action}");
        assert_eq!(action["attempts"], 1);
        assert!(action["started_us"].as_i64() >= builds[3]["started_us"].as_i64());
        assert!(workspace.path(text(&action["log"])).is_file(), "{action}");
    }
    for (arguments, expected) in [
        (&["--limit", "1"][..], 1),
        (&["--failed"], 1),
        (&["--target", "site"], 3),
        (&["--target", "image"], 2),
        (&["--target", "image", "--failed"], 0),
    ] {
        assert_eq!(
            history(&workspace, arguments).len(),
            expected,
            "{arguments:?}"
        );
    }
}

#[test]
fn the_history_is_what_its_schema_says() {
    let workspace = four_builds();
    for command in ["history", "stats"] {
        let schema = workspace.synth(["schema", command]).succeeded().json();
        let shown = workspace.synth([command, "--json"]).succeeded().json();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(&shown)
            .map(|problem| format!("{}: {problem}", problem.instance_path()))
            .collect();
        assert_eq!(problems, [] as [String; 0], "{command}: {shown:#}");
    }
}

#[test]
fn a_project_without_builds_has_none() {
    let workspace = shop();
    assert_run!(workspace.synth(["history"]), @"
    exit code: 0
    ----- stdout -----
    no builds
    ");
    assert_run!(workspace.synth(["stats"]), @"
    exit code: 0
    ----- stdout -----
    no builds in the last 30 days
    ");
    assert_run!(workspace.synth(["log", "last"]), @"
    exit code: 2
    ----- stderr -----
    error[history.build]: no build of this workspace had anything to do
     |
     = help: `synth history` lists the builds
    ");
    assert!(!workspace.path(".synth").exists(), "to ask makes nothing");
}

#[test]
fn the_logs_of_a_build_are_printed_those_that_failed_first() {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         build_command = [\"sh\", \"build.sh\"]\nbuild_output = \"out\"\n",
    );
    workspace.write(
        "web/build.sh",
        "echo a first line\nprintf 'and no end'\nexit 7\n",
    );
    assert_eq!(code(&workspace.synth(["build"])), 1);
    assert_run!(workspace.synth(["log", "last"]), @"
    exit code: 0
    ----- stdout -----
    site build: build the site with sh build.sh (failed with exit code 7 after [TIME])
    a first line
    and no end
    ");
    let id = text(&history(&workspace, &[])[0]["id"]).to_owned();
    for name in [id.as_str(), &id[..id.len() - 1]] {
        let run = workspace.synth(["log", name, "site"]);
        assert!(run.succeeded().to_string().contains("a first line"));
    }
    assert_run!(workspace.synth(["log", "last", "sote"]), @"
    exit code: 2
    ----- stderr -----
    error[history.target]: build [BUILD] did nothing for target `sote`
     |
     = help: it did something for `site`
    ");
    assert_run!(workspace.synth(["log", "last", "site", "biuld"]), @"
    exit code: 2
    ----- stderr -----
    error[history.action]: target `site` has no action `biuld` in build [BUILD]
     |
     = help: its actions are `assemble`, `build`, `manifest`, `validate`
    ");
    assert_run!(workspace.synth(["log", "1999"]), @"
    exit code: 2
    ----- stderr -----
    error[history.build]: there is no build `1999` in the history
     |
     = help: `synth history` lists the builds
    ");
    fs::remove_dir_all(workspace.path(".synth/logs")).unwrap();
    assert_run!(workspace.synth(["log", "last"]), @"
    exit code: 0
    ----- stdout -----
    site build: build the site with sh build.sh (failed with exit code 7 after [TIME])
    (its log is gone: those of the last 20 builds are kept)
    ");
}

#[test]
fn figures_name_what_bounds_a_build() {
    let workspace = four_builds();
    let stats = workspace.synth(["stats", "--json"]).succeeded().json();
    assert_eq!(stats["window"], serde_json::json!({"days": 30}));
    let now = &stats["now"];
    assert_eq!(
        (&now["builds"], &now["idle_builds"]),
        (&3.into(), &1.into())
    );
    assert_eq!(now["success_rate"], 0.6667);
    let targets = stats["targets"].as_array().unwrap();
    let names: Vec<&str> = targets
        .iter()
        .map(|target| text(&target["target"]))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let path = &stats["critical_path"];
    assert_eq!(path["pipeline"], "shop");
    let length: u64 = path["length_ms"].as_u64().unwrap();
    let steps = path["steps"].as_array().unwrap();
    let sum: u64 = steps
        .iter()
        .map(|step| step["duration_ms"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, length, "{path:#}");
    let shown = workspace
        .synth(["stats", "--last", "2"])
        .succeeded()
        .to_string();
    for part in ["the last 2 builds", "slowest actions", "critical path"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn an_action_that_passes_at_the_third_attempt_is_flaky() {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "sandbox = \"off\"\n\
         [targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         build_command = [\"sh\", \"build.sh\"]\nbuild_output = \"out\"\n\
         retry = { attempts = 3, exit_codes = [75], initial_delay_seconds = 0.01 }\n",
    );
    let count = workspace.beside("count");
    let script = format!(
        "echo x >> '{0}'\ntest $(wc -l < '{0}') -ge 3 || exit 75\n\
         mkdir out\necho '<!doctype html><html lang=en><title>Shop</title>' > out/index.html\n",
        count.display()
    );
    workspace.write("web/build.sh", script);
    workspace.synth(["build"]).succeeded();
    let build = &history(&workspace, &[])[0];
    let actions = build["targets"][0]["actions"].as_array().unwrap();
    let attempts: Vec<(&str, &Value)> = actions
        .iter()
        .map(|action| (text(&action["id"]), &action["attempts"]))
        .collect();
    assert!(attempts.contains(&("build", &3.into())), "{attempts:?}");
    let stats = workspace.synth(["stats", "--json"]).succeeded().json();
    let flaky = stats["flaky_actions"].as_array().unwrap();
    assert_eq!(flaky.len(), 1, "{flaky:?}");
    assert_eq!(flaky[0]["action"], "build");
    assert_eq!(flaky[0]["passed_on_retry"], 1);
    assert_eq!(flaky[0]["last_build"], build["id"]);
    // What is up to date afterwards has not been tried at all.
    let report = workspace.build([""; 0]).succeeded();
    for action in report.target("site")["actions"].as_array().unwrap() {
        assert_eq!(
            (&action["attempts"], &action["flaky"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[test]
fn builds_that_do_not_begin_are_in_the_history_too() {
    let workspace = shop();
    workspace.synth(["build"]).succeeded();
    workspace.write("deploy/Dockerfile", "FORM scratch\n");
    assert_eq!(code(&workspace.synth(["build"])), 2);
    let builds = history(&workspace, &["--limit", "1"]);
    assert_eq!(outcomes(&builds), ["not_begun 2: "]);
}

#[test]
fn a_build_that_is_interrupted_is_in_the_history_with_its_commit() {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         build_command = [\"sh\", \"build.sh\"]\nbuild_output = \"out\"\n",
    );
    workspace.write("web/build.sh", "exec sleep 1000\n");
    workspace.run("git", ["init", "--quiet"]);
    workspace.run("git", ["add", "."]);
    let identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
    let commit = ["commit", "--quiet", "--message", "one"];
    workspace.run("git", identity.iter().chain(&commit));
    let head = workspace.run("git", ["rev-parse", "HEAD"]);

    let mut build = workspace.command(["build"]);
    build.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut build = build.spawn().unwrap();
    let mut told = BufReader::new(build.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("start site")));
    let process = Pid::from_raw(i32::try_from(build.id()).unwrap()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    told.for_each(drop);
    assert_eq!(build.wait().unwrap().code(), Some(130));
    let builds = history(&workspace, &[]);
    assert_eq!(outcomes(&builds), ["cancelled 130: site cancelled"]);
    assert_eq!(text(&builds[0]["commit"]), head.trim());
}

#[test]
fn a_history_of_a_newer_synth_is_left_alone_and_builds_work() {
    let workspace = shop();
    workspace.synth(["build"]).succeeded();
    set_version(&workspace, 99);
    page(&workspace, "<p>two</p>");
    let report = workspace.build([""; 0]).succeeded();
    let codes: Vec<&str> = report.value["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|diagnostic| text(&diagnostic["code"]))
        .collect();
    assert_eq!(codes, ["history.newer"]);
    assert_run!(workspace.synth(["history"]), @"
    exit code: 4
    ----- stderr -----
    error[history.newer]: the history `[WORKSPACE]/my project/.synth/history.db` can't be read
     |
     = note: it is of version 99, and this synth knows those up to 1
     = help: use the synth that has written it, or move the file away; builds work without it
    ");
    set_version(&workspace, 1);
    assert_eq!(history(&workspace, &[]).len(), 1);
}

/// What a synth of that version would have written into the database.
fn set_version(workspace: &Workspace, version: u32) {
    let database = rusqlite::Connection::open(workspace.path(".synth/history.db")).unwrap();
    database
        .pragma_update(None, "user_version", version)
        .unwrap();
}

#[test]
fn where_state_is_read_only_the_history_is_shown_and_builds_succeed() {
    const READ_ONLY: &str = "mount --bind .synth .synth\n\
         mount -o remount,ro,bind .synth\nexec \"$@\"";
    let workspace = four_builds();
    let known = history(&workspace, &[]);
    let shown = workspace.synth_unshared("-Urm", READ_ONLY, ["history", "--json"]);
    assert_eq!(
        shown.succeeded().json()["builds"].as_array().unwrap(),
        &known
    );
    let run = workspace.synth_unshared("-Urm", READ_ONLY, ["build"]);
    assert!(run.succeeded().to_string().contains("history.unusable"));
    assert_eq!(history(&workspace, &[]).len(), known.len());
}
