//! Builds after the first: what is said of a change, and which targets a change in git reaches.

use crate::workspace::{Workspace, assert_run};

const CONFIG: &str = r#"name = "pages"

[targets.shop]
type = "static"
source_path = "shop"

[targets.blog]
type = "static"
source_path = "blog"
"#;

const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Page</title><h1>Page</h1></html>\n";

fn pages() -> Workspace {
    Workspace::with_files([
        ("synth.toml", CONFIG),
        ("shop/index.html", PAGE),
        ("blog/index.html", PAGE),
    ])
}

#[test]
fn what_is_different_is_explained() {
    let workspace = pages();
    assert_run!(workspace.synth(["explain"]), @"
    exit code: 0
    ----- stdout -----
    shop would be built:
      no earlier build of it is known
    blog would be built:
      no earlier build of it is known
    ");
    workspace.build([""; 0]).succeeded();
    assert_run!(workspace.synth(["explain"]), @"
    exit code: 0
    ----- stdout -----
    shop is up to date
    blog is up to date
    ");
    workspace.write("shop/index.html", PAGE.replace("h1", "h2"));
    workspace.write("shop/new.html", PAGE);
    assert_run!(workspace.synth(["explain", "shop"]), @"
    exit code: 0
    ----- stdout -----
    shop would be built:
      `shop/index.html` has changed
      `shop/new.html` is new
    ");
    assert_run!(workspace.synth(["--quiet", "build", "--explain"]), @"
    exit code: 0
    ----- stdout -----
    shop (built):
      put the site together: `shop/index.html` has changed
      put the site together: `shop/new.html` is new
    ");
    std::fs::remove_file(workspace.path("dist/blog/index.html")).unwrap();
    assert_run!(workspace.synth(["--quiet", "build", "--explain"]), @"
    exit code: 0
    ----- stdout -----
    blog (cached):
      the output `dist/blog/index.html` is gone
    ");
    assert_run!(workspace.synth(["--quiet", "build", "--explain"]), @"exit code: 0");
    assert_run!(workspace.synth(["explain", "--format", "json", "blog"]), @r#"
    exit code: 0
    ----- stdout -----
    [
      {
        "target": "blog",
        "outlook": "up_to_date",
        "reasons": []
      }
    ]
    "#);
}

#[test]
fn only_what_changes_in_git_reach_is_built() {
    let workspace = pages();
    let git = |arguments: &[&str]| {
        let mut all = vec!["-c", "user.name=a", "-c", "user.email=a@example.org"];
        all.extend(arguments);
        workspace.run("git", all);
    };
    assert_run!(workspace.synth(["build", "--affected"]), @"
    exit code: 2
    ----- stderr -----
    error[affected.git]: `[WORKSPACE]/my project` is in no git repository
     |
     = note: `git rev-parse --git-dir` failed
     = help: build without `--affected`
    ");
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "first"]);
    assert_run!(workspace.synth(["build", "--affected"]), @"
    exit code: 0
    ----- stdout -----
    no target is affected by changes since HEAD
    ");
    assert_run!(workspace.synth(["build", "--affected", "--since", "nowhere"]), @"
    exit code: 2
    ----- stderr -----
    error[affected.revision]: there is no revision `nowhere`
     |
     = note: `git rev-parse --verify --quiet nowhere^{commit}` failed
     = help: name a branch, a tag or a commit; a shallow clone has few of them
    ");

    // Not committed.
    workspace.write("blog/new.html", PAGE);
    let report = workspace.build(["--affected"]).succeeded();
    assert_eq!(report.statuses(), "blog built");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "second"]);
    assert_run!(workspace.synth(["build", "--affected"]), @"
    exit code: 0
    ----- stdout -----
    no target is affected by changes since HEAD
    ");
    let report = workspace
        .build(["--affected", "--since", "main~1"])
        .succeeded();
    assert_eq!(report.statuses(), "blog up_to_date");

    // A setting of one target.
    workspace.write(
        "synth.toml",
        format!("{CONFIG}environment = {{ A = \"b\" }}\n"),
    );
    let report = workspace.build(["--affected"]).succeeded();
    // It reaches the target, and comes to nothing: a page does not read it.
    assert_eq!(report.statuses(), "blog up_to_date");
    git(&["checkout", "--quiet", "synth.toml"]);

    // A file that is gone.
    std::fs::remove_file(workspace.path("blog/new.html")).unwrap();
    let report = workspace.build(["--affected"]).succeeded();
    assert_eq!(report.statuses(), "blog built");
}

#[test]
fn what_is_up_to_date_is_executed_again_to_verify_it() {
    let workspace = pages();
    workspace.build([""; 0]).succeeded();
    let logs = || {
        std::fs::read_dir(workspace.path(".synth/logs"))
            .unwrap()
            .count()
    };
    assert_eq!(logs(), 1);
    workspace.build([""; 0]).succeeded();
    assert_eq!(logs(), 1, "a build that has nothing to do has no logs");
    let report = workspace.build(["--verify-reproducible"]).succeeded();
    assert_eq!(report.statuses(), "shop up_to_date, blog up_to_date");
    assert_eq!(logs(), 2);
}
