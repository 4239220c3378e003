//! Mistakes in synth.toml: each named with its place, all of a file in one run, exit code 2.

use std::fs;

use crate::workspace::{Run, Workspace, assert_run};

/// Builds with this configuration in a project with a small site.
fn build(configuration: impl AsRef<[u8]>) -> Run {
    let workspace = site();
    workspace.write("synth.toml", configuration);
    workspace.synth(["build"])
}

fn site() -> Workspace {
    Workspace::with_files([(
        "web/index.html",
        "<!doctype html><html lang=\"en\"><title>Shop</title><h1>Shop</h1></html>\n",
    )])
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    let run = build(
        r#"
parallel_executon = true

[targets.site]
type = "static"
source_path = "web"
out_path = "public"
minfy = false
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn an_unknown_kind_is_told_with_the_nearest_known_one() {
    let run = build("[targets.site]\ntype = \"statik\"\nsource_path = \"web\"\n");
    assert_run!(run, @"");
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_the_right_one() {
    let run = build(
        r#"
name = ["shop"]

[targets.site]
type = "static"
source_path = 7
needs = "api"
minify = "all"
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn a_cycle_is_told_as_it_goes_round() {
    let run = build(
        r#"
[targets.one]
type = "static"
source_path = "web"
needs = ["three"]

[targets.two]
type = "static"
source_path = "web"
needs = ["one"]

[targets.three]
type = "static"
source_path = "web"
needs = ["two"]
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn a_need_of_an_unknown_target_is_told_with_the_nearest_known_one() {
    let run = build(
        r#"
[targets.site]
type = "static"
source_path = "web"

[targets.more]
type = "static"
source_path = "web"
needs = ["sit", "site"]
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn a_missing_source_directory_is_told() {
    let run = build("[targets.site]\ntype = \"static\"\nsource_path = \"wbe\"\n");
    assert_run!(run, @"");
}

#[test]
fn paths_that_leave_the_project_are_refused() {
    let run = build(
        r#"
[targets.one]
type = "static"
source_path = "../web"

[targets.two]
type = "static"
source_path = "web"
output_path = "dist/../../public"

[targets.three]
type = "static"
source_path = "web"
output_path = "/srv/www"
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn paths_that_leave_the_project_through_a_link_are_refused() {
    let workspace = site();
    let outside = workspace.beside("outside");
    fs::create_dir(&outside).unwrap();
    workspace.link("elsewhere", "../outside");
    workspace.write(
        "synth.toml",
        r#"
[targets.one]
type = "static"
source_path = "web"
output_path = "elsewhere/site"

[targets.two]
type = "static"
source_path = "elsewhere"
"#,
    );
    assert_run!(workspace.synth(["build"]), @"");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

#[test]
fn two_targets_that_write_one_path_are_refused() {
    let run = build(
        r#"
[targets.one]
type = "static"
source_path = "web"
output_path = "public"

[targets.two]
type = "static"
source_path = "web"
output_path = "public"

[targets.three]
type = "static"
source_path = "web"
output_path = "public/three"
"#,
    );
    assert_run!(run, @"");
}

#[test]
fn an_output_directory_with_other_files_is_not_replaced() {
    let workspace = site();
    workspace.write("public/mine.txt", "do not delete\n");
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\noutput_path = \"public\"\n",
    );
    assert_run!(workspace.synth(["build"]), @"");
    assert_eq!(workspace.read("public/mine.txt"), "do not delete\n");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
    assert_run!(build(b"name = \"caf\xe9\"\n"), @"");
}

#[test]
fn an_empty_file_is_refused() {
    assert_run!(build(""), @"");
}

#[test]
fn a_file_without_targets_is_refused() {
    assert_run!(build("name = \"shop\"\n"), @"");
}

#[test]
fn a_syntax_error_is_shown() {
    assert_run!(build("[targets.site\ntype = \"static\"\n"), @"");
}

#[test]
fn a_missing_file_is_told_with_what_writes_one() {
    assert_run!(site().synth(["build"]), @"");
}

#[test]
fn mistakes_in_a_json_file_have_their_places_too() {
    let workspace = site();
    workspace.write(
        "pipeline.json",
        "{\n  \"targets\": {\n    \"site\": { \"type\": \"static\", \"source_path\": \"web\", \"minfy\": true }\n  }\n}\n",
    );
    assert_run!(workspace.synth(["build", "--config", "pipeline.json"]), @"");
}

#[test]
fn mistakes_of_every_sort_are_told_in_one_run() {
    let run = build(
        r#"
nmae = "shop"

[targets.site]
type = "static"
source_path = "missing"
needs = ["nobody"]

[targets.other]
type = "static"
source_path = "web"
output_path = "../public"
minify = 3
"#,
    );
    assert_run!(run, @"");
}
