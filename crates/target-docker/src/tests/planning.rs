//! What a plan holds: the inputs that a Dockerfile takes and no others, and who builds.

use insta::assert_snapshot;
use serde_json::json;
use synth_core::{BuildTarget, Digest, InputSource, TargetSpec, Tool};

use super::{project, target};
use crate::DockerTarget;
use crate::testing::render;

/// The inputs of the plan of a project, one a line.
fn inputs(project: &synth_core::testkit::TestProject, target: &TargetSpec) -> String {
    let plan = match DockerTarget.plan(target, project) {
        Ok(plan) => plan,
        Err(problems) => return render(&problems),
    };
    let lines = plan.actions[0].inputs.iter().map(|input| {
        let from = match &input.from {
            InputSource::Files { root, paths } => format!("{root}: {}", paths.join(" ")),
            InputSource::Source(files) => format!("all of {}", files.root),
            InputSource::Target { name } => format!("target {name}"),
            other => format!("{other:?}"),
        };
        format!("{} <- {from}", input.at)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn only_what_is_copied_is_an_input() {
    let project = project(&[
        (
            "app/Dockerfile",
            "FROM scratch AS unused\n\
             COPY not-needed /\n\
             FROM scratch\n\
             COPY src *.toml /app/\n\
             COPY --from=assets img /img\n\
             COPY --from=api x /\n",
        ),
        ("app/.dockerignore", "**/*.pyc\nsecret.toml\n"),
        ("app/src/a.py", ""),
        ("app/src/a.pyc", ""),
        ("app/src/deep/b.py", ""),
        ("app/one.toml", ""),
        ("app/secret.toml", ""),
        ("app/not-needed", ""),
        ("app/README", ""),
        ("assets/img/i", ""),
        ("assets/other", ""),
    ]);
    std::fs::create_dir(project.path().join("app/src/empty")).unwrap();
    std::os::unix::fs::symlink("src/a.py", project.path().join("app/x.toml")).unwrap();
    let target = TargetSpec {
        source_path: synth_core::ProjectPath::parse("app").unwrap(),
        ..target()
    }
    .need("api")
    .need("unused-need")
    .setting(
        "build_contexts",
        json!({"assets": "assets", "never": "assets"}),
    );
    assert_snapshot!(inputs(&project, &target), @"
        context <- app: one.toml src/a.py src/deep/b.py src/empty x.toml
        contexts/assets <- assets: img/i
        needs/api <- target api
        ");
}

#[test]
fn the_dockerfiles_own_ignore_file_comes_first() {
    let project = project(&[
        ("Dockerfile.prod", "FROM scratch\nCOPY . /\n"),
        ("Dockerfile.prod.dockerignore", "*\n!a\n"),
        (".dockerignore", "a\n"),
        ("a", ""),
        ("b", ""),
    ]);
    let target = target().setting("dockerfile", "Dockerfile.prod");
    assert_snapshot!(inputs(&project, &target), @"context <- .: a");
}

#[test]
fn an_engine_builds_what_runs() {
    let tool = Tool {
        name: "docker".into(),
        path: "/usr/bin/docker".into(),
        version_output: "client 20.10.24, engine 20.10.24".into(),
        digest: Digest::new("0".repeat(64), 1).unwrap(),
    };
    let dockerfile = "FROM scratch\nRUN --mount=type=bind,source=src,target=/s make\n";
    let project = project(&[("Dockerfile", dockerfile), ("src/a", ""), ("b", "")]).with_tool(tool);
    let plan = DockerTarget.plan(&target(), &project).unwrap();
    assert_eq!(plan.actions[0].tools.len(), 1);
    assert_snapshot!(inputs(&project, &target()), @"context <- .: src/a");
    let requirement = &DockerTarget.requirements(&target(), &project)[0];
    assert!(!requirement.optional);
}

#[test]
fn a_client_without_buildkit_builds_nothing() {
    let tool = Tool {
        name: "docker".into(),
        path: "/usr/local/bin/docker".into(),
        version_output: "client 28.2.2, engine 28.2.2".into(),
        digest: Digest::new("0".repeat(64), 1).unwrap(),
    };
    let project = project(&[("Dockerfile", "FROM debian:13\nRUN x\n")]).with_tool(tool);
    assert_snapshot!(inputs(&project, &target()), @"
        error[docker.engine.missing]: `debian:13` is an image of a registry, which needs a Docker engine, and `/usr/local/bin/docker` 28.2.2 lacks its plugin `buildx`, which BuildKit needs
          Dockerfile:1 | FROM debian:13
          help: install the plugin: the package `docker-buildx-plugin` or `docker-buildx`
          help: or remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
          help: the same goes for line 2
        ");
}

#[test]
fn dockerfiles_are_detected() {
    let root = synth_core::ProjectPath::root();
    for (files, expected) in [
        (
            &["Dockerfile", "pyproject.toml"][..],
            Some(("Dockerfile", 0)),
        ),
        (
            &["Dockerfile.prod", "Dockerfile.prod.dockerignore"],
            Some(("Dockerfile.prod", 1)),
        ),
        (
            &["Containerfile", "Dockerfile", "Dockerfile.dev"],
            Some(("Dockerfile", 1)),
        ),
        (&["sub/Dockerfile", "pyproject.toml"], None),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|path| (*path, "")).collect();
        let found = DockerTarget.detect(&root, &project(&files));
        let found = found
            .as_ref()
            .map(|found| (found.found.as_str(), found.settings.len()));
        assert_eq!(found, expected, "{files:?}");
    }
}
