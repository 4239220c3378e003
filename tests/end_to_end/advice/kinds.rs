//! What the kinds know of their own tools.

use std::fs;
use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;

use crate::workspace::{Run, Workspace, assert_run};

/// A site that is made by npm.
fn site(package: &str, install: &str) -> Run {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            format!(
                "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n{install}\
                 build_command = \"npm run build 2>&1 | head -n 1; exit 1\"\nbuild_output = \"out\"\n"
            ),
        ),
        ("web/package.json", package.to_owned()),
    ]);
    workspace.synth(["build", "-j1"])
}

#[test]
fn a_lock_file_that_is_missing() {
    let package = "{ \"name\": \"shop\", \"version\": \"1.0.0\" }\n";
    let install = "install_command = \"npm ci 2>&1 | head -n 3; exit 1\"\n";
    assert_run!(site(package, install), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     site    failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: fetch packages with npm ci 2>&1 | head -n 3; exit 1
        failed site: fetch packages with npm ci 2>&1 | head -n 3; exit 1 ([TIME])
    error[install.failed]: `fetch packages with npm ci 2>&1 | head -n 3; exit 1` failed with exit code 1
     |
     = note: there is no lock file, without which the package manager chooses no versions
     = help: write it, and put it under version control: `npm install --package-lock-only`, or the like of your package manager
     = help: if it is there, see that `install_inputs` and `include` name it

    site: last lines of "fetch packages with npm ci 2>&1 | head -n 3; exit 1"
      | npm error code EUSAGE
      | npm error
      | npm error The `npm ci` command can only install with an existing package-lock.json or
      action: install (install)
      command: cd project && env ASTRO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 NEXT_TELEMETRY_DISABLED=1 npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false /usr/bin/sh -c 'npm ci 2>&1 | head -n 3; exit 1'
      log: .synth/logs/[BUILD]/site.install.log
    "#);
}

#[test]
fn a_script_that_is_missing() {
    let package = "{ \"name\": \"shop\", \"version\": \"1.0.0\", \"scripts\": {} }\n";
    assert_run!(site(package, ""), @r#"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     site    failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start site: build the site with npm run build 2>&1 | head -n 1; exit 1
        failed site: build the site with npm run build 2>&1 | head -n 1; exit 1 ([TIME])
    error[build.failed]: `build the site with npm run build 2>&1 | head -n 1; exit 1` failed with exit code 1
     |
     = note: package.json has no script `build`
     = help: add it to `scripts`, or name another one in `build_command`: `npm run` lists them

    site: last lines of "build the site with npm run build 2>&1 | head -n 1; exit 1"
      | npm error Missing script: "build"
      action: build (build)
      command: cd project && env ASTRO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 NEXT_TELEMETRY_DISABLED=1 npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false /usr/bin/sh -c 'npm run build 2>&1 | head -n 1; exit 1'
      log: .synth/logs/[BUILD]/site.build.log
    "#);
}

/// A wheel with nothing in it that needs another one.
fn wheel(directory: &Path, name: &str, needs: &str) {
    let file = fs::File::create(directory.join(format!("{name}-1.0-py3-none-any.whl"))).unwrap();
    let mut wheel = zip::ZipWriter::new(file);
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}");
    let tags = "Wheel-Version: 1.0\nGenerator: shop\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    for (member, text) in [
        ("METADATA", metadata.as_str()),
        ("WHEEL", tags),
        ("RECORD", ""),
    ] {
        let member = format!("{name}-1.0.dist-info/{member}");
        wheel
            .start_file(member, SimpleFileOptions::default())
            .unwrap();
        wheel.write_all(text.as_bytes()).unwrap();
    }
    wheel.finish().unwrap();
}

/// A project whose build requires this, with no more packages than two that want different versions
/// of a third. What pip and uv say in between is theirs.
fn python(requires: &str) -> String {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.api]\ntype = \"python\"\nsource_path = \"api\"\n".to_owned(),
        ),
        (
            "api/pyproject.toml",
            format!(
                "[project]\nname = \"shop\"\nversion = \"1.0\"\n\n[build-system]\n\
                 requires = [{requires}]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"
            ),
        ),
        ("api/backend.py", "\n".to_owned()),
    ]);
    let wheels = workspace.beside("wheels");
    fs::create_dir(&wheels).unwrap();
    wheel(&wheels, "left", "Requires-Dist: third==1.0\n");
    wheel(&wheels, "right", "Requires-Dist: third==2.0\n");
    wheel(&wheels, "third", "");
    let workspace = workspace
        .variable("PIP_NO_INDEX", "1")
        .variable("PIP_FIND_LINKS", &wheels)
        .variable("UV_NO_INDEX", "1")
        .variable("UV_FIND_LINKS", &wheels);
    let config = workspace.read("synth.toml");
    let shown = wheels.display();
    workspace.write(
        "synth.toml",
        format!("sandbox = {{ read = [\"{shown}\"] }}\n{config}"),
    );
    let run = workspace.synth(["build", "-j1", "--quiet"]).to_string();
    let (before, after) = run.split_once("\napi: last lines of").unwrap();
    let lines = after.lines().filter(|line| line.starts_with("  action"));
    format!("{before}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn versions_that_exclude_one_another() {
    assert_run!(python("\"left\", \"right\""), @"
    exit code: 1
    ----- stderr -----
    error[resolve.failed]: `choose versions for the backend environment` failed with exit code 1
     |
     = note: the requirements exclude one another: no versions fit them all
     = help: the log names the two that clash: relax one of them, in `dependencies` of the target or of pyproject.toml

      action: resolve-backend (resolve)
    ");
}

#[test]
fn a_package_that_is_missing() {
    assert_run!(python("\"ledger-of-nobody\""), @"
    exit code: 1
    ----- stderr -----
    error[resolve.failed]: `choose versions for the backend environment` failed with exit code 1
     |
     = note: the package index has no such package, or no such version of it: `ledger-of-nobody`
     = help: look whether the name is spelled right, whether a version exists for this Python, and which index is asked (`PIP_INDEX_URL`, `UV_DEFAULT_INDEX`)

      action: resolve-backend (resolve)
    ");
}

#[test]
fn a_python_that_nobody_has() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.api]\ntype = \"python\"\nsource_path = \"api\"\n",
        ),
        (
            "api/pyproject.toml",
            "[project]\nname = \"shop\"\nversion = \"1.0\"\nrequires-python = \">=3.99\"\n",
        ),
    ]);
    let run = workspace.synth(["build", "-j1"]).to_string();
    let lines = run.lines().filter(|line| !line.contains("note: `python"));
    assert_run!(lines.collect::<Vec<_>>().join("\n"), @r#"
    exit code: 3
    ----- stderr -----
    error[python.interpreter.missing]: no Python that requires-python `>=3.99` accepts was found on the PATH
     |
     = help: install one from your system's packages, or with `uv python install '>=3.99'`
     = help: or name one: `python = "/path/to/python"`
    "#);
}

#[test]
fn an_engine_that_does_not_run() {
    let workspace = Workspace::with_files([
        (
            "synth.toml",
            "[targets.image]\ntype = \"docker\"\nsource_path = \"deploy\"\n",
        ),
        ("deploy/Dockerfile", "FROM scratch\nRUN true\n"),
    ])
    .variable("DOCKER_HOST", "unix:///nowhere/docker.sock");
    assert_run!(workspace.synth(["build", "-j1"]), @"
    exit code: 3
    ----- stderr -----
    error[docker.engine.missing]: `RUN` runs something, which needs a Docker engine, and no engine answers `docker`: [DOCKER]
     --> deploy/Dockerfile:2:1
      |
    2 | RUN true
      | ^^^^^^^^
      |
      = help: start the engine (`systemctl start docker`), or set DOCKER_HOST to one that runs
      = help: or remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
    ");
}
