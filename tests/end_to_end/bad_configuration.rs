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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.unknown_key]: `synth.toml` has an unknown key `parallel_executon`
     --> synth.toml:2:1
      |
    2 | parallel_executon = true
      | ^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `parallel_execution`?

    error[config.unknown_key]: target `site` has an unknown key `out_path`
     --> synth.toml:7:1
      |
    7 | out_path = "public"
      | ^^^^^^^^
      |
      = help: did you mean `output_path`?

    error[config.unknown_key]: target `site` has an unknown key `minfy`
     --> synth.toml:8:1
      |
    8 | minfy = false
      | ^^^^^
      |
      = help: did you mean `minify`?

    3 errors
    "#);
}

#[test]
fn an_unknown_kind_is_told_with_the_nearest_known_one() {
    let run = build("[targets.site]\ntype = \"statik\"\nsource_path = \"web\"\n");
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.kind.unknown]: target `site` is of an unknown type `statik`
     --> synth.toml:2:8
      |
    2 | type = "statik"
      |        ^^^^^^^^
      |
      = help: did you mean `static`?
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.type]: `name` of `synth.toml` is a list, but a text was expected
     --> synth.toml:2:8
      |
    2 | name = ["shop"]
      |        ^^^^^^^^

    error[config.type]: `source_path` of target `site` is a number, but a text was expected
     --> synth.toml:6:15
      |
    6 | source_path = 7
      |               ^

    error[config.type]: `needs` of target `site` is a text, but a list was expected
     --> synth.toml:7:9
      |
    7 | needs = "api"
      |         ^^^^^

    error[config.type]: `minify` of target `site` is a text, but a truth value (true or false) or a table was expected
     --> synth.toml:8:10
      |
    8 | minify = "all"
      |          ^^^^^

    4 errors
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.needs.cycle]: targets need each other in a circle: `one` needs `three` needs `two` needs `one`
     --> synth.toml:5:9
      |
    5 | needs = ["three"]
      |         ^^^^^^^^^
      |
      = help: take one of these out of `needs`
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.needs.unknown]: target `more` needs `sit`, which is no target
     --> synth.toml:9:10
      |
    9 | needs = ["sit", "site"]
      |          ^^^^^
      |
      = help: did you mean `site`?
    "#);
}

#[test]
fn a_missing_source_directory_is_told() {
    let run = build("[targets.site]\ntype = \"static\"\nsource_path = \"wbe\"\n");
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.source.missing]: the source directory of target `site` does not exist: `wbe`
     --> synth.toml:3:15
      |
    3 | source_path = "wbe"
      |               ^^^^^
      |
      = help: paths are relative to synth.toml
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.path]: `source_path` of target `one`: `../web` leaves the project's directory
     --> synth.toml:4:15
      |
    4 | source_path = "../web"
      |               ^^^^^^^^
      |
      = help: paths are relative to synth.toml and stay below its directory

    error[config.path]: `output_path` of target `two`: `dist/../../public` leaves the project's directory
     --> synth.toml:9:15
      |
    9 | output_path = "dist/../../public"
      |               ^^^^^^^^^^^^^^^^^^^
      |
      = help: paths are relative to synth.toml and stay below its directory

    error[config.path]: `output_path` of target `three`: `/srv/www` is an absolute path; a path relative to synth.toml was expected
      --> synth.toml:14:15
       |
    14 | output_path = "/srv/www"
       |               ^^^^^^^^^^
       |
       = help: paths are relative to synth.toml and stay below its directory

    3 errors
    "#);
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
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 2
    ----- stderr -----
    error[config.path.leaves]: `output_path` of target `one` leaves the project: `elsewhere/site` leads to `[WORKSPACE]/outside`
     --> synth.toml:5:15
      |
    5 | output_path = "elsewhere/site"
      |               ^^^^^^^^^^^^^^^^
      |
      = help: keep sources and outputs below the directory of synth.toml

    error[config.path.leaves]: `source_path` of target `two` leaves the project: `elsewhere` leads to `[WORKSPACE]/outside`
     --> synth.toml:9:15
      |
    9 | source_path = "elsewhere"
      |               ^^^^^^^^^^^
      |
      = help: keep sources and outputs below the directory of synth.toml

    2 errors
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.output.shared]: targets `one` and `two` write to one place: `public` and `public`
      --> synth.toml:10:15
       |
    10 | output_path = "public"
       |               ^^^^^^^^
       |
       = help: give each target an `output_path` of its own

    error[config.output.shared]: targets `one` and `three` write to one place: `public` and `public/three`
      --> synth.toml:15:15
       |
    15 | output_path = "public/three"
       |               ^^^^^^^^^^^^^^
       |
       = help: give each target an `output_path` of its own

    error[config.output.shared]: targets `two` and `three` write to one place: `public` and `public/three`
      --> synth.toml:15:15
       |
    15 | output_path = "public/three"
       |               ^^^^^^^^^^^^^^
       |
       = help: give each target an `output_path` of its own

    3 errors
    "#);
}

#[test]
fn an_output_directory_with_other_files_is_not_replaced() {
    let workspace = site();
    workspace.write("public/mine.txt", "do not delete\n");
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\noutput_path = \"public\"\n",
    );
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 2
    ----- stderr -----
    error[output.not_ours]: `public` holds files that synth did not write: `mine.txt`
     --> synth.toml:4:15
      |
    4 | output_path = "public"
      |               ^^^^^^^^
      |
      = help: the output directory is replaced as a whole: move them away, or choose another `output_path`; if an earlier build wrote them, remove the directory
    "#);
    assert_eq!(workspace.read("public/mine.txt"), "do not delete\n");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
    assert_run!(build(b"name = \"caf\xe9\"\n"), @"
    exit code: 2
    ----- stderr -----
    error[config.encoding]: `synth.toml` is not UTF-8 text: byte 11 is wrong
    --> synth.toml:1
     = help: save the file as UTF-8
    ");
}

#[test]
fn an_empty_file_is_refused() {
    assert_run!(build(""), @"
    exit code: 2
    ----- stderr -----
    error[config.empty]: `synth.toml` describes no targets
    --> synth.toml
     = help: write a first one with `synth init`
    ");
}

#[test]
fn a_file_without_targets_is_refused() {
    assert_run!(build("name = \"shop\"\n"), @"
    exit code: 2
    ----- stderr -----
    error[config.empty]: `synth.toml` describes no targets
    --> synth.toml
     = help: write a first one with `synth init`
    ");
}

#[test]
fn a_syntax_error_is_shown() {
    assert_run!(build("[targets.site\ntype = \"static\"\n"), @"
    exit code: 2
    ----- stderr -----
    error[config.syntax]: `synth.toml` is not valid TOML: unclosed table, expected `]`
     --> synth.toml:1:14
      |
    1 | [targets.site
      |              ^
    ");
}

#[test]
fn a_missing_file_is_told_with_what_writes_one() {
    assert_run!(site().synth(["build"]), @"
    exit code: 2
    ----- stderr -----
    error[config.missing]: there is no `synth.toml` in `[WORKSPACE]/my project`
     |
     = help: write one with `synth init`, or name another directory with `-C DIR`
    ");
}

#[test]
fn mistakes_in_a_json_file_have_their_places_too() {
    let workspace = site();
    workspace.write(
        "pipeline.json",
        "{\n  \"targets\": {\n    \"site\": { \"type\": \"static\", \"source_path\": \"web\", \"minfy\": true }\n  }\n}\n",
    );
    assert_run!(workspace.synth(["build", "--config", "pipeline.json"]), @r#"
    exit code: 2
    ----- stderr -----
    error[config.unknown_key]: target `site` has an unknown key `minfy`
     --> pipeline.json:3:55
      |
    3 |     "site": { "type": "static", "source_path": "web", "minfy": true }
      |                                                       ^^^^^^^
      |
      = help: did you mean `minify`?
    "#);
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
    assert_run!(run, @r#"
    exit code: 2
    ----- stderr -----
    error[config.unknown_key]: `synth.toml` has an unknown key `nmae`
     --> synth.toml:2:1
      |
    2 | nmae = "shop"
      | ^^^^
      |
      = help: did you mean `name`?

    error[config.source.missing]: the source directory of target `site` does not exist: `missing`
     --> synth.toml:6:15
      |
    6 | source_path = "missing"
      |               ^^^^^^^^^
      |
      = help: paths are relative to synth.toml

    error[config.needs.unknown]: target `site` needs `nobody`, which is no target
     --> synth.toml:7:10
      |
    7 | needs = ["nobody"]
      |          ^^^^^^^^
      |
      = help: targets: `other`

    error[config.path]: `output_path` of target `other`: `../public` leaves the project's directory
      --> synth.toml:12:15
       |
    12 | output_path = "../public"
       |               ^^^^^^^^^^^
       |
       = help: paths are relative to synth.toml and stay below its directory

    error[config.type]: `minify` of target `other` is a number, but a truth value (true or false) or a table was expected
      --> synth.toml:13:10
       |
    13 | minify = 3
       |          ^

    5 errors
    "#);
}
