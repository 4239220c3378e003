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
    workspace.synth(["build", "-j1"])
}

#[test]
fn a_pyproject_that_is_no_toml_is_shown() {
    let workspace = python("[project\nname = \"shop\"\n");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 2
    ----- stderr -----
    error[python.pyproject.syntax]: not valid TOML: unclosed table, expected `]`
     --> api/pyproject.toml:1:9
      |
    1 | [project
      |         ^
    ");
}

#[test]
fn a_pyproject_with_wrong_metadata_is_shown() {
    let workspace = python(
        &PYPROJECT
            .replace("\"1.0\"", "\"one\"")
            .replace("\"shop\"", "\"-shop-\""),
    );
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 2
    ----- stderr -----
    error[python.project.name]: name `-shop-` is not valid
     --> api/pyproject.toml:2:8
      |
    2 | name = "-shop-"
      |        ^^^^^^^^
      |
      = help: use ASCII letters, digits, `-`, `_` and `.`, with a letter or digit at both ends (core metadata, "Name")

    error[python.project.version]: version `one` is not valid: expected version to start with a number, but no leading ASCII digits were found
     --> api/pyproject.toml:3:11
      |
    3 | version = "one"
      |           ^^^^^
      |
      = help: write it as PEP 440 says

    2 errors
    "#);
}

#[test]
fn a_directory_without_a_python_project_is_told() {
    let workspace = python(PYPROJECT);
    fs::remove_file(workspace.path("api/pyproject.toml")).unwrap();
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 2
    ----- stderr -----
    error[python.project.missing]: `api` has neither a pyproject.toml nor a setup.py
     --> synth.toml:3:15
      |
    3 | source_path = "api"
      |               ^^^^^
      |
      = help: set `source_path` to the directory that holds one of them
    "#);
}

#[test]
fn a_failing_test_shows_what_it_said_and_its_log() {
    let workspace = python(PYPROJECT);
    workspace.write(
        "api/tests/test_price.py",
        "from shop import price\n\n\ndef test_price():\n    assert price() == 4\n",
    );
    let run = workspace.synth(["build", "-j1"]);
    assert_run!(run, @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions                          artifacts
     api     failed  [TIME]  12 executed, 2 cached, 1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start api: choose versions for the backend environment
          done api: choose versions for the backend environment ([TIME])
         start api: make the backend environment
          done api: make the backend environment ([TIME])
         start api: ask the build backend what it requires
          done api: ask the build backend what it requires ([TIME])
         start api: build the source distribution
          done api: build the source distribution ([TIME])
         start api: make the source distribution reproducible and check it
          done api: make the source distribution reproducible and check it ([TIME])
         start api: build the wheel
          done api: build the wheel ([TIME])
         start api: check the wheel
          done api: check the wheel ([TIME])
         start api: choose versions for the runtime environment
          done api: choose versions for the runtime environment ([TIME])
         start api: make the runtime environment
          done api: make the runtime environment ([TIME])
         start api: install the wheel into a clean environment and import its modules
          done api: install the wheel into a clean environment and import its modules ([TIME])
         start api: choose versions for the test environment
          done api: choose versions for the test environment ([TIME])
         start api: make the test environment
          done api: make the test environment ([TIME])
         start api: test the installed wheel
        failed api: test the installed wheel ([TIME])
    error[test.failed]: `test the installed wheel` failed with exit code 1
     |
     = note: tests of the project fail: 1 failed
     = help: the log has each with what it expected; `tests = false` builds without them

    api: last lines of "test the installed wheel"
      | ============================= test session starts ==============================
      | platform linux -- [VERSIONS]
      | rootdir: /synth/root/source
      | configfile: pyproject.toml
      | collected 1 item
      | 
      | tests/test_price.py F                                                    [100%]
      | 
      | =================================== FAILURES ===================================
      | __________________________________ test_price __________________________________
      | 
      |     def test_price():
      | >       assert price() == 4
      | E       assert 5 == 4
      | E        +  where 5 = price()
      | 
      | tests/test_price.py:5: AssertionError
      | =========================== short test summary info ============================
      | FAILED tests/test_price.py::test_price - assert 5 == 4
      | ============================== 1 failed in [TIME] ===============================
      action: test (test)
      command: env PYTHONHASHSEED=0 ./env/bin/python tools/tests.py --installer uv --wheel wheel --modules contents/modules.txt --source source --
      log: .synth/logs/[BUILD]/api.test.log
    "#);
    assert!(
        !workspace.path("dist/api").exists(),
        "nothing is put in place"
    );
}

#[test]
fn a_build_backend_that_fails_shows_what_it_said() {
    let workspace = python(
        r#"[project]
name = "shop"
version = "1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"#,
    );
    workspace.write(
        "api/backend.py",
        "def build_sdist(directory, settings=None):\n    raise SystemExit(\"the price list is missing\")\n",
    );
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions                         artifacts
     api     failed  [TIME]  3 executed, 2 cached, 1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start api: choose versions for the backend environment
          done api: choose versions for the backend environment ([TIME])
         start api: make the backend environment
          done api: make the backend environment ([TIME])
         start api: ask the build backend what it requires
          done api: ask the build backend what it requires ([TIME])
         start api: build the source distribution
        failed api: build the source distribution ([TIME])
    error[build.failed]: `build the source distribution` failed with exit code 1

    api: last lines of "build the source distribution"
      | the price list is missing
      action: sdist (build)
      command: env PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 ./env/bin/python -B tools/backend.py sdist source dist '{"backend":"backend","backend_path":["."],"config_settings":{},"sdist":true}'
      log: .synth/logs/[BUILD]/api.sdist.log
    "#);
}

#[test]
fn mistakes_in_a_dockerfile_are_shown_with_their_lines() {
    let workspace = image("FROM scratch\nCOPPY motd /etc/motd\nEXPOSE eighty\nENV\n");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 2
    ----- stderr -----
    error[docker.instruction.unknown]: `COPPY` is not an instruction
     --> deploy/Dockerfile:2:1
      |
    2 | COPPY motd /etc/motd
      | ^^^^^^^^^^^^^^^^^^^^
      |
      = help: the nearest one is `COPY`

    error[docker.expose]: `eighty` is not a port between 1 and 65535
     --> deploy/Dockerfile:3:1
      |
    3 | EXPOSE eighty
      | ^^^^^^^^^^^^^
      |
      = help: write `80`, `53/udp` or `8000-8010`

    error[docker.arguments.missing]: `ENV` needs an argument
     --> deploy/Dockerfile:4:1
      |
    4 | ENV
      | ^^^

    3 errors
    ");
}

#[test]
fn a_copy_of_a_missing_file_is_shown_with_its_line() {
    let workspace = image("FROM scratch\n\nCOPY motdd /etc/motd\n");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 2
    ----- stderr -----
    error[docker.copy.missing]: there is no `motdd` in `deploy`
     --> deploy/Dockerfile:3:1
      |
    3 | COPY motdd /etc/motd
      | ^^^^^^^^^^^^^^^^^^^^
      |
      = help: the nearest one is `motd`
    ");
}

#[test]
fn a_copy_from_above_the_context_is_refused() {
    let workspace = image("FROM scratch\nCOPY ../secret /secret\n");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 2
    ----- stderr -----
    error[docker.copy.outside]: `../secret` leaves the build context `deploy`
     --> deploy/Dockerfile:2:1
      |
    2 | COPY ../secret /secret
      | ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: copy from below `source_path` only, or name the other directory in `build_contexts`
    ");
}

#[test]
fn a_copy_through_a_link_that_leaves_the_project_is_refused() {
    let workspace = image("FROM scratch\nCOPY outside/passwd /passwd\n");
    workspace.link("deploy/outside", "/etc");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 2
    ----- stderr -----
    error[docker.copy.outside]: `outside/passwd` leaves the build context `deploy` through the symbolic link `outside`
     --> deploy/Dockerfile:2:1
      |
    2 | COPY outside/passwd /passwd
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: copy from below `source_path` only, or name the other directory in `build_contexts`
    ");
}

#[test]
fn a_stage_that_is_not_there_is_told_with_the_nearest_one() {
    let workspace = image("FROM scratch AS builder\nFROM scratch\nCOPY --from=buidler /a /a\n");
    workspace.append("synth.toml", "engine = \"embedded\"\n");
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 2
    ----- stderr -----
    error[docker.engine.embedded]: the embedded builder can't build this: `buidler` is no target in `needs`, so it is an image of a registry (was `builder` meant?)
     --> deploy/Dockerfile:3:1
      |
    3 | COPY --from=buidler /a /a
      | ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: set `engine = "auto"`, so that a Docker engine builds it
      = help: remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
    "#);
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
    assert_run!(run, @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions               artifacts
     site    failed  [TIME]  2 executed, 1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: put the site together
          done site: put the site together ([TIME])
         start site: minify pages, style sheets and scripts
          done site: minify pages, style sheets and scripts ([TIME])
         start site: check links, anchors and assets
        failed site: check links, anchors and assets ([TIME])
    error[static.asset.missing]: broken reference: the site has no `logo.svg`
     --> web/index.html:4:11
      |
    4 | <img src="logo.svg" alt="">
      |           ^^^^^^^^

    error[static.anchor.missing]: broken anchor: `about.html` has no element with the id `hours`
     --> web/index.html:5:10
      |
    5 | <a href="about.html#hours">About</a>
      |          ^^^^^^^^^^^^^^^^
      |
      = help: if a script or a style sheet acts on it, add "about.html#hours" to ignore_links

    error[static.link.missing]: broken link: the site has no `prices.html`
     --> web/index.html:6:10
      |
    6 | <a href="prices.html">Prices</a>
      |          ^^^^^^^^^^^

    error[static.asset.missing]: broken reference: the site has no `paper.png`
     --> web/style.css:2:19
      |
    2 |   background: url("paper.png");
      |                   ^^^^^^^^^^^

    site: last lines of "check links, anchors and assets"
      | web/index.html:4: broken reference: the site has no `logo.svg`
      | web/index.html:5: broken anchor: `about.html` has no element with the id `hours`
      | web/index.html:6: broken link: the site has no `prices.html`
      | web/style.css:2: broken reference: the site has no `paper.png`
      | 4 references checked
      action: validate (validate)
      log: .synth/logs/[BUILD]/site.validate.log
    "#);
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
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     site    failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: build the site with sh build.sh
        failed site: build the site with sh build.sh ([TIME])
    error[build.failed]: `build the site with sh build.sh` failed with exit code 3

    site: last lines of "build the site with sh build.sh"
      | reading pages
      | no page in here
      action: build (build)
      command: cd project && env ASTRO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 NEXT_TELEMETRY_DISABLED=1 npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false /usr/bin/sh -c 'sh build.sh'
      log: .synth/logs/[BUILD]/site.build.log
    "#);
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
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions               artifacts
     site    failed  [TIME]  1 executed, 1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: build the site with true
          done site: build the site with true ([TIME])
         start site: put the site together
        failed site: put the site together ([TIME])
    error[static.build_output.empty]: build_command left `out` empty
     --> synth.toml:5:16
      |
    5 | build_output = "out"
      |                ^^^^^
      |
      = help: set build_output to the directory that the command writes to; its log tells

      action: assemble (assemble)
      log: .synth/logs/[BUILD]/site.assemble.log
    "#);
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
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 3
    ----- stderr -----
    error[static.tool.missing]: `pagewright --all` runs `pagewright`: `pagewright` was not found
     --> synth.toml:4:17
      |
    4 | build_command = ["pagewright", "--all"]
      |                 ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: install `pagewright` and put it on your PATH
      = help: a program of a Node package is run with `npx pagewright --all`
    "#);
}

#[test]
fn a_missing_python_is_told_with_how_to_get_it() {
    let workspace = python(PYPROJECT).variable("PATH", "/nowhere");
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 3
    ----- stderr -----
    error[python.interpreter.missing]: no Python from 3.8 on was found on the PATH
     |
     = help: install one from your system's packages, or with `uv python install 3.8`
     = help: or name one: `python = "/path/to/python"`
    "#);
}
