//! Which toolchain is taken: what rustup's stand-ins and the compilers of distributions are asked.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;

use synth_core::testkit::TestProject;
use synth_core::{
    BuildTarget, Digest, FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, TargetSpec,
    Tool, ToolError, ToolRequest,
};
use synth_target_cargo::{CargoTarget, create_cargo_build_target};

/// The one toolchain that the machine has.
const INSTALLED: &str = "/rustup/toolchains/1.95.0";

/// A machine with or without rustup, that remembers what its tools were asked.
struct Machine {
    project: TestProject,
    has_rustup: bool,
    asked: RefCell<Vec<String>>,
}

impl Machine {
    fn new(has_rustup: bool, files: &[(&str, &str)]) -> Self {
        let project = TestProject::new().unwrap();
        for (path, text) in [
            (
                "app/Cargo.toml",
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\n",
            ),
            (
                "app/Cargo.lock",
                "[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n",
            ),
            ("app/src/main.rs", ""),
        ] {
            project.write(path, text).unwrap();
        }
        for (path, text) in files {
            project.write(path, text).unwrap();
        }
        Self {
            project,
            has_rustup,
            asked: RefCell::default(),
        }
    }

    /// What planning asks of tools, one question a line, and what it answers.
    fn plan(&self, target: &TargetSpec) -> String {
        let answer = match CargoTarget.plan(target, self) {
            Ok(plan) => {
                let tools = plan.actions[0].tools.iter();
                tools
                    .map(|tool| format!("= {}\n", tool.path.display()))
                    .collect()
            }
            Err(problems) => format!("! {}: {:?}\n", problems[0].message, problems[0].help),
        };
        self.asked.borrow().concat() + &answer
    }
}

impl PlanContext for Machine {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        self.project.read(path)
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        self.project.kind(path)
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.project.files(files)
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let arguments = request.version_arguments.join(" ");
        let line = format!("{} {arguments}", request.program);
        self.asked.borrow_mut().push(format!("{}\n", line.trim()));
        let missing = || ToolError::Missing {
            program: request.program.clone(),
        };
        let chosen = request
            .version_arguments
            .first()
            .and_then(|first| first.strip_prefix('+'));
        let (path, file) = match request.program.as_str() {
            "rustup" | "rustc" | "cargo" if self.has_rustup => {
                if chosen.is_some_and(|name| !INSTALLED.ends_with(name)) {
                    return Err(ToolError::Broken {
                        program: request.program.clone(),
                        reason: "toolchain is not installed".into(),
                    });
                }
                (format!("/home/.cargo/bin/{}", request.program), '1')
            }
            "rustc" | "cargo" => {
                assert_eq!(chosen, None, "a compiler was asked for a toolchain");
                (format!("/usr/bin/{}", request.program), '2')
            }
            inside if inside.starts_with(if self.has_rustup { INSTALLED } else { "/usr/" }) => {
                (inside.to_owned(), '3')
            }
            _ => return Err(missing()),
        };
        Ok(Tool {
            name: request.name.clone(),
            path: path.into(),
            version_output: if self.has_rustup { INSTALLED } else { "/usr" }.into(),
            digest: Digest::new(file.to_string().repeat(64), 1).unwrap(),
        })
    }
}

fn app() -> TargetSpec {
    create_cargo_build_target("app", "app").unwrap()
}

#[test]
fn the_real_programs_are_found_behind_the_stand_ins() {
    insta::assert_snapshot!(Machine::new(true, &[]).plan(&app()), @"
    rustc --print sysroot
    /rustup/toolchains/1.95.0/bin/cargo --version --verbose
    /rustup/toolchains/1.95.0/bin/rustc --version --verbose
    cc --version
    = /rustup/toolchains/1.95.0/bin/cargo
    = /rustup/toolchains/1.95.0/bin/rustc
    ");
    insta::assert_snapshot!(Machine::new(false, &[]).plan(&app()), @"
    rustc --print sysroot
    /usr/bin/cargo --version --verbose
    /usr/bin/rustc --version --verbose
    cc --version
    = /usr/bin/cargo
    = /usr/bin/rustc
    ");
}

#[test]
fn a_toolchain_may_be_chosen_by_setting_variable_or_file() {
    let none: &[(&str, &str)] = &[];
    let file = "[toolchain]\nchannel = \"1.95.0\"\n";
    let cases = [
        (none, app().setting("toolchain", "1.95.0")),
        (none, app().variable("RUSTUP_TOOLCHAIN", "1.95.0")),
        (&[("app/rust-toolchain.toml", file)], app()),
        (&[("rust-toolchain", "1.95.0\n")], app()),
        (&[("rust-toolchain", file)], app()),
    ];
    for (files, target) in cases {
        let asked = Machine::new(true, files).plan(&target);
        assert!(asked.contains("rustc +1.95.0 --print sysroot\n"), "{asked}");
        assert!(
            asked.contains("= /rustup/toolchains/1.95.0/bin/cargo\n"),
            "{asked}"
        );
    }
}

#[test]
fn a_toolchain_that_is_not_there_is_told() {
    let other = "[toolchain]\nchannel = \"1.80.0\"\n";
    let said = |has_rustup, files: &[(&str, &str)], target: &TargetSpec| {
        let asked = Machine::new(has_rustup, files).plan(target);
        asked.lines().last().unwrap().to_owned()
    };
    let file: &[(&str, &str)] = &[("app/rust-toolchain.toml", other)];
    insta::assert_snapshot!(said(true, file, &app()), @r#"! the toolchain `1.80.0` can't be used: ["`rustup toolchain install 1.80.0`"]"#);
    insta::assert_snapshot!(said(false, &[], &app().setting("toolchain", "1.80.0")), @r#"! the toolchain `1.80.0` is asked for, but the `rustc` on the PATH is not rustup's: ["install rustup (https://rustup.rs), or leave `toolchain` out"]"#);
    // Cargo without rustup does not read the file either.
    insta::assert_snapshot!(said(false, file, &app()), @"= /usr/bin/rustc");
}
