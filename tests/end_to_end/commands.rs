//! The commands beside `build`, and what all of them have in common.

use std::fs;

use crate::workspace::{Workspace, assert_run, text};

const TWO_SITES: &str = r#"name = "shop"

[targets.site]
type = "static"
source_path = "web"

[targets.image]
type = "docker"
source_path = "deploy"
needs = ["site"]
"#;

fn shop() -> Workspace {
    Workspace::with_files([
        ("synth.toml", TWO_SITES),
        (
            "web/index.html",
            "<!doctype html><html lang=\"en\"><title>Shop</title><h1>Shop</h1></html>\n",
        ),
        (
            "deploy/Dockerfile",
            "FROM scratch\nCOPY --from=site . /srv\n",
        ),
    ])
}

#[test]
fn a_plan_is_shown_as_a_tree() {
    assert_run!(shop().synth(["plan"]), @"
    exit code: 0
    ----- stdout -----
    shop
    ├─ site (static) -> dist/site
    │  ├─ assemble  assemble: put the site together
    │  ├─ optimize  optimize: minify pages, style sheets and scripts
    │  ├─ validate  validate: check links, anchors and assets
    │  └─ assemble  manifest: write the manifest
    └─ image (docker, needs site) -> dist/image
       ├─ assemble  build: build the image of deploy/Dockerfile
       └─ validate  verify: check every digest of the image
    ");
}

#[test]
fn a_plan_is_shown_as_a_graph() {
    assert_run!(shop().synth(["plan", "--format", "dot"]), @r#"
    exit code: 0
    ----- stdout -----
    digraph synth {
      rankdir = LR;
      node [shape = box];
      subgraph cluster_0 {
        label = "site";
        "site.assemble" [label = "put the site together"];
        "site.optimize" [label = "minify pages, style sheets and scripts"];
        "site.validate" [label = "check links, anchors and assets"];
        "site.manifest" [label = "write the manifest"];
      }
      subgraph cluster_1 {
        label = "image";
        "image.build" [label = "build the image of deploy/Dockerfile"];
        "image.verify" [label = "check every digest of the image"];
      }
      "site.assemble" -> "site.optimize";
      "site.assemble" -> "site.validate";
      "site.optimize" -> "site.manifest";
      "site.manifest" -> "image.build";
      "image.build" -> "image.verify";
    }
    "#);
}

#[test]
fn a_plan_is_shown_as_json() {
    let plan = shop()
        .synth(["plan", "--format", "json"])
        .succeeded()
        .json();
    let targets: Vec<&str> = plan["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| text(&target["name"]))
        .collect();
    assert_eq!(targets, ["site", "image"]);
}

#[test]
fn a_plan_builds_nothing() {
    let workspace = shop();
    workspace.synth(["plan"]).succeeded();
    assert!(!workspace.path("dist").exists());
}

#[test]
fn a_check_lists_the_tools() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\nbuild_command = [\"pagewright\"]\nbuild_output = \"out\"\n",
        ),
        ("web/page.md", "# Shop\n"),
    ]);
    assert_run!(workspace.synth(["check"]), @"
    exit code: 3
    ----- stdout -----
     tool        found  needed  for                             targets
     pagewright  no     any     builds the site (`pagewright`)  site

    1 tool is missing
    ----- stderr -----
    error[tool.missing]: `pagewright` was not found
     |
     = help: install `pagewright` and put it on your PATH
    ");
}

#[test]
fn a_check_without_problems_succeeds() {
    let nowhere = "unix:///nowhere/docker.sock";
    let workspace = shop().variable("DOCKER_HOST", nowhere);
    assert_run!(workspace.synth(["check"]), @"
    exit code: 0
    ----- stdout -----
     tool    found          needed               for                                                          targets
     docker  does not work  >= 20.10 (optional)  runs `RUN` and loads images; this image is built without it  image

    2 targets can be built
    ");
}

#[test]
fn a_build_tells_plain_lines_and_a_table() {
    assert_run!(shop().synth(["build", "-j1"]), @"
    exit code: 0
    ----- stdout -----
     target  status  time  actions     artifacts
     site    built   [TIME]  4 executed  dist/site  [SIZE]  [DIGEST]
     image   built   [TIME]  2 executed  dist/image  [SIZE]  [DIGEST]

    2 of 2 targets succeeded in [TIME]
    ----- stderr -----
         start site: put the site together
          done site: put the site together ([TIME])
         start site: minify pages, style sheets and scripts
          done site: minify pages, style sheets and scripts ([TIME])
         start site: check links, anchors and assets
          done site: check links, anchors and assets ([TIME])
         start site: write the manifest
          done site: write the manifest ([TIME])
         start image: build the image of deploy/Dockerfile
          done image: build the image of deploy/Dockerfile ([TIME])
         start image: check every digest of the image
          done image: check every digest of the image ([TIME])
    ");
}

#[test]
fn reports_have_the_shape_that_the_schema_tells() {
    let workspace = shop();
    let schema = workspace.synth(["schema", "report"]).succeeded().json();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let succeeded = workspace.build([""; 0]).succeeded();
    workspace.write(
        "web/index.html",
        "<!doctype html><a href=\"gone.html\">Gone</a>\n",
    );
    let failed = workspace.build([""; 0]);
    workspace.write("synth.toml", "nmae = \"shop\"\n");
    let refused = workspace.build([""; 0]);
    assert_eq!((failed.code, refused.code), (Some(1), Some(2)));
    for report in [succeeded, failed, refused] {
        let problems: Vec<String> = schema
            .iter_errors(&report.value)
            .map(|problem| problem.to_string())
            .collect();
        assert_eq!(problems, [] as [String; 0], "{:#}", report.value);
    }
}

#[test]
fn a_quiet_build_tells_nothing() {
    assert_run!(shop().synth(["build", "--quiet"]), @"exit code: 0");
}

#[test]
fn some_targets_are_built_with_what_they_need() {
    let workspace = shop();
    assert_eq!(
        workspace.build(["site"]).succeeded().statuses(),
        "site built"
    );
    let report = workspace.build(["image"]).succeeded();
    assert_eq!(report.statuses(), "site up_to_date, image built");
}

#[test]
fn an_unknown_target_is_told_with_the_nearest_known_one() {
    assert_run!(shop().synth(["build", "imgae"]), @"
    exit code: 2
    ----- stderr -----
    error[config.targets.unknown]: there is no target `imgae`
     |
     = help: did you mean `image`?
    ");
}

#[test]
fn outputs_that_were_changed_or_removed_are_put_back() {
    let workspace = shop();
    workspace.build([""; 0]).succeeded();
    let before = workspace.digest("dist");
    fs::remove_dir_all(workspace.path("dist/image")).unwrap();
    workspace.write("dist/site/index.html", "damaged\n");
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(report.executed(), [] as [String; 0]);
    assert_eq!(workspace.digest("dist"), before);
}

#[test]
fn clean_removes_what_was_built_and_nothing_else() {
    let workspace = shop();
    workspace.build([""; 0]).succeeded();
    workspace.write("notes.txt", "mine\n");
    assert_run!(workspace.synth(["clean"]), @"
    exit code: 0
    ----- stdout -----
    removed dist/site
    removed dist/image
    ");
    let mut left = workspace.files("");
    left.retain(|path| !path.starts_with(".synth/"));
    assert_eq!(
        left,
        [
            "deploy/Dockerfile",
            "notes.txt",
            "synth.toml",
            "web/index.html"
        ]
    );
}

#[test]
fn another_directory_is_chosen_with_c() {
    let workspace = shop();
    let nested = workspace.path("deep/down");
    fs::create_dir_all(&nested).unwrap();
    let mut command = workspace.command(["-C", "../..", "build", "--quiet"]);
    assert!(command.current_dir(nested).status().unwrap().success());
    assert!(workspace.path("dist/site/index.html").exists());
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    assert_run!(shop().synth(["-C", "nowhere", "build"]), @"
    exit code: 2
    ----- stderr -----
    error[command.directory]: `nowhere` can't be used as a directory
     |
     = note: No such file or directory (os error 2)
    ");
}

#[test]
fn help_tells_the_commands_and_exit_codes() {
    assert_run!(shop().synth(["--help"]), @"
    exit code: 0
    ----- stdout -----
    Builds Python packages, container images and static sites from one synth.toml

    Usage: synth [OPTIONS] <COMMAND>

    Commands:
      build     Build targets and what they need
      publish   Apply the publish effects of what the last build has proven
      deploy    Apply the deploy effects of what the last build has proven
      rollback  Undo the effects of a build
      recover   Finish or undo a publish that a crash has left unfinished; without either, say what is
      plan      Show the actions that a build consists of, without running any
      explain   Say what a build would do for targets, and what is different from their last build
      history   List the builds of the project, the last first
      log       Print what the actions of a build have printed, those that failed first
      stats     Say how long builds take, how many succeed, what the cache spares, and what bounds them
      check     Check the configuration, the targets and the tools they need
      clean     Remove the outputs of targets
      cache     Look after the store of results and contents that all projects share
      init      Write a synth.toml for what is found below the directory
      schema    Print a JSON Schema: of synth.toml (for editors), or of what commands print as JSON
      plugin    Write, install and look after plugins: target kinds in libraries of their own
      help      Print this message or the help of the given subcommand(s)

    Options:
      -C, --directory <DIR>     Work in DIR instead of the current directory
          --config <FILE>       The configuration file (TOML, or JSON when it ends in .json), relative
                                to DIR
          --environment <NAME>  Apply the overrides of [environments.NAME]
          --pipeline <NAME>     Take the targets and settings of [pipelines.NAME]
          --plugin-dir <DIR>    Look for plugins in DIR, before all other plugin directories; may be
                                given several times
          --locked              Use no plugin that synth.lock has no digest of, and leave synth.lock as
                                it is
      -v, --verbose             Say more: cached actions, logs, causes
      -q, --quiet               Say nothing unless something fails
      -h, --help                Print help
      -V, --version             Print version

    Exit codes: 0 done, 1 a target failed, 2 wrong command line or configuration, 3 a tool or plugin is
    missing, 4 store or state unusable, 5 a publish is unfinished, 70 internal error, 129, 130 and 143
    ended by a signal
    ");
}

#[test]
fn a_wrong_command_line_is_told_with_the_nearest_right_one() {
    assert_run!(shop().synth(["bild"]), @"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'bild'

      tip: a similar subcommand exists: 'build'

    Usage: synth [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_run!(shop().synth(["build", "--formt", "json"]), @"
    exit code: 2
    ----- stderr -----
    error: unexpected argument '--formt' found

      tip: a similar argument exists: '--format'

    Usage: synth build --format <FORMAT> [TARGET]...

    For more information, try '--help'.
    ");
}

#[test]
fn a_store_that_cannot_be_used_is_told() {
    let workspace = shop().variable("XDG_CACHE_HOME", "/dev/null/cache");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 4
    ----- stderr -----
    error[state.unusable]: `/dev/null/cache/synth` can't be used
     |
     = note: Not a directory (os error 20)
     = help: check that the directory can be written and its disk has room
    ");
}
