//! `synth init`: what it finds, what it writes, and that it builds as written.

use crate::workspace::{Workspace, assert_run};

fn shop() -> Workspace {
    Workspace::with_files([
        (
            "services/api/pyproject.toml",
            "[project]\nname = \"shop-api\"\nversion = \"1.0\"\n\n[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n",
        ),
        ("services/api/src/shop_api/__init__.py", "NAME = \"shop\"\n"),
        (
            "web/index.html",
            "<!doctype html><html lang=\"en\"><title>Shop</title><h1>Shop</h1>\n",
        ),
        ("deploy/Dockerfile", "FROM scratch\nCOPY motd /etc/motd\n"),
        ("deploy/motd", "welcome\n"),
        (
            "admin/package.json",
            "{\"name\": \"admin\", \"private\": true, \"scripts\": {\"build\": \"node build.js\"}}\n",
        ),
        (
            "admin/build.js",
            "const fs = require('fs');\nfs.mkdirSync('dist', { recursive: true });\nfs.writeFileSync('dist/index.html', '<!doctype html><html lang=\"en\"><title>Admin</title>');\n",
        ),
    ])
}

#[test]
fn each_kind_is_found_and_explained() {
    let workspace = shop();
    assert_run!(workspace.synth(["init"]), @"
    exit code: 0
    ----- stdout -----
    wrote synth.toml:
      deploy-image (docker): Dockerfile in deploy
      shop-api (python): pyproject.toml (hatchling) in services/api
      web (static): index.html in web
    next: `synth check`, then `synth build`
    ");
    insta::assert_snapshot!(workspace.read("synth.toml"), @r#"
    # What `synth build` builds here. Paths are relative to this file.
    name = "my project"

    # What happens to the rest when a target fails: "stop_all", "continue" or "rollback".
    failure_strategy = "stop_all"

    # Dockerfile
    [targets.deploy-image]
    type = "docker"
    source_path = "deploy"

    # pyproject.toml (hatchling)
    [targets.shop-api]
    type = "python"
    source_path = "services/api"

    # index.html
    [targets.web]
    type = "static"
    source_path = "web"
    "#);
}

#[test]
fn what_is_written_builds_without_an_edit() {
    let workspace = shop();
    workspace.synth(["init"]).succeeded();
    workspace.synth(["check"]).succeeded();
    let report = workspace.build([""; 0]).succeeded();
    insta::assert_snapshot!(report.statuses(), @"deploy-image built, shop-api built, web built");
}

#[test]
fn a_configuration_that_is_there_is_kept() {
    let workspace = shop();
    workspace.write("synth.toml", "name = \"mine\"\n");
    assert_run!(workspace.synth(["init"]), @"
    exit code: 2
    ----- stderr -----
    error[init.exists]: `synth.toml` is there already
     |
     = help: replace it with `synth init --force`
    ");
    assert_eq!(workspace.read("synth.toml"), "name = \"mine\"\n");
}

#[test]
fn a_directory_with_nothing_to_build_is_said_to_have_nothing() {
    let workspace = Workspace::with_files([("notes.txt", "buy milk\n")]);
    assert_run!(workspace.synth(["init"]), @"
    exit code: 2
    ----- stderr -----
    error[init.nothing]: nothing to build was found below `[WORKSPACE]/my project`
     |
     = help: looked for pyproject.toml, Dockerfile, package.json, index.html and their like
     = help: write `synth.toml` by hand: see the README
    ");
}
