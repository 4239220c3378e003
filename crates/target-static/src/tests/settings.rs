//! Problems of settings and sources that are seen before anything is built.

use crate::StaticTarget;
use synth_core::{BuildTarget, ProjectPath, TargetSpec};

use super::pipeline::{build, project, render, target};

#[test]
fn all_problems_are_told_at_once() {
    let project = project(&[("readme.txt", "x")]);
    let target = target()
        .dependency("react")
        .setting("build_output", "dist")
        .setting("exclude", serde_json::json!(["ok", "["]))
        .setting("site_url", "example.org")
        .setting("manifest", "../manifest.json")
        .setting("mounts", serde_json::json!({ "api": "downloads" }));
    let problems = StaticTarget.validate(&target, &project);
    insta::assert_snapshot!(render(&problems), @r#"
    error[static.settings] build_output
      build_output belongs to a build_command, and there is none
      help: set build_command, or remove it
    error[static.settings] manifest
      `../manifest.json` is no path of a file in the site
      help: name it relative to the site's root: "manifest.json"
    warning[static.settings] dependencies
      a static site takes no packages from synth.toml: they are not used
      help: list them in package.json and set install_command; targets go in `needs`
    error[static.settings.pattern] exclude.1
      `[` is not a valid pattern: unclosed character class; missing ']'
    error[static.settings] site_url
      `example.org` is no valid site_url
      help: give scheme, host and path: "https://shop.example/docs/"
    error[static.mounts.not_needed] mounts.api
      `api` is mounted, but not needed
      help: add it: needs = ["api"]
    "#);
}

#[test]
fn patterns_of_an_installation_are_checked_too() {
    let target = target()
        .setting("build_command", "make")
        .setting("build_output", "out")
        .setting("install_inputs", serde_json::json!(["["]));
    let problems = build(&project(&[("index.html", "<p>")]), &target).unwrap_err();
    assert_eq!(problems[0].code, "static.settings.pattern");
}

#[test]
fn a_source_without_pages_is_told_with_what_may_be_missing() {
    for (files, help) in [
        (vec![("readme.txt", "x")], "put an index.html there"),
        (
            vec![("mkdocs.yml", "site_name: x"), ("index.html", "x")],
            "set builder = \"native\" if it is meant so",
        ),
        (
            vec![("mkdocs.yml", "site_name: x")],
            "build_command = \"mkdocs build\"",
        ),
    ] {
        let problems = StaticTarget.validate(&target(), &project(&files));
        let text = render(&problems);
        assert!(text.contains(help), "{text}");
    }
}

#[test]
fn the_source_must_be_a_directory() {
    let project = project(&[("index.html", "x")]);
    for (source, code) in [
        ("nowhere", "static.source.missing"),
        ("web/index.html", "static.source.not_a_directory"),
    ] {
        let target = TargetSpec::new("site", "static", ProjectPath::parse(source).unwrap());
        let problems = StaticTarget.validate(&target, &project);
        assert_eq!(problems[0].code, code);
    }
}

#[test]
fn the_schema_describes_every_setting_and_knows_no_others() {
    let schema = StaticTarget.describe().settings_schema;
    assert_eq!(schema["additionalProperties"], false);
    for (name, property) in schema["properties"].as_object().unwrap() {
        let described = property.get("description").is_some();
        assert!(described, "{name} has no description");
    }
}
