//! The promises of the interface, on a pipeline for each thing that a plan depends on.

use synth_core::testkit::TestPipeline;
use synth_core::{ProjectPath, TargetSpec};
use synth_target_command::CommandTarget;

fn pipeline() -> TestPipeline {
    TestPipeline::new(CommandTarget)
        .file("main.txt", "text\n")
        .setting("command", vec!["cp", "main.txt", "copy.txt"])
        .setting("outputs", vec!["copy.txt"])
}

fn script() -> TestPipeline {
    let source_path = ProjectPath::parse("deep/src").unwrap_or_default();
    let target = TargetSpec::new("upper", "command", source_path)
        .variable("SUFFIX", "!")
        .setting(
            "script",
            "mkdir -p dist/sub\ntr a-z A-Z < main.txt > dist/sub/upper.txt\n\
             printf %s \"$SUFFIX\" > dist/suffix\ncp \"$SYNTH_OUT_API/api.txt\" dist/\n",
        )
        .setting("shell", vec!["sh", "-eu", "-c"])
        .setting("inputs", vec!["*.txt"])
        .setting("exclude", vec!["none.txt"])
        .setting("outputs", vec!["dist/**"])
        .setting("artifacts", vec!["dist/*"])
        .setting("tools", vec!["tr"])
        .setting("timeout_seconds", 60);
    TestPipeline::new(CommandTarget)
        .file("deep/src/main.txt", "text\n")
        .file("deep/src/none.txt", "none\n")
        .target(target)
        .needed("api", [("api.txt", "api\n")])
}

fn check() -> TestPipeline {
    TestPipeline::new(CommandTarget)
        .program("check.sh", "#!/bin/sh\ntest -e check.sh\n")
        .setting("command", vec!["./check.sh"])
}

synth_core::conformance_tests!(pipeline(), script(), check());
