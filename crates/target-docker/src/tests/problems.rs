//! Problems as a user sees them: all of a file in one run, each with its line.

use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use serde_json::json;
use synth_core::{BuildTarget, TargetSpec};

use super::{project, target};
use crate::DockerTarget;
use crate::testing::render;

fn problems(files: &[(&str, &str)], target: &TargetSpec) -> String {
    render(&DockerTarget.validate(target, &project(files)))
}

#[test]
fn copying_what_is_not_there_or_not_inside() {
    let dockerfile = "FROM scratch\n\
        COPY ../secret /\n\
        COPY main.pyy /\n\
        COPY *.whl /\n\
        COPY ignored /\n\
        COPY link /\n\
        COPY linked/secret /\n\
        COPY loop /\n\
        COPY a b /x\n\
        COPY $NOTHING /x/\n\
        COPY [ab /x\n";
    let project = project(&[
        ("app/Dockerfile", dockerfile),
        ("app/main.py", ""),
        ("app/ignored", ""),
        ("app/a", ""),
        ("app/b", ""),
        ("app/.dockerignore", "# note\nignore*\n"),
        ("secret", ""),
    ]);
    let link = |to: &str, at: &str| symlink(to, project.path().join(at)).unwrap();
    link("../secret", "app/link");
    link("..", "app/linked");
    link("loop", "app/loop");
    let target = TargetSpec {
        source_path: synth_core::ProjectPath::parse("app").unwrap(),
        ..target()
    };
    assert_snapshot!(render(&DockerTarget.validate(&target, &project)), @"");
}

#[test]
fn without_an_engine_nothing_can_run() {
    let dockerfile = "FROM debian:13\nRUN apt-get update\nADD https://example.org/x /x\n";
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target()), @"");
    let target = target().setting("engine", "embedded");
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @"");
}

#[test]
fn stages_and_names_that_are_not_there() {
    let dockerfile = "ARG IMAGE\nFROM $IMAGE\nFROM scratch AS build\nCOPY --from=later a /\nFROM scratch AS later\nCOPY --from=build a /\nCOPY --from=7 a /\nCOPY --from=later a /\nCOPY --from=$IMAGE a /\nFROM later AS api\n";
    let target = target().need("api");
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @"");
}

#[test]
fn settings_that_can_not_be() {
    let target = target()
        .setting("tags", json!(["Shop:1", "shop:1"]))
        .setting("platform", "amd64")
        .setting("target", "biuld")
        .setting("build_args", json!({"VERSOIN": "1"}))
        .setting(
            "build_contexts",
            json!({"base": "oci-layout://none", "out": "../x", "gone": "gone"}),
        )
        .variable("SOURCE_DATE_EPOCH", "today");
    let dockerfile = "FROM scratch AS build\nARG VERSION\n";
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @"");
}

#[test]
fn values_that_mean_nothing() {
    let dockerfile = "FROM scratch\n\
        ENV A=$UNKNOWN\n\
        ENV B='x\n\
        EXPOSE 99999\n\
        STOPSIGNAL SIGNOPE\n\
        COPY --chmod=9 Dockerfile /\n\
        RUN --mount=type=secret,id=x true\n\
        USER $UNKNOWN\n\
        WORKDIR ${UNKNOWN:?say where}\n";
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target()), @"");
}

#[test]
fn no_dockerfile_and_files_that_are_no_text() {
    assert_snapshot!(problems(&[], &target()), @"");
    let target = target().setting("dockerfile", "../Dockerfile");
    assert_snapshot!(problems(&[], &target), @"");
    let binary = project(&[]);
    binary.write("Dockerfile", b"FROM \xff").unwrap();
    let found = DockerTarget.validate(&super::target(), &binary);
    assert_snapshot!(render(&found), @"");
}

#[test]
fn a_broken_ignore_file() {
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY . /\n"),
        (".dockerignore", "a\n[b\n"),
    ];
    assert_snapshot!(problems(&files, &target()), @"");
}
