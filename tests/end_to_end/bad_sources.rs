//! Mistakes in what is built: the file and the line at fault are shown, and what to do.

use std::fs;

use crate::workspace::{Run, Workspace, assert_run};

const PYPROJECT: &str = r#"[project]
name = "shop"
version = "1.0"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"#;

fn python(pyproject: &str) -> Workspace {
    Workspace::with_files([
        (
            "synth.toml",
            "[targets.api]\ntype = \"python\"\nsource_path = \"api\"\n",
        ),
        ("api/pyproject.toml", pyproject),
        ("api/shop/__init__.py", "def price():\n    return 5\n"),
    ])
}

fn image(dockerfile: &str) -> Workspace {
    Workspace::with_files([
        (
            "synth.toml",
            "[targets.image]\ntype = \"docker\"\nsource_path = \"deploy\"\n",
        ),
        ("deploy/Dockerfile", dockerfile),
        ("deploy/motd", "welcome\n"),
        ("secret", "not for the image\n"),
    ])
}

fn build_site(files: &[(&str, &str)]) -> Run {
    let workspace = Workspace::with_files(files.iter().copied());
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n",
    );
    workspace.synth(["build"])
}

#[test]
fn a_pyproject_that_is_no_toml_is_shown() {
    let workspace = python("[project\nname = \"shop\"\n");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_pyproject_with_wrong_metadata_is_shown() {
    let workspace = python(
        &PYPROJECT
            .replace("\"1.0\"", "\"one\"")
            .replace("\"shop\"", "\"-shop-\""),
    );
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_directory_without_a_python_project_is_told() {
    let workspace = python(PYPROJECT);
    fs::remove_file(workspace.path("api/pyproject.toml")).unwrap();
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_failing_test_shows_what_it_said_and_its_log() {
    let workspace = python(PYPROJECT);
    workspace.write(
        "api/tests/test_price.py",
        "from shop import price\n\n\ndef test_price():\n    assert price() == 4\n",
    );
    let run = workspace.synth(["build"]);
    assert_run!(run, @"");
    assert!(
        !workspace.path("dist/api").exists(),
        "nothing is put in place"
    );
}

#[test]
fn a_build_backend_that_fails_shows_what_it_said() {
    let workspace = python(&PYPROJECT.replace(
        "\n[build-system]",
        "dynamic = [\"readme\"]\n\n[build-system]",
    ));
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn mistakes_in_a_dockerfile_are_shown_with_their_lines() {
    let workspace = image("FROM scratch\nCOPPY motd /etc/motd\nEXPOSE eighty\nENV\n");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_copy_of_a_missing_file_is_shown_with_its_line() {
    let workspace = image("FROM scratch\n\nCOPY motdd /etc/motd\n");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_copy_from_above_the_context_is_refused() {
    let workspace = image("FROM scratch\nCOPY ../secret /secret\n");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_copy_through_a_link_that_leaves_the_project_is_refused() {
    let workspace = image("FROM scratch\nCOPY outside/passwd /passwd\n");
    workspace.link("deploy/outside", "/etc");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_stage_that_is_not_there_is_told_with_the_nearest_one() {
    let workspace = image("FROM scratch AS builder\nFROM scratch\nCOPY --from=buidler /a /a\n");
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn broken_links_of_a_site_are_shown_with_their_lines() {
    let run = build_site(&[
        (
            "web/index.html",
            "<!doctype html>\n<html lang=\"en\">\n<title>Shop</title>\n<img src=\"logo.svg\" alt=\"\">\n<a href=\"about.html#hours\">About</a>\n<a href=\"prices.html\">Prices</a>\n</html>\n",
        ),
        (
            "web/about.html",
            "<!doctype html><html lang=\"en\"><title>About</title><h1 id=\"us\">Us</h1></html>\n",
        ),
        (
            "web/style.css",
            "body {\n  background: url(\"paper.png\");\n}\n",
        ),
    ]);
    assert_run!(run, @"");
}

#[test]
fn a_command_that_fails_shows_what_it_said_and_its_log() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\nbuild_command = \"sh build.sh\"\nbuild_output = \"out\"\n",
        ),
        (
            "web/build.sh",
            "echo reading pages\necho no page in here >&2\nexit 3\n",
        ),
    ]);
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_command_that_leaves_nothing_is_told() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\nbuild_command = \"true\"\nbuild_output = \"out\"\n",
        ),
        ("web/page.md", "# Shop\n"),
    ]);
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_missing_tool_is_told_with_how_to_get_it() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\nbuild_command = [\"pagewright\", \"--all\"]\nbuild_output = \"out\"\n",
        ),
        ("web/page.md", "# Shop\n"),
    ]);
    assert_run!(workspace.synth(["build"]), @"");
}

#[test]
fn a_missing_python_is_told_with_how_to_get_it() {
    let workspace = python(PYPROJECT).variable("PATH", "/nowhere");
    assert_run!(workspace.synth(["build"]), @"");
}
