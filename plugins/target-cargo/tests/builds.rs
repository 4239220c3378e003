//! Real builds with the Cargo that is installed, through the test kit: what is exported, that it
//! is the same bytes wherever it is built, and what users are told when it fails.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use serde_json::Value;
use synth_core::testkit::{Built, Failed, TestPipeline};
use synth_core::{Diagnostic, Place, ProjectPath, TargetSpec};
use synth_target_cargo::CargoTarget;

const MANIFEST: &str = r#"[package]
name = "app"
version = "1.2.3"
edition = "2024"
"#;

const MAIN: &str = r#"fn main() {
    let count = std::env::args().count();
    assert!(count < 9, "{count} in {}", file!());
    println!("{count}");
}
"#;

const ITOA: &str = r#"
[[package]]
name = "itoa"
version = "1.0.19"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "3bd1574e617a9a6c1f8f8181bd7e841e1f20e4277607ef28945765188d6284d4"
"#;

/// A lock file: packages of the project, as `name version: dependency, dependency`.
fn lock(packages: &[&str], others: &str) -> String {
    let mut lock = "version = 4\n".to_owned();
    for package in packages {
        let (package, dependencies) = package.split_once(':').unwrap_or((package, ""));
        let (name, version) = package.split_once(' ').unwrap();
        lock += &format!("\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        if !dependencies.is_empty() {
            let listed: Vec<String> = dependencies
                .split(',')
                .map(|name| format!("\"{}\"", name.trim()))
                .collect();
            lock += &format!("dependencies = [{}]\n", listed.join(", "));
        }
    }
    lock + others
}

/// A project whose files can be replaced, which those of a pipeline can't.
#[derive(Clone)]
struct Project {
    files: BTreeMap<String, String>,
    target: TargetSpec,
}

impl Project {
    fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            target: TargetSpec::new("app", "cargo", ProjectPath::root()),
        }
    }

    fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    fn setting(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.target = self.target.setting(key, value);
        self
    }

    /// It sees where this user's Cargo keeps what it downloads, as a real pipeline does.
    fn pipeline(&self) -> TestPipeline {
        let names = [
            "HOME",
            "CARGO_HOME",
            "HTTPS_PROXY",
            "https_proxy",
            "SSL_CERT_FILE",
        ];
        let set = names
            .into_iter()
            .filter_map(|name| Some((name, std::env::var(name).ok()?)));
        let pipeline = TestPipeline::new(CargoTarget).target(self.target.clone());
        let pipeline = set.fold(pipeline, |pipeline, (name, value)| {
            pipeline.user_variable(name, &value)
        });
        let files = self.files.iter();
        files.fold(pipeline, |pipeline, (path, text)| pipeline.file(path, text))
    }
}

fn app() -> Project {
    Project::new()
        .file("Cargo.toml", MANIFEST)
        .file("Cargo.lock", lock(&["app 1.2.3"], ""))
        .file("src/main.rs", MAIN)
}

fn with_itoa() -> Project {
    Project::new()
        .file(
            "Cargo.toml",
            format!("{MANIFEST}[dependencies]\nitoa = \"1\"\n"),
        )
        .file("Cargo.lock", lock(&["app 1.2.3: itoa"], ITOA))
        .file(
            "src/main.rs",
            "fn main() {\n    print!(\"{}\", itoa::Buffer::new().format(std::process::id()));\n}\n",
        )
}

fn built(pipeline: &TestPipeline) -> Built {
    pipeline
        .build()
        .unwrap_or_else(|failed| unreachable!("{failed}"))
}

fn failed(pipeline: &TestPipeline) -> Failed {
    pipeline.build().unwrap_err()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Builds twice, in two directories of their own, and compares. The kit names its directories, and
/// their name is nowhere in what was built.
fn assert_reproducible(pipeline: &TestPipeline) -> Built {
    let [one, other] = [built(pipeline), built(pipeline)];
    assert_eq!(one.outputs.paths(), other.outputs.paths());
    for path in one.outputs.paths() {
        let [one, other] = [&one, &other].map(|built| built.outputs.file(path).unwrap());
        assert!(one == other, "{path} differs");
        assert!(
            !contains(one, "synth-testkit"),
            "{path} tells where it was built"
        );
        for home in ["/.rustup/", "/.cargo/"] {
            assert!(!contains(one, home), "{path} tells of {home}");
        }
    }
    one
}

fn artifacts(built: &Built) -> Vec<String> {
    let artifacts = built.artifacts.iter();
    artifacts
        .map(|artifact| {
            let attributes = artifact.attributes.iter();
            let attributes: Vec<String> = attributes
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            format!(
                "{} {}: {}",
                artifact.kind,
                artifact.path,
                attributes.join("; ")
            )
        })
        .collect()
}

fn told(problem: &Diagnostic) -> String {
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
    let causes = problem
        .causes
        .iter()
        .map(|cause| format!("\n    because {cause}"));
    let help = problem
        .help
        .iter()
        .map(|help| format!("\n    help: {help}"));
    format!(
        "{}{place}: {}{}",
        problem.code,
        problem.message,
        causes.chain(help).collect::<String>()
    )
}

fn all_told(problems: &[Diagnostic]) -> String {
    problems.iter().map(told).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_program_is_an_artifact_and_has_the_same_bytes_anywhere() {
    let built = assert_reproducible(&app().pipeline());
    assert_eq!(
        artifacts(&built),
        ["cargo.binary app: name app; version 1.2.3"]
    );
    assert!(built.outputs.is_executable("app"));
    assert!(contains(built.outputs.file("app").unwrap(), "src/main.rs"));
}

#[test]
fn dependencies_are_fetched_in_a_step_of_their_own() {
    let built = assert_reproducible(&with_itoa().pipeline());
    let steps: Vec<String> = built
        .plan
        .actions
        .iter()
        .map(|action| format!("{} {:?}", action.id, action.network))
        .collect();
    assert_eq!(steps, ["install Allowed", "build None"]);
    assert_eq!(
        artifacts(&built),
        ["cargo.binary app: name app; version 1.2.3"]
    );
}

#[test]
fn editing_a_source_does_not_fetch_again() {
    let install = |project: &Project| {
        let plan = project.pipeline().plan().unwrap();
        plan.actions
            .into_iter()
            .find(|action| action.id == "install")
            .unwrap()
    };
    let edited = with_itoa().file("src/main.rs", "fn main() {}\n");
    assert_eq!(install(&with_itoa()), install(&edited));
    let another = with_itoa().file("src/bin/other.rs", "fn main() {}\n");
    assert_ne!(install(&with_itoa()), install(&another));
}

#[test]
fn libraries_are_exported_where_they_are_wanted() {
    let library = |settings: &[(&str, serde_json::Value)]| {
        let pipeline = app()
            .file(
                "Cargo.toml",
                format!("{MANIFEST}[lib]\nname = \"answer\"\ncrate-type = [\"cdylib\", \"staticlib\", \"rlib\"]\n"),
            )
            .file("src/lib.rs", "#[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> u32 {\n    42\n}\n");
        let with = settings.iter().fold(pipeline, |pipeline, (key, value)| {
            pipeline.setting(key, value.clone())
        });
        assert_reproducible(&with.pipeline())
    };
    for (settings, expected) in [
        (vec![], vec!["app"]),
        (
            vec![("library", true.into())],
            vec!["app", "libanswer.a", "libanswer.so"],
        ),
        (
            vec![("bins", serde_json::json!([]))],
            vec!["libanswer.a", "libanswer.so"],
        ),
    ] {
        let built = library(&settings);
        assert_eq!(built.outputs.paths(), expected, "{settings:?}");
        assert_eq!(built.artifacts.len(), expected.len(), "{settings:?}");
    }
}

/// `app` and `../lib` share no workspace, so Cargo tells them apart by absolute paths.
#[test]
fn packages_outside_of_a_workspace_have_the_same_bytes_anywhere() {
    let pipeline = Project::new()
        .setting("manifest", "app/Cargo.toml")
        .file(
            "app/Cargo.toml",
            format!("{MANIFEST}[dependencies]\nnear = {{ path = \"../near\" }}\nitoa = \"1\"\n"),
        )
        .file(
            "app/Cargo.lock",
            lock(&["app 1.2.3: itoa, near", "near 0.1.0"], ITOA),
        )
        .file(
            "app/src/main.rs",
            "fn main() {\n    print!(\"{}{}\", near::NAME, itoa::Buffer::new().format(near::odd(std::process::id())));\n}\n",
        )
        .file(
            "near/Cargo.toml",
            "[package]\nname = \"near\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )
        .file("near/build.rs", WRITES_CODE)
        .file(
            "near/src/lib.rs",
            "include!(concat!(env!(\"OUT_DIR\"), \"/name.rs\"));\npub fn odd(number: u32) -> u32 {\n    assert!(number != 7, \"seven\");\n    number\n}\n",
        );
    let built = assert_reproducible(&pipeline.pipeline());
    assert_eq!(built.outputs.paths(), ["app"]);
}

/// As `app` before, with a package that leaves things to a workspace which `app` is no part of.
#[test]
fn a_package_of_another_workspace_is_built_with_that() {
    let project = Project::new()
        .setting("manifest", "app/Cargo.toml")
        .file(
            "Cargo.toml",
            "[workspace]\nmembers = [\"near\"]\nexclude = [\"app\"]\npackage.edition = \"2024\"\n[workspace.dependencies]\nfar = { path = \"far\" }\nunused = { path = \"nowhere\" }\n",
        )
        .file(
            "app/Cargo.toml",
            format!("{MANIFEST}[dependencies]\nnear = {{ path = \"../near\" }}\n"),
        )
        .file(
            "app/Cargo.lock",
            lock(&["app 1.2.3: near", "far 0.1.0", "near 0.1.0: far"], ""),
        )
        .file("app/src/main.rs", "fn main() {\n    println!(\"{}\", near::NAME);\n}\n")
        .file(
            "near/Cargo.toml",
            "[package]\nname = \"near\"\nversion = \"0.1.0\"\nedition.workspace = true\n[dependencies]\nfar.workspace = true\n",
        )
        .file("near/src/lib.rs", "pub use far::NAME;\n")
        .file(
            "far/Cargo.toml",
            "[package]\nname = \"far\"\nversion = \"0.1.0\"\nedition.workspace = true\n",
        )
        .file("far/src/lib.rs", "pub const NAME: &str = \"far\";\n");
    assert_reproducible(&project.pipeline());
}

const WRITES_CODE: &str = r#"fn main() {
    let name = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("name.rs");
    std::fs::write(name, "pub const NAME: &str = { assert!(line!() == 1); file!() };").unwrap();
}
"#;

fn workspace() -> Project {
    let member = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion.workspace = true\nedition = \"2024\"\n")
    };
    Project::new()
        .file(
            "Cargo.toml",
            "[workspace]\nmembers = [\"crates/*\"]\nexclude = [\"crates/apart\"]\nresolver = \"3\"\npackage.version = \"0.4.0\"\n[profile.small]\ninherits = \"release\"\nopt-level = \"z\"\n",
        )
        .file("Cargo.lock", lock(&["one 0.4.0", "two 0.4.0: one"], ""))
        .file("crates/one/Cargo.toml", member("one"))
        .file("crates/one/src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n")
        .file("crates/one/src/bin/first.rs", "fn main() {}\n")
        .file("crates/one/src/bin/second/main.rs", "fn main() {}\n")
        .file("crates/two/Cargo.toml", member("two") + "[dependencies]\none = { path = \"../one\" }\n")
        .file("crates/two/src/main.rs", "fn main() {\n    println!(\"{}\", one::one());\n}\n")
        .file("crates/apart/Cargo.toml", member("apart"))
}

#[test]
fn a_workspace_is_built_whole_or_in_part() {
    for (settings, expected) in [
        (vec![], vec!["first", "second", "two"]),
        (vec![("package", "two".into())], vec!["two"]),
        (
            vec![("manifest", "crates/two/Cargo.toml".into())],
            vec!["two"],
        ),
        (
            vec![
                ("bins", serde_json::json!(["second"])),
                ("profile", "small".into()),
            ],
            vec!["second"],
        ),
        (
            vec![
                ("package", serde_json::json!(["one", "two"])),
                ("profile", "dev".into()),
            ],
            vec!["first", "second", "two"],
        ),
    ] {
        let pipeline = settings.iter().fold(workspace(), |pipeline, (key, value)| {
            pipeline.setting(key, value.clone())
        });
        let built = assert_reproducible(&pipeline.pipeline());
        assert_eq!(built.outputs.paths(), expected, "{settings:?}");
    }
    let all = built(&workspace().pipeline());
    assert_eq!(
        artifacts(&all)[0],
        "cargo.binary first: name one, two; version 0.4.0, 0.4.0"
    );
}

#[test]
fn vendored_packages_need_no_step_and_no_network() {
    let checksums = r#"{"files":{},"package":"3bd1574e617a9a6c1f8f8181bd7e841e1f20e4277607ef28945765188d6284d4"}"#;
    let pipeline = with_itoa()
        .file(
            ".cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\ndirectory = \"third-party\"\n[build]\nrustflags = [\"--cfg\", \"from_configuration\"]\n",
        )
        .file("third-party/itoa/.cargo-checksum.json", checksums)
        .file(
            "third-party/itoa/Cargo.toml",
            "[package]\nname = \"itoa\"\nversion = \"1.0.19\"\nedition = \"2021\"\n",
        )
        .file(
            "third-party/itoa/src/lib.rs",
            "pub struct Buffer;\nimpl Buffer {\n    pub fn new() -> Self {\n        Self\n    }\n    pub fn format(&self, _: u32) -> &'static str {\n        \"vendored here\"\n    }\n}\n",
        )
        .file(
            "src/lib.rs",
            "#[cfg(not(from_configuration))]\ncompile_error!(\"the project's own flags are gone\");\n",
        );
    let built = assert_reproducible(&pipeline.pipeline());
    assert_eq!(built.plan.actions.len(), 1);
    assert!(contains(
        built.outputs.file("app").unwrap(),
        "vendored here"
    ));
}

#[test]
fn what_a_target_needs_is_there_for_build_scripts() {
    let pipeline = app()
        .file(
            "build.rs",
            "fn main() {\n    let path = std::env::var(\"SYNTH_OUT_MY_API\").unwrap() + \"/api.json\";\n    println!(\"cargo::rustc-env=API={}\", std::fs::read_to_string(path).unwrap());\n}\n",
        )
        .file("src/main.rs", "fn main() {\n    println!(env!(\"API\"));\n}\n")
        .pipeline()
        .needed("my-api", [("api.json", "the interface")]);
    let built = assert_reproducible(&pipeline);
    assert!(contains(
        built.outputs.file("app").unwrap(),
        "the interface"
    ));
}

#[test]
fn tests_run_after_the_build() {
    let tested = |condition: &str| {
        app()
            .file(
                "src/main.rs",
                format!("{MAIN}\n#[cfg(test)]\nmod tests {{\n    #[test]\n    fn holds() {{\n        assert!({condition});\n    }}\n}}\n"),
            )
            .setting("tests", true)
    };
    let built = built(&tested("true").pipeline());
    assert!(
        built
            .log
            .iter()
            .any(|line| line.contains("test tests::holds ... ok"))
    );
    let problems = failed(&tested("1 + 1 == 3").pipeline()).diagnostics;
    insta::assert_snapshot!(all_told(&problems), @"
    cargo.test.failed: 1 test failed
        because `tests::holds` failed
        help: the log of the action has what they said
    ");
    let built = self::built(
        &tested("1 + 1 == 3")
            .setting("test_arguments", vec!["--", "--skip=holds"])
            .pipeline(),
    );
    assert_eq!(built.outputs.paths(), ["app"]);
}

#[test]
fn what_does_not_compile_is_told_at_its_place() {
    let target = TargetSpec::new("app", "cargo", ProjectPath::parse("server").unwrap());
    let pipeline = TestPipeline::new(CargoTarget)
        .target(target.setting("tests", true))
        .file("server/Cargo.toml", MANIFEST)
        .file("server/Cargo.lock", lock(&["app 1.2.3"], ""))
        .file(
            "server/src/main.rs",
            "fn main() {\n    let größe = 1;\n    println!(\"{}\", groesse);\n    nothing();\n}\n",
        );
    insta::assert_snapshot!(all_told(&failed(&pipeline).diagnostics), @"
    cargo.compile in server/src/main.rs:3:20 (7): cannot find value `groesse` in this scope (E0425)
    cargo.compile in server/src/main.rs:4:5 (7): cannot find function `nothing` in this scope (E0425)
    ");
}

#[test]
fn what_cargo_refuses_is_told_in_its_words() {
    let cases = [
        app().file("Cargo.toml", format!("{MANIFEST}[dependencies]\nitoa = \"1\"\n")),
        app().setting("features", vec!["tls"]),
        app().file("Cargo.toml", format!("{MANIFEST}[features]\nextra = []\n[[bin]]\nname = \"app\"\npath = \"src/main.rs\"\nrequired-features = [\"extra\"]\n")),
        app().setting("target", "riscv64gc-unknown-linux-gnu"),
        with_itoa().file("Cargo.lock", lock(&["app 1.2.3: itoa"], &ITOA.replace("3bd1", "0000"))),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|project| all_told(&failed(&project.pipeline()).diagnostics))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    cargo.lock.stale in Cargo.toml:6:8 (3): `Cargo.toml` depends on `itoa`, which `Cargo.lock` does not know
        help: `cargo update --workspace` brings Cargo.lock up to date; commit it
    cargo.build.failed: `cargo build` failed with exit code 101
        because the package 'app' does not contain this feature: tls
    cargo.build.nothing: `cargo build` made none of the programs and libraries that are exported
        help: those with `required-features` are left out unless `features` names these
    cargo.compile in src/main.rs:1:1 (0): can't find crate for `std` (E0463)
        because the `riscv64gc-unknown-linux-gnu` target may not be installed
        help: consider downloading the target with `rustup target add riscv64gc-unknown-linux-gnu`
    cargo.install.failed: `cargo vendor` failed with exit code 101
        because failed to sync
        because failed to load lockfile for .
        because checksum for `itoa v1.0.19` changed between lock files
        because this could be indicative of a few possible errors:
    ");
}
