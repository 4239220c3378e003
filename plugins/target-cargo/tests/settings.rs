//! What users are told of targets that can't be built, before anything runs, and what
//! `synth init` finds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use synth_core::testkit::TestProject;
use synth_core::{BuildTarget, Diagnostic, Place, ProjectPath};
use synth_target_cargo::{CargoTarget, create_cargo_build_target};

const MANIFEST: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\n";
const LOCK: &str = "version = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";
const LIBRARY: &str = "[package]\nname = \"near\"\nversion = \"0.1.0\"\n";

type Files<'a> = &'a [(&'a str, &'a str)];

/// A package in `app`, with other files in addition or instead; an empty text is no file.
fn project(files: Files<'_>) -> TestProject {
    let mut all = BTreeMap::from([
        ("app/Cargo.toml", MANIFEST),
        ("app/Cargo.lock", LOCK),
        ("app/src/main.rs", "fn main() {}\n"),
        ("app/src/bin/tool.rs", "fn main() {}\n"),
    ]);
    all.extend(files.iter().copied());
    let project = TestProject::new().unwrap();
    for (path, text) in all {
        if !text.is_empty() {
            project.write(path, text).unwrap();
        }
    }
    project
}

fn told(files: Files<'_>, settings: &Value) -> String {
    let mut target = create_cargo_build_target("app", "app").unwrap();
    for (key, value) in settings.as_object().unwrap() {
        match key.as_str() {
            "source_path" => {
                target.source_path = ProjectPath::parse(value.as_str().unwrap()).unwrap()
            }
            "dependencies" => target = target.dependency(value.as_str().unwrap()),
            _ => target = target.setting(key, value.clone()),
        }
    }
    let problems = CargoTarget.validate(&target, &project(files));
    problems.iter().map(shown).collect()
}

fn shown(problem: &Diagnostic) -> String {
    let place = match &problem.place {
        None => String::new(),
        Some(Place::Setting { path }) => format!(" at `{}`", path.join(".")),
        Some(Place::File {
            path,
            position: None,
            ..
        }) => format!(" in {path}"),
        Some(Place::File {
            path,
            position: Some(at),
            ..
        }) => {
            format!(" in {path}:{}:{} ({})", at.line, at.column, at.length)
        }
        other => format!("{other:?}"),
    };
    let help = problem
        .help
        .iter()
        .map(|help| format!("    help: {help}\n"));
    format!(
        "{}{place}: {}\n{}",
        problem.code,
        problem.message,
        help.collect::<String>()
    )
}

#[test]
fn what_can_not_be_built_is_told_with_its_place() {
    let none = json!({});
    let with = |more: &str| format!("{MANIFEST}{more}");
    let near = with("[dependencies]\nnear = { path = \"../near\" }\n");
    let patched = with(
        "[target.'cfg(unix)'.dev-dependencies]\nfar = { path = \"../../../far\" }\n[patch.crates-io]\nabs = { path = \"/abs\" }\n",
    );
    let member = with("workspace = \"..\"\n");
    let library = with("[lib]\ncrate-type = [\"rlib\"]\n");
    let cases: &[(Files<'_>, Value)] = &[
        (&[("app/Cargo.toml", "")], none.clone()),
        (&[("app/Cargo.lock", "")], none.clone()),
        (
            &[("app/Cargo.toml", "[package]\nname = app\n")],
            none.clone(),
        ),
        (&[("app/Cargo.lock", "[[package]\n")], none.clone()),
        (
            &[(
                "app/Cargo.lock",
                "[[package]]\nname = \"a\"\nsource = \"ftp://x\"\n",
            )],
            none.clone(),
        ),
        (&[("app/.cargo/config.toml", "build = [")], none.clone()),
        (&[(".cargo/config.toml", "[build]\n")], none.clone()),
        (&[], json!({ "manifest": "../Cargo.toml" })),
        (&[], json!({ "manifest": "Cargo.lock" })),
        (&[], json!({ "bins": ["app", "tol"] })),
        (&[], json!({ "package": "other" })),
        (&[], json!({ "profile": "debug" })),
        (
            &[],
            json!({ "profile": "small", "features": ["a b"], "target": "--help" }),
        ),
        (&[], json!({ "features": ["a"], "all_features": true })),
        (&[], json!({ "test_arguments": ["--", "x"] })),
        (&[], json!({ "library": true })),
        (&[], json!({ "bins": [] })),
        (&[], json!({ "dependencies": "serde" })),
        (
            &[
                ("app/Cargo.toml", &library),
                ("app/src/main.rs", ""),
                ("app/src/bin/tool.rs", ""),
                ("app/src/lib.rs", "\n"),
            ],
            none.clone(),
        ),
        (
            &[("app/Cargo.toml", &with("[dependencies]\nserde = \"1\"\n"))],
            none.clone(),
        ),
        (
            &[("app/Cargo.toml", &near), ("near/Cargo.toml", LIBRARY)],
            none.clone(),
        ),
        (
            &[("app/Cargo.toml", &near)],
            json!({ "source_path": ".", "manifest": "app/Cargo.toml" }),
        ),
        (&[("app/Cargo.toml", &patched)], none.clone()),
        (
            &[("Cargo.toml", "[workspace]\nmembers = [\"app\"]\n")],
            none.clone(),
        ),
        (
            &[("app/Cargo.toml", &member), ("Cargo.toml", "[workspace]\n")],
            none.clone(),
        ),
        (
            &[
                ("Cargo.toml", "[workspace]\nmembers = [\"app\", \"gone\"]\n"),
                ("Cargo.lock", LOCK),
            ],
            json!({ "source_path": "." }),
        ),
        (
            &[
                ("Cargo.toml", "[workspace]\nmembers = [\"app\", \"two\"]\n"),
                ("Cargo.lock", LOCK),
                ("two/Cargo.toml", LIBRARY),
                ("two/src/bin/tool/main.rs", "\n"),
            ],
            json!({ "source_path": "." }),
        ),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(files, settings)| {
            let told = told(files, settings);
            assert!(!told.is_empty(), "{files:?} {settings}");
            told
        })
        .collect();
    insta::assert_snapshot!(told.concat(), @r#"
    cargo.manifest.missing at `manifest`: there is no `app/Cargo.toml`
        help: set `source_path` to the directory of the package, or `manifest` to the path of its Cargo.toml below it
    cargo.lock.missing in app/Cargo.toml: there is no `app/Cargo.lock`
        help: `cargo generate-lockfile --manifest-path app/Cargo.toml` writes it; it belongs into the repository, so that every build takes the same versions
    cargo.file.malformed in app/Cargo.toml:2:8 (3): `app/Cargo.toml` is not valid TOML: string values must be quoted, expected literal string
    cargo.file.malformed in app/Cargo.lock:1:11 (0): `app/Cargo.lock` is not valid TOML: unclosed array table, expected `]`
    cargo.lock.source in app/Cargo.lock: `app/Cargo.lock` names an unknown source: `ftp://x`
        help: write it anew with `cargo generate-lockfile`
    cargo.file.malformed in app/.cargo/config.toml:1:10 (0): `app/.cargo/config.toml` is not valid TOML: unclosed array, expected `]`
    cargo.configuration.unseen in .cargo/config.toml: `.cargo/config.toml` is above the source directory and plays no part
        help: set `source_path` to the directory that holds it, and `manifest` to the path of Cargo.toml from there
    cargo.manifest.path at `manifest`: `../Cargo.toml` is not below `app`
        help: give the path of a Cargo.toml, relative to `source_path` and below it
    cargo.manifest.path at `manifest`: `Cargo.lock` is no Cargo.toml
        help: give the path of a Cargo.toml, relative to `source_path` and below it
    cargo.bin.unknown at `bins.1`: there is no program `tol`
        help: there are `app`, `tool`
    cargo.package.unknown at `package`: there is no package `other`
        help: there are `app`
    cargo.profile at `profile`: there is no profile `debug`
        help: Cargo calls it `dev`
    cargo.setting.word at `features.0`: "a b" is no name
        help: give one name, without spaces, commas and a leading `-`
    cargo.setting.word at `target`: "--help" is no name
        help: give one name, without spaces, commas and a leading `-`
    cargo.profile at `profile`: there is no profile `small`
        help: there are `bench`, `dev`, `release`, `test`
    cargo.features at `features`: `all_features` and `features` exclude each other
        help: remove one of them
    cargo.tests.off at `test_arguments`: `test_arguments` are given, but no tests run
        help: add `tests = true`
    cargo.library.none in app/Cargo.toml: there is no library that can be used without Cargo
        help: `crate-type = ["cdylib"]` (or "staticlib") below `[lib]` of Cargo.toml makes one
    cargo.nothing in app/Cargo.toml: there is nothing to export: neither a program nor a library of the types `cdylib` and `staticlib`
        help: name the right package in `package`, or check `bins` and `library`
    cargo.dependencies at `dependencies`: `dependencies` names `serde`, but Cargo reads Cargo.toml alone
        help: `cargo add serde` writes it there
    cargo.nothing in app/Cargo.toml: there is nothing to export: neither a program nor a library of the types `cdylib` and `staticlib`
        help: name the right package in `package`, or check `bins` and `library`
    cargo.lock.stale in app/Cargo.toml:5:9 (3): `app/Cargo.toml` depends on `serde`, which `app/Cargo.lock` does not know
        help: `cargo update --workspace` brings Cargo.lock up to date; commit it
    cargo.path.outside in app/Cargo.toml:5:17 (9): the path dependency `../near` of `app/Cargo.toml` leads out of the source directory `app`
        help: set `source_path = "."`, which holds both, and `manifest = "app/Cargo.toml"`
    cargo.manifest.missing in app/Cargo.toml:5:17 (9): there is no `Cargo.toml` in `near`
        help: Cargo looks for a package there: correct the path
    cargo.path.outside in app/Cargo.toml:7:16 (6): the path dependency `/abs` of `app/Cargo.toml` leads out of the source directory `app`
        help: only what is in the project can be built: bring it in, or depend on a version or a repository
    cargo.path.outside in app/Cargo.toml:5:16 (14): the path dependency `../../../far` of `app/Cargo.toml` leads out of the source directory `app`
        help: only what is in the project can be built: bring it in, or depend on a version or a repository
    cargo.workspace.outside at `source_path`: `app/Cargo.toml` belongs to the workspace `Cargo.toml`, which is outside of the source directory `app`
        help: set `source_path` to the directory of the workspace, and `manifest` to the path of `app/Cargo.toml` from there
        help: or have it belong to no workspace: add an empty `[workspace]` to its Cargo.toml
    cargo.workspace.outside at `source_path`: `app/Cargo.toml` belongs to the workspace `..`, which is outside of the source directory `app`
        help: set `source_path` to the directory of the workspace, and `manifest` to the path of `app/Cargo.toml` from there
        help: or have it belong to no workspace: add an empty `[workspace]` to its Cargo.toml
    cargo.manifest.missing in Cargo.toml:2:11 (15): there is no `Cargo.toml` in `gone`
        help: Cargo looks for a package there: correct the path
    cargo.bin.twice at `package`: the packages `app` and `near` both have a program `tool`
        help: name one of the packages in `package`, or make a target for each
    "#);
}

#[test]
fn what_can_be_built_is_not_complained_of() {
    let near = format!("{MANIFEST}[dependencies]\nnear = {{ path = \"../near\" }}\n");
    let cases: &[(Files<'_>, Value)] = &[
        (&[], json!({})),
        (
            &[],
            json!({ "bins": ["tool"], "profile": "dev", "tests": true }),
        ),
        (
            &[("app/Cargo.toml", &near), ("near/Cargo.toml", LIBRARY)],
            json!({ "source_path": ".", "manifest": "app/Cargo.toml" }),
        ),
        (
            &[
                ("Cargo.toml", "[workspace]\nmembers = [\"./a*\"]\n"),
                ("Cargo.lock", LOCK),
            ],
            json!({ "source_path": ".", "package": ["app"] }),
        ),
        (
            &[("Cargo.toml", "[workspace]\nexclude = [\"app\"]\n")],
            json!({}),
        ),
    ];
    for (files, settings) in cases {
        assert_eq!(told(files, settings), "", "{files:?} {settings}");
    }
}

#[test]
fn packages_and_workspaces_are_found_for_init() {
    let workspace: Files<'_> = &[
        ("Cargo.toml", "[workspace]\nmembers = [\"app\"]\n"),
        ("Cargo.lock", LOCK),
    ];
    let library: Files<'_> = &[
        ("app/src/main.rs", ""),
        ("app/src/bin/tool.rs", ""),
        ("app/src/lib.rs", "\n"),
    ];
    for (files, directory, expected) in [
        (&[] as Files<'_>, "app", Some("app: Cargo.toml (app, tool)")),
        (
            &[("app/Cargo.lock", "")],
            "app",
            Some("app: Cargo.toml, without Cargo.lock"),
        ),
        (&[], "app/src", None),
        (workspace, "", Some("app: Cargo.toml (app, tool)")),
        (workspace, "app", None),
        (library, "app", None),
        (&[("app/Cargo.toml", "[package")], "app", None),
    ] {
        let directory = ProjectPath::parse(directory).unwrap();
        let found = CargoTarget.detect(&directory, &project(files));
        let found = found.map(|found| format!("{}: {}", found.name, found.found));
        assert_eq!(found.as_deref(), expected, "{files:?} {directory}");
    }
}
