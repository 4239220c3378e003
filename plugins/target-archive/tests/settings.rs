//! What users are told of settings that make no archive, and what a plan holds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;
use synth_core::testkit::TestProject;
use synth_core::{BuildTarget, Diagnostic, Place, TargetSpec};
use synth_target_archive::{ArchiveTarget, create_archive_build_target};

fn project() -> TestProject {
    let project = TestProject::new().unwrap();
    project.write("src/README.md", "read me").unwrap();
    project.write("src/api", "a file").unwrap();
    project
}

fn target() -> TargetSpec {
    create_archive_build_target("release", "src").unwrap()
}

fn shown(problem: &Diagnostic) -> String {
    let place = match &problem.place {
        Some(Place::Setting { path }) => path.join("."),
        other => format!("{other:?}"),
    };
    let help: Vec<String> = problem
        .help
        .iter()
        .map(|help| format!("\n    {help}"))
        .collect();
    format!(
        "{} at `{place}`: {}{}",
        problem.code,
        problem.message,
        help.concat()
    )
}

#[test]
fn settings_that_make_no_archive_are_told_with_their_place() {
    let base = || target().need("web");
    let cases = [
        target(),
        target().setting("exclude", vec!["*.md"]),
        target().setting("include", vec!["*.rs"]),
        target().setting("include", vec!["[a"]),
        base()
            .setting("include", vec!["*.md"])
            .setting("exclude", vec!["a", "{b"]),
        base().setting("layout", json!({ "wep": "x" })),
        target()
            .setting("include", vec!["*.md"])
            .setting("layout", json!({ "web": "x" })),
        base().setting("layout", json!({ "web": "../x" })),
        base().setting("layout", json!({ "web": "a/../x" })),
        base().setting("layout", json!({ "web": "/x" })),
        base().setting("layout", json!({ "web": "a\\x" })),
        base().setting("root", "/"),
        base().setting("root", ".."),
        base().setting("name", "a/b"),
        base().setting("name", ".."),
        base().setting("name", ""),
        base().setting("name", "a\nb"),
        base().setting("format", json!([])),
        base().setting("format", json!(["zip", "tar.gz", "zip"])),
        base().setting("level", 0).setting("format", "tar.zst"),
        base()
            .setting("level", 19)
            .setting("format", json!(["tar.zst", "zip"])),
        base().variable("SOURCE_DATE_EPOCH", "now"),
        base().variable("SOURCE_DATE_EPOCH", "0"),
        base().dependency("requests"),
        target().need("api").setting("include", vec!["**"]),
        base()
            .setting("include", vec!["**"])
            .setting("layout", json!({ "web": "api/web" })),
    ];
    let project = project();
    let mut told = Vec::new();
    for target in cases {
        let problems = ArchiveTarget.validate(&target, &project);
        assert!(problems.iter().any(Diagnostic::is_error), "{target:?}");
        assert_eq!(
            ArchiveTarget.plan(&target, &project).unwrap_err(),
            problems,
            "validate and plan agree"
        );
        told.extend(problems.iter().map(shown));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    archive.nothing at ``: `release` has nothing to archive
        name the targets whose outputs are archived: `needs = ["api"]`
        or the files: `include = ["**"]` is everything below the source directory
    archive.exclude.alone at `exclude`: `exclude` has nothing to choose from: no file is included
        add `include = ["**"]` for everything below the source directory
    archive.empty at `include`: no file below `src` is included
        check the patterns; they are relative to the source directory
    archive.sources at `include.0`: `[a` is not a valid pattern: unclosed character class; missing ']'
        `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose
    archive.sources at `exclude.1`: `{b` is not a valid pattern: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        `*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose
    archive.layout.unknown at `layout.wep`: `layout` says where `wep` goes, but the target does not need `wep`
        it needs `web`; add `wep` to `needs`
    archive.layout.unknown at `layout.web`: `layout` says where `web` goes, but the target does not need `web`
        add it: `needs = ["web"]`
    archive.path at `layout.web`: `../x` holds `..`
        give a path relative to the top of the archive, without `..`
    archive.path at `layout.web`: `a/../x` holds `..`
        give a path relative to the top of the archive, without `..`
    archive.path at `layout.web`: `/x` starts at the root of a machine
        give a path relative to the top of the archive, without `..`
    archive.path at `layout.web`: "a\\x" can't be a path in an archive for every system
        give a path relative to the top of the archive, without `..`
    archive.path at `root`: `/` starts at the root of a machine
        give a path relative to the top of the archive, without `..`
    archive.path at `root`: `..` holds `..`
        give a path relative to the top of the archive, without `..`
    archive.name at `name`: the name "a/b" holds '/'
        give the file's name alone, without extension: `name = "storefront-1.0"`
    archive.name at `name`: `..` can't be the name of a file
        give the file's name alone, without extension: `name = "storefront-1.0"`
    archive.name at `name`: `` can't be the name of a file
        give the file's name alone, without extension: `name = "storefront-1.0"`
    archive.name at `name`: the name "a\nb" holds '\n'
        give the file's name alone, without extension: `name = "storefront-1.0"`
    archive.format.none at `format`: `format` names no format
        name one or more of `tar.gz`, `tar.zst` and `zip`
    archive.format.twice at `format.2`: `format` names `zip` twice
        remove one of them
    archive.level at `level`: `tar.zst` has no level 0: it has 1 to 22
        choose one of these, or leave `level` out for 9
    archive.level at `level`: `zip` has no level 19: it has 0 to 9
        choose one of these, or leave `level` out for 9
    archive.time at `environment.SOURCE_DATE_EPOCH`: `SOURCE_DATE_EPOCH` is `now`, which is no time that every format knows
        give seconds since 1970-01-01 UTC, from 315532800 (1980) to 4354819199 (2107)
    archive.time at `environment.SOURCE_DATE_EPOCH`: `SOURCE_DATE_EPOCH` is `0`, which is no time that every format knows
        give seconds since 1970-01-01 UTC, from 315532800 (1980) to 4354819199 (2107)
    archive.dependencies at `dependencies`: an archive has no packages to depend on, but `dependencies` names `requests`
        targets whose outputs are archived are named in `needs`
    archive.place.taken at `layout.api`: the file `src/api` and the outputs of `api` are both put at `api`
        put the target elsewhere (`layout = { api = ".." }`), or exclude the file
    archive.place.taken at `layout.web`: the file `src/api` and the outputs of `web` are both put at `api`
        put the target elsewhere (`layout = { web = ".." }`), or exclude the file
    "#);
}

#[test]
fn every_problem_is_told_at_once() {
    let target = target()
        .setting("name", "a/b")
        .setting("root", "..")
        .setting("level", 99)
        .setting("layout", json!({ "web": "x" }));
    let problems = ArchiveTarget.validate(&target, &project());
    let codes: Vec<&str> = problems
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    let expected = [
        "archive.name",
        "archive.level",
        "archive.path",
        "archive.layout.unknown",
        "archive.nothing",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn a_pattern_that_finds_nothing_is_a_warning() {
    let target = target().setting("include", vec!["*.md", "*.rst"]);
    let problems = ArchiveTarget.validate(&target, &project());
    let told: Vec<String> = problems.iter().map(shown).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    archive.include.unmatched at `include.1`: no file below `src` matches `*.rst`
        check the pattern; it is relative to the source directory
    ");
    let plan = ArchiveTarget.plan(&target, &project()).unwrap();
    assert_eq!(plan.warnings, problems);
}

#[test]
fn a_plan_is_one_action() {
    let target = target()
        .need("web")
        .need("api")
        .setting("format", json!(["tar.zst", "zip"]))
        .setting("include", vec!["*.md"])
        .setting("layout", json!({ "web": "share/web" }))
        .setting("root", "app-1.0");
    let plan = ArchiveTarget.plan(&target, &project()).unwrap();
    let [action] = plan.actions.as_slice() else {
        unreachable!("one action")
    };
    let exports: Vec<_> = plan.exports.iter().map(|export| &export.path).collect();
    insta::assert_snapshot!(action.description, @"pack release.tar.zst, .zip");
    insta::assert_json_snapshot!(action.kind, @r#"
    {
      "native": {
        "function": "pack",
        "parameters": {
          "name": "release",
          "formats": [
            "tar.zst",
            "zip"
          ],
          "level": null,
          "root": "app-1.0",
          "tree": "tree",
          "time": 315532800
        },
        "pass_environment": []
      }
    }
    "#);
    insta::assert_json_snapshot!(action.inputs, @r#"
    [
      {
        "at": "tree",
        "from": {
          "source": {
            "root": "src",
            "include": [
              "*.md"
            ],
            "exclude": []
          }
        }
      },
      {
        "at": "tree/share/web",
        "from": {
          "target": {
            "name": "web"
          }
        }
      },
      {
        "at": "tree/api",
        "from": {
          "target": {
            "name": "api"
          }
        }
      }
    ]
    "#);
    insta::assert_json_snapshot!((exports, &plan.artifacts), @r#"
    [
      [
        ""
      ],
      [
        {
          "kind": "archive.tar.zst",
          "pattern": "*.tar.zst"
        },
        {
          "kind": "archive.zip",
          "pattern": "*.zip"
        }
      ]
    ]
    "#);
}
