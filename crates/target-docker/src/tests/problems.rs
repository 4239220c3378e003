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
    assert_snapshot!(render(&DockerTarget.validate(&target, &project)), @r#"
        error[docker.copy.outside]: `../secret` leaves the build context `app`
          app/Dockerfile:2 | COPY ../secret /
          help: copy from below `source_path` only, or name the other directory in `build_contexts`
        error[docker.copy.missing]: there is no `main.pyy` in `app`
          app/Dockerfile:3 | COPY main.pyy /
          help: the nearest one is `main.py`
        error[docker.copy.missing]: no file in `app` matches `*.whl`
          app/Dockerfile:4 | COPY *.whl /
          help: sources are relative to the build context, which is `app`
        error[docker.copy.ignored]: `ignored` is left out of the build context by `ignore*` in app/.dockerignore:2
          app/Dockerfile:5 | COPY ignored /
          help: add a line `!ignored` after it, or remove it
        error[docker.copy.outside]: `link` leaves the build context `app` through the symbolic link `link`
          app/Dockerfile:6 | COPY link /
          help: copy from below `source_path` only, or name the other directory in `build_contexts`
        error[docker.copy.outside]: `linked/secret` leaves the build context `app` through the symbolic link `linked`
          app/Dockerfile:7 | COPY linked/secret /
          help: copy from below `source_path` only, or name the other directory in `build_contexts`
        error[docker.copy.link.loop]: `loop` is a symbolic link in a circle
          app/Dockerfile:8 | COPY loop /
          help: copy what the link should lead to
        error[docker.copy.destination]: several sources go to `/x`, which is not marked as a directory
          app/Dockerfile:9 | COPY a b /x
          help: write `/x/`
        warning[docker.variable.undefined]: `NOTHING` has no value here
          app/Dockerfile:10 | COPY $NOTHING /x/
          help: declare it in this stage with `ARG NOTHING` or `ENV NOTHING=..`
        error[docker.copy.source.empty]: the source `$NOTHING` is empty
          app/Dockerfile:10 | COPY $NOTHING /x/
          help: give its variable a value, or write `.` for everything
        error[docker.copy.pattern]: `[ab` can't be read: `[` has no closing `]`
          app/Dockerfile:11 | COPY [ab /x
          help: `*`, `?` and `[a-z]` are wildcards; put `\` before one that is meant as it is
        "#);
}

#[test]
fn without_an_engine_nothing_can_run() {
    let dockerfile = "FROM debian:13\nRUN apt-get update\nADD https://example.org/x /x\n";
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target()), @"
        error[docker.engine.missing]: `debian:13` is an image of a registry, which needs a Docker engine, and `docker` is not installed
          Dockerfile:1 | FROM debian:13
          help: install Docker and start it: `apt-get install docker.io`, or https://docs.docker.com/engine/install/
          help: or remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
          help: the same goes for lines 2, 3
        ");
    let target = target().setting("engine", "embedded");
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @r#"
        error[docker.engine.embedded]: the embedded builder can't build this: `debian:13` is an image of a registry
          Dockerfile:1 | FROM debian:13
          help: set `engine = "auto"`, so that a Docker engine builds it
          help: remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
          help: the same goes for lines 2, 3
        "#);
}

#[test]
fn stages_and_names_that_are_not_there() {
    let dockerfile = "ARG IMAGE\nFROM $IMAGE\nFROM scratch AS build\nCOPY --from=later a /\nFROM scratch AS later\nCOPY --from=build a /\nCOPY --from=7 a /\nCOPY --from=later a /\nCOPY --from=$IMAGE a /\nFROM later AS api\n";
    let target = target().need("api");
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @"
        warning[docker.variable.undefined]: `IMAGE` has no value here
          Dockerfile:2 | FROM $IMAGE
          help: declare it before the first `FROM`: `ARG IMAGE=..`
        error[docker.from.empty]: `FROM` names no image
          Dockerfile:2 | FROM $IMAGE
          help: give its variable a value in `build_args`, or a default with `ARG`
        error[docker.stage.shadowed]: the stage `api` has the name of a needed target or build context
          Dockerfile:10 | FROM later AS api
          help: give the stage another name
        error[docker.from_flag.stage]: `--from=7` can't be used: there is no stage 7; the last is 3
          Dockerfile:7 | COPY --from=7 a /
        error[docker.from_flag.stage]: `--from=later` can't be used: `later` is this stage itself
          Dockerfile:8 | COPY --from=later a /
        error[docker.from_flag.variable]: variables are not replaced in `--from=$IMAGE`
          Dockerfile:9 | COPY --from=$IMAGE a /
          help: name it in a `FROM $VARIABLE AS name` and use that name
        error[docker.from_flag.stage]: `--from=later` can't be used: the stage `later` comes later
          Dockerfile:4 | COPY --from=later a /
        ");
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
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target), @"
        error[docker.tag]: `Shop:1` can't be an image's name: `Shop` is not lower-case letters and digits, parted by `_`, `.` or `-`
          tags
          help: write `name:tag`, with `registry/` before it if you like
        error[docker.platform]: `amd64` is not a platform: `os/architecture` or `os/architecture/variant` was expected
          platform
          help: write `linux/amd64`, for example
        error[docker.context]: the build context `out` can't be used: `../x` leaves the project's directory
          build_contexts.out
          help: give a directory, or `oci-layout://PATH`, relative to synth.toml
        error[docker.source_date_epoch]: `SOURCE_DATE_EPOCH` is `today`; seconds since 1970 were expected
          environment.SOURCE_DATE_EPOCH
        error[docker.context.missing]: the build context `base` is not there: `none` is no directory
          build_contexts.base
          help: give the path of a directory, relative to synth.toml
        error[docker.context.missing]: the build context `gone` is not there: `gone` is no directory
          build_contexts.gone
          help: give the path of a directory, relative to synth.toml
        warning[docker.build_args.unused]: the Dockerfile has no `ARG VERSOIN`
          build_args.VERSOIN
          help: the nearest one is `VERSION`
        error[docker.target.unknown]: the Dockerfile has no stage `biuld`
          target
          help: the nearest one is `build`
        ");
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
    assert_snapshot!(problems(&[("Dockerfile", dockerfile)], &target()), @"
        warning[docker.variable.undefined]: `UNKNOWN` has no value here
          Dockerfile:2 | ENV A=$UNKNOWN
          help: declare it in this stage with `ARG UNKNOWN` or `ENV UNKNOWN=..`
        error[docker.substitution]: a closing ' is missing
          Dockerfile:3 | ENV B='x
        error[docker.expose]: `99999` is not a port between 1 and 65535
          Dockerfile:4 | EXPOSE 99999
          help: write `80`, `53/udp` or `8000-8010`
        error[docker.stopsignal]: `SIGNOPE` is not a signal
          Dockerfile:5 | STOPSIGNAL SIGNOPE
          help: write a name such as `SIGTERM`, or a number
        error[docker.chmod]: `9` is not a mode between 0 and 7777 in octal
          Dockerfile:6 | COPY --chmod=9 Dockerfile /
        error[docker.run.mount.unsupported]: `--mount=type=secret` is not supported
          Dockerfile:7 | RUN --mount=type=secret,id=x true
          help: fetch what needs credentials in a target of its own and copy it in
        warning[docker.variable.undefined]: `UNKNOWN` has no value here
          Dockerfile:8 | USER $UNKNOWN
          help: declare it in this stage with `ARG UNKNOWN` or `ENV UNKNOWN=..`
        error[docker.user.empty]: `USER` names no user
          Dockerfile:8 | USER $UNKNOWN
        error[docker.substitution]: `UNKNOWN` is not set: say where
          Dockerfile:9 | WORKDIR ${UNKNOWN:?say where}
        ");
}

#[test]
fn no_dockerfile_and_files_that_are_no_text() {
    assert_snapshot!(problems(&[], &target()), @"
        error[docker.dockerfile.missing]: there is no Dockerfile at `Dockerfile`
          dockerfile
          help: say where it is with `dockerfile`, relative to `source_path`
        ");
    let target = target().setting("dockerfile", "../Dockerfile");
    assert_snapshot!(problems(&[], &target), @"
        error[docker.dockerfile.outside]: the Dockerfile is not inside the project: `../Dockerfile` leaves the project's directory
          dockerfile
          help: it is relative to `source_path` and has to be below synth.toml
        ");
    let binary = project(&[]);
    binary.write("Dockerfile", b"FROM \xff").unwrap();
    let found = DockerTarget.validate(&super::target(), &binary);
    assert_snapshot!(render(&found), @"
        error[docker.dockerfile.unreadable]: `Dockerfile` is not UTF-8 text: byte 5 is wrong
          Dockerfile
        ");
}

#[test]
fn a_broken_ignore_file() {
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY . /\n"),
        (".dockerignore", "a\n[b\n"),
    ];
    assert_snapshot!(problems(&files, &target()), @"
        error[docker.dockerignore.pattern]: the pattern can't be read: `[` has no closing `]`
          .dockerignore:2 | [b
        ");
}
