//! The promises of the interface, on archives of each kind of contents.

use synth_core::conformance_tests;
use synth_core::testkit::TestPipeline;
use synth_target_archive::ArchiveTarget;

conformance_tests!(
    TestPipeline::new(ArchiveTarget).needed("api", [("bin/app", "program"), ("größe", "")]),
    TestPipeline::new(ArchiveTarget)
        .file("README.md", "read me")
        .program("bin/run", "#!/bin/sh\n")
        .link("bin/current", "run")
        .directory("empty")
        .setting("include", vec!["**"])
        .setting("format", vec!["tar.zst", "zip", "tar.gz"])
        .setting("root", "app-1.0"),
);
