//! The promises of the interface, on what the kind plans in different ways.

use synth_core::testkit::TestPipeline;
use synth_target_docker::DockerTarget;

/// An image of files, which the embedded builder makes.
fn embedded() -> TestPipeline {
    TestPipeline::new(DockerTarget)
        .file(
            "Dockerfile",
            "FROM scratch\nARG NAME=app\nCOPY . /$NAME\nCMD [\"/app/run\"]\n",
        )
        .program("run", "#!/bin/sh\n")
        .file(".dockerignore", "*.md\n")
        .file("README.md", "not in the image")
}

/// One with what another target exports.
fn of_a_target() -> TestPipeline {
    TestPipeline::new(DockerTarget)
        .file("Dockerfile", "FROM scratch\nCOPY --from=api app /app\n")
        .needed("api", [("app", "program")])
        .setting("tags", vec!["shop:1.0"])
}

/// One for a Docker engine, which is not there in tests.
fn for_an_engine() -> TestPipeline {
    TestPipeline::new(DockerTarget)
        .file("Dockerfile", "FROM debian:13\nRUN true\n")
        .script_tool("docker", "Docker version 28.2.2, build e6534b4", "")
        .script_tool("docker-buildx", "github.com/docker/buildx v0.24.0", "")
        .plan_only()
}

synth_core::conformance_tests!(embedded(), of_a_target(), for_an_engine());
