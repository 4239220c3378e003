//! The promises of the interface, on what the kind plans in different ways. Nothing is built: the
//! project's backend comes from a package index.

use synth_core::Place;
use synth_core::testkit::TestPipeline;
use synth_target_python::PythonTarget;

fn project(pyproject: &str) -> TestPipeline {
    TestPipeline::new(PythonTarget)
        .file("pyproject.toml", pyproject)
        .file("src/shop/__init__.py", "")
        .file("tests/test_shop.py", "def test_shop():\n    import shop\n")
        .script_tool("python", "3.12.3\n/usr/bin/python3", "")
        .without_tool("uv")
        .plan_only()
}

const HATCHLING: &str = r#"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "shop"
version = "1.0.0"
dependencies = ["requests>=2"]

[project.optional-dependencies]
test = ["pytest"]
"#;

synth_core::conformance_tests!(
    project(HATCHLING),
    project("[build-system]\nrequires = [\"setuptools\"]\n")
        .file(
            "setup.py",
            "from setuptools import setup\nsetup(name='shop')\n"
        )
        .setting("tests", false),
);

#[test]
fn an_exclusion_that_is_no_pattern_is_reported_at_its_place() {
    let project = project(HATCHLING).setting("exclude", vec!["docs", "{a"]);
    let problems = project.validate();
    let path = vec!["exclude".to_owned(), "1".to_owned()];
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "python.exclude.pattern");
    assert_eq!(problems[0].place, Some(Place::Setting { path }));
}
