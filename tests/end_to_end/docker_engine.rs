//! Images whose Dockerfile has `RUN`: built by a real Docker engine, loaded into it and run.

use std::fs;
use std::process;

use serde_json::Value;

use crate::image;
use crate::workspace::{Workspace, assert_run, from_set_up, text};

const TWO_STAGES: &str = r#"FROM BASE AS build
WORKDIR /work
COPY greeting.txt .
RUN tr a-z A-Z < greeting.txt > loud.txt
FROM BASE
RUN mkdir -p /srv && echo prepared > /srv/state
COPY --from=build /work/loud.txt /srv/
CMD ["cat", "/srv/state", "/srv/loud.txt"]
"#;

/// A project with one image, which has a name of its own in the engine.
fn project(dockerfile: &str, settings: &str) -> (Workspace, String) {
    let base = from_set_up("SYNTH_TEST_BASE_IMAGE");
    let dockerfile = dockerfile.replace("BASE", base.to_str().unwrap());
    let workspace = Workspace::new();
    // Tests at the same time, and other runs of them, share the engine.
    let unique = workspace
        .beside("")
        .file_name()
        .unwrap()
        .to_string_lossy()
        .to_lowercase();
    let tag = format!("synth-test/{unique}:{}", process::id());
    let configuration = format!(
        "[targets.image]\ntype = \"docker\"\nsource_path = \"image\"\ntags = [\"{tag}\"]\n{settings}"
    );
    workspace.write("synth.toml", configuration);
    workspace.write("image/Dockerfile", dockerfile);
    workspace.write("image/greeting.txt", "hello\n");
    (workspace, tag)
}

#[test]
fn an_image_with_run_in_two_stages_is_built_loaded_and_runs() {
    let (workspace, tag) = project(TWO_STAGES, "");
    let report = workspace.build(["--load"]).succeeded();
    assert_eq!(report.statuses(), "image built");
    let said = workspace.run("docker", ["run", "--rm", &tag]);
    workspace.run("docker", ["image", "rm", "--force", &tag]);
    assert_eq!(said, "prepared\nHELLO\n");

    let layout = workspace.path("dist/image");
    assert_eq!(image::files(&layout)["srv/loud.txt"], b"HELLO\n");
    let reference = format!("oci:{}", layout.display());
    let inspected: Value =
        serde_json::from_str(&workspace.run("skopeo", ["inspect", &reference])).unwrap();
    let artifact = &report.target("image")["artifacts"][0];
    assert_eq!(inspected["Digest"], artifact["attributes"]["image_digest"]);
}

#[test]
fn an_image_without_run_is_loaded_too() {
    let (workspace, tag) = project("FROM scratch\nCOPY greeting.txt /\nCMD [\"/none\"]\n", "");
    workspace.build(["--load"]).succeeded();
    let configuration = workspace.run("docker", ["image", "inspect", &tag]);
    workspace.run("docker", ["image", "rm", "--force", &tag]);
    let configuration: Value = serde_json::from_str(&configuration).unwrap();
    assert_eq!(text(&configuration[0]["Config"]["Cmd"][0]), "/none");
}

#[test]
fn a_local_layout_is_a_base_for_the_embedded_builder() {
    let (workspace, _) = project(TWO_STAGES, "");
    workspace.build([""; 0]).succeeded();
    fs::create_dir(workspace.path("bases")).unwrap();
    fs::rename(
        workspace.path("dist/image"),
        workspace.path("bases/prepared"),
    )
    .unwrap();
    workspace.write(
        "synth.toml",
        r#"
[targets.derived]
type = "docker"
source_path = "image"
dockerfile = "Dockerfile.derived"
engine = "embedded"
build_contexts = { prepared = "oci-layout://bases/prepared" }
"#,
    );
    workspace.write(
        "image/Dockerfile.derived",
        "FROM prepared\nCOPY greeting.txt /srv/\nENV LOUD=no\n",
    );
    workspace.build([""; 0]).succeeded();
    let layout = workspace.path("dist/derived");
    let files = image::files(&layout);
    assert_eq!(files["srv/greeting.txt"], b"hello\n");
    assert_eq!(files["srv/loud.txt"], b"HELLO\n");
    let environment = &image::configuration(&layout)["config"]["Env"];
    assert!(
        environment.as_array().unwrap().contains(&"LOUD=no".into()),
        "{environment}"
    );
}

#[test]
fn a_failing_run_shows_its_line_and_what_it_said() {
    let (workspace, _) = project("FROM BASE\nRUN echo about to fail && exit 3\n", "");
    let run = workspace.synth(["build", "-j1"]).to_string();
    // The log below it is in the words of the engine's version.
    let (told, log) = run.split_once("\nimage: last lines of").unwrap();
    assert!(log.contains("about to fail\n"), "{run}");
    assert_run!(told, @"
    exit code: 1
    ----- stdout -----
     target  status  time  actions   artifacts
     image   failed  [TIME]  1 failed

    1 failed, 0 of 1 targets succeeded in [TIME]
    ----- stderr -----
         start image: build the image of image/Dockerfile with Docker
        failed image: build the image of image/Dockerfile with Docker ([TIME])
    error[docker.engine.failed]: the Docker engine failed at this line
     --> image/Dockerfile:2:1
      |
    2 | RUN echo about to fail && exit 3
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = note: [DOCKER]
    ");
}

#[test]
fn without_an_engine_run_is_refused_with_its_line_and_both_ways_out() {
    let (workspace, _) = project("FROM scratch\nCOPY greeting.txt /\nRUN [\"/none\"]\n", "");
    let nowhere = format!("unix://{}", workspace.beside("no.sock").display());
    let workspace = workspace.variable("DOCKER_HOST", nowhere);
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 3
    ----- stderr -----
    error[docker.engine.missing]: `RUN` runs something, which needs a Docker engine, and no engine answers `docker`: [DOCKER]
     --> image/Dockerfile:3:1
      |
    3 | RUN ["/none"]
      | ^^^^^^^^^^^^^
      |
      = help: start the engine (`systemctl start docker`), or set DOCKER_HOST to one that runs
      = help: or remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
    "#);
}

#[test]
fn the_embedded_builder_refuses_run() {
    let (workspace, _) = project(TWO_STAGES, "engine = \"embedded\"\n");
    assert_run!(workspace.synth(["build", "-j1"]), @r#"
    exit code: 2
    ----- stderr -----
    error[docker.engine.embedded]: the embedded builder can't build this: `synth-test/base:latest` is an image of a registry
     --> image/Dockerfile:1:1
      |
    1 | FROM synth-test/base:latest AS build
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: set `engine = "auto"`, so that a Docker engine builds it
      = help: remove the line: copy in what other targets built, with `needs` and `COPY --from=TARGET`, and begin with `FROM scratch` or an OCI layout of `build_contexts`
      = help: the same goes for lines 4, 5, 6
    "#);
}
