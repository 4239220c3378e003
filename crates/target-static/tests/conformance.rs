//! The promises of the interface, on what the kind plans in different ways.

use synth_core::testkit::TestPipeline;
use synth_target_static::StaticTarget;

/// A site that is its sources.
fn plain() -> TestPipeline {
    TestPipeline::new(StaticTarget)
        .file(
            "index.html",
            "<!doctype html><title>Shop</title><link rel=stylesheet href=style.css>\
             <script src=app.js></script><p>Hello</p>",
        )
        .file("style.css", "p { color: red; }\n")
        .file(
            "app.js",
            "const greeting = 'hello';\nconsole.log(greeting);\n",
        )
}

/// A site that a command makes.
fn made() -> TestPipeline {
    TestPipeline::new(StaticTarget)
        .program(
            "make-site",
            "#!/bin/sh\nmkdir -p public\ncp page.html public/index.html\n",
        )
        .file("page.html", "<!doctype html><title>Made</title><p>Made")
        .setting("build_command", "./make-site")
        .setting("build_output", "public")
}

synth_core::conformance_tests!(plain(), made());
