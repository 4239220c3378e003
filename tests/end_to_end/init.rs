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
    assert_run!(workspace.synth(["init"]), @"");
    insta::assert_snapshot!(workspace.read("synth.toml"), @"");
}

#[test]
fn what_is_written_builds_without_an_edit() {
    let workspace = shop();
    workspace.synth(["init"]).succeeded();
    workspace.synth(["check"]).succeeded();
    let report = workspace.build([""; 0]).succeeded();
    insta::assert_snapshot!(report.statuses(), @"");
}

#[test]
fn a_configuration_that_is_there_is_kept() {
    let workspace = shop();
    workspace.write("synth.toml", "name = \"mine\"\n");
    assert_run!(workspace.synth(["init"]), @"");
    assert_eq!(workspace.read("synth.toml"), "name = \"mine\"\n");
}

#[test]
fn a_directory_with_nothing_to_build_is_said_to_have_nothing() {
    let workspace = Workspace::with_files([("notes.txt", "buy milk\n")]);
    assert_run!(workspace.synth(["init"]), @"");
}
