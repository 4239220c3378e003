//! Archives made by the plugin's native action over real files, read back with the system's own
//! programs: tar, zstd, gzip, unzip and Python's modules.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_types,
    reason = "a test may panic, and looks at archives with other programs"
)]

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use synth_core::testkit::{TestProject, TestRun};
use synth_core::{
    ActionKind, BuildTarget, Diagnostic, InputSource, Native, NativeOutcome, Process,
    ProcessOutcome, ProjectPath, RunContext, TargetSpec,
};
use synth_target_archive::{ArchiveTarget, create_archive_build_target};

/// What one file of a needed target or of the project is.
enum Put<'a> {
    Text(&'a str),
    Program(&'a str),
    Link(&'a str),
    Directory,
}

use Put::{Directory, Link, Program, Text};

/// Everything a hard archive holds: the outputs of `api`.
fn api() -> Vec<(String, Put<'static>)> {
    let deep = format!("{}/file.txt", vec!["a-long-directory-name"; 14].join("/"));
    vec![
        ("zebra".into(), Text("last by name")),
        ("bin/app".into(), Program("#!/bin/sh\nexit 0\n")),
        ("bin/current".into(), Link("app")),
        ("bin.txt".into(), Text("sorts between")),
        ("empty".into(), Directory),
        ("größe/日本語.txt".into(), Text("names in UTF-8")),
        (deep, Text("a path of more than 256 bytes")),
        ("nothing".into(), Text("")),
        ("shared/long".into(), Link(LONG_TARGET)),
    ]
}

const LONG_TARGET: &str = "../a-link-target-that-does-not-fit/into-the-hundred-bytes-of-a-ustar-header/because-it-is-this-long/and/longer";

fn put(directory: &Path, files: &[(String, Put<'_>)]) {
    for (path, what) in files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match what {
            Text(text) => fs::write(path, text).unwrap(),
            Program(text) => {
                fs::write(&path, text).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
            }
            Link(target) => symlink(target, path).unwrap(),
            Directory => fs::create_dir_all(path).unwrap(),
        }
    }
}

fn target() -> TargetSpec {
    create_archive_build_target("release", "src").unwrap()
}

/// Lays out a target's inputs as the engine does, and runs its action.
struct Made {
    run: TestRun,
    native: Native,
    outcome: Result<NativeOutcome, Vec<Diagnostic>>,
}

impl Made {
    fn new(target: &TargetSpec, needs: &[(&str, Vec<(String, Put<'_>)>)]) -> Self {
        let project = project();
        let (run, native) = laid_out(target, &project, needs);
        let outcome = ArchiveTarget.run(&native, &run);
        Self {
            run,
            native,
            outcome,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        assert!(self.outcome.is_ok(), "{:?}", self.outcome);
        self.run.outputs().join("archives").join(name)
    }
}

fn project() -> TestProject {
    let project = TestProject::new().unwrap();
    project.write("src/README.md", "read me").unwrap();
    project.write("src/etc/app.toml", "a = 1").unwrap();
    project.write("src/etc/secret.toml", "b = 2").unwrap();
    project
}

fn laid_out(
    target: &TargetSpec,
    project: &TestProject,
    needs: &[(&str, Vec<(String, Put<'_>)>)],
) -> (TestRun, Native) {
    let plan = ArchiveTarget.plan(target, project).unwrap();
    let [action] = plan.actions.as_slice() else {
        unreachable!("one action")
    };
    let run = TestRun::new().unwrap();
    for input in &action.inputs {
        let at = run.inputs().join(&input.at);
        fs::create_dir_all(&at).unwrap();
        match &input.from {
            InputSource::Source(chosen) => {
                use synth_core::PlanContext;
                for file in project.files(chosen).unwrap() {
                    let from = project.path().join(chosen.root.as_str()).join(&file);
                    fs::create_dir_all(at.join(&file).parent().unwrap()).unwrap();
                    fs::copy(from, at.join(file)).unwrap();
                }
            }
            InputSource::Target { name } => {
                let (_, files) = needs.iter().find(|(need, _)| need == name).unwrap();
                put(&at, files);
            }
            other => unreachable!("{other:?}"),
        }
    }
    let ActionKind::Native(native) = action.kind.clone() else {
        unreachable!("a native action")
    };
    (run, native)
}

/// What a program says; it has to succeed, and to say nothing on standard error.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|error| unreachable!("{program} is not installed: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{program} {arguments:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Long components made short and the directories of that name left out, so that a table fits a
/// page.
fn short(listing: &str) -> String {
    let lines = listing.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.trim_end_matches('/').ends_with("-directory-name"));
    let lines: Vec<&str> = lines.collect();
    lines
        .join("\n")
        .replace("a-long-directory-name/", "a/")
        .replace(LONG_TARGET, "(long)")
}

const TAR_LISTING: &str = "
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    for m in archive:
        owner = f'{m.uid}:{m.gid}:{m.uname}:{m.gname}'
        print(oct(m.mode), owner, int(m.mtime), m.size, m.name, m.linkname)
";

const ZIP_LISTING: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for i in archive.infolist():
        link = archive.read(i).decode() if i.external_attr >> 28 == 0xa else ''
        flag = 'utf8' if i.flag_bits & 0x800 else ''
        print(oct(i.external_attr >> 16), i.create_system, i.date_time, i.file_size, i.filename, link, flag)
";

#[test]
fn a_tar_archive_says_the_same_of_everyone_and_everything() {
    let target = target().need("api").setting("root", "app-1.0/x");
    let made = Made::new(&target, &[("api", api())]);
    let path = made.path("release.tar.gz");
    let listing = said("python3", &["-c", TAR_LISTING, path.to_str().unwrap()]);
    insta::assert_snapshot!(short(&listing), @"
    0o755 0:0:: 315532800 0 app-1.0
    0o755 0:0:: 315532800 0 app-1.0/x
    0o755 0:0:: 315532800 0 app-1.0/x/api
    0o644 0:0:: 315532800 29 app-1.0/x/api/a/a/a/a/a/a/a/a/a/a/a/a/a/a/file.txt
    0o755 0:0:: 315532800 0 app-1.0/x/api/bin
    0o755 0:0:: 315532800 17 app-1.0/x/api/bin/app
    0o777 0:0:: 315532800 0 app-1.0/x/api/bin/current app
    0o644 0:0:: 315532800 13 app-1.0/x/api/bin.txt
    0o755 0:0:: 315532800 0 app-1.0/x/api/empty
    0o755 0:0:: 315532800 0 app-1.0/x/api/größe
    0o644 0:0:: 315532800 14 app-1.0/x/api/größe/日本語.txt
    0o644 0:0:: 315532800 0 app-1.0/x/api/nothing
    0o755 0:0:: 315532800 0 app-1.0/x/api/shared
    0o777 0:0:: 315532800 0 app-1.0/x/api/shared/long (long)
    0o644 0:0:: 315532800 12 app-1.0/x/api/zebra
    ");
}

#[test]
fn a_zip_archive_keeps_modes_links_and_names() {
    let target = target().need("api").setting("format", "zip");
    let made = Made::new(&target, &[("api", api())]);
    let path = made.path("release.zip");
    let listing = said("python3", &["-c", ZIP_LISTING, path.to_str().unwrap()]);
    insta::assert_snapshot!(short(&listing), @"
    0o40755 3 (1980, 1, 1, 0, 0, 0) 0 api/
    0o100644 3 (1980, 1, 1, 0, 0, 0) 29 api/a/a/a/a/a/a/a/a/a/a/a/a/a/a/file.txt
    0o40755 3 (1980, 1, 1, 0, 0, 0) 0 api/bin/
    0o100755 3 (1980, 1, 1, 0, 0, 0) 17 api/bin/app
    0o120777 3 (1980, 1, 1, 0, 0, 0) 3 api/bin/current app
    0o100644 3 (1980, 1, 1, 0, 0, 0) 13 api/bin.txt
    0o40755 3 (1980, 1, 1, 0, 0, 0) 0 api/empty/
    0o40755 3 (1980, 1, 1, 0, 0, 0) 0 api/größe/  utf8
    0o100644 3 (1980, 1, 1, 0, 0, 0) 14 api/größe/日本語.txt  utf8
    0o100644 3 (1980, 1, 1, 0, 0, 0) 0 api/nothing
    0o40755 3 (1980, 1, 1, 0, 0, 0) 0 api/shared/
    0o120777 3 (1980, 1, 1, 0, 0, 0) 110 api/shared/long (long)
    0o100644 3 (1980, 1, 1, 0, 0, 0) 12 api/zebra
    ");
}

/// Unpacks with the system's own program for the format, and compares every file with what was
/// put in.
#[test]
fn the_system_unpacks_every_format_to_what_went_in() {
    let formats = ["tar.gz", "tar.zst", "zip"];
    let target = target()
        .need("api")
        .setting("format", formats.map(ToOwned::to_owned).to_vec())
        .setting("include", vec!["README.md", "etc/**"])
        .setting("exclude", vec!["etc/secret.toml"])
        .setting("name", "app 1.0");
    let made = Made::new(&target, &[("api", api())]);
    for format in formats {
        let archive = made.path(&format!("app 1.0.{format}"));
        let to = tempfile::tempdir().unwrap();
        let (archive, at) = (archive.to_str().unwrap(), to.path().to_str().unwrap());
        match format {
            "zip" => said("unzip", &["-q", archive, "-d", at]),
            _ => said("tar", &["-xf", archive, "-C", at]),
        };
        assert_eq!(
            tree(to.path()),
            tree(&made.run.inputs().join("tree")),
            "{format}"
        );
        assert!(to.path().join("README.md").is_file(), "{format}");
        assert!(!to.path().join("etc/secret.toml").exists(), "{format}");
    }
    said(
        "gzip",
        &["-t", made.path("app 1.0.tar.gz").to_str().unwrap()],
    );
    said(
        "zstd",
        &["-qt", made.path("app 1.0.tar.zst").to_str().unwrap()],
    );
}

/// Every path below a directory, with what is there.
fn tree(directory: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(directory)
        .min_depth(1)
        .sort_by_file_name();
    walk.into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(directory).unwrap().display();
            let kind = entry.file_type();
            if kind.is_symlink() {
                format!(
                    "{path} -> {}",
                    fs::read_link(entry.path()).unwrap().display()
                )
            } else if kind.is_dir() {
                format!("{path}/")
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                format!("{path} {executable} {text}")
            }
        })
        .collect()
}

#[test]
fn the_bytes_follow_from_the_contents_alone() {
    let formats = vec!["tar.gz", "tar.zst", "zip"];
    let target = target().need("api").setting("format", formats.clone());
    let mut reversed = api();
    reversed.reverse();
    let [one, other] = [api(), reversed].map(|files| Made::new(&target, &[("api", files)]));
    for format in formats {
        let name = format!("release.{format}");
        let [one, other] = [&one, &other].map(|made| fs::read(made.path(&name)).unwrap());
        assert!(one == other, "{format}");
    }
}

#[test]
fn a_gzip_header_tells_no_name_no_time_and_no_system() {
    let made = Made::new(&target().need("api"), &[("api", api())]);
    let bytes = fs::read(made.path("release.tar.gz")).unwrap();
    // RFC 1952, 2.3: magic, method, flags, time, extra flags (2: smallest), system.
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
}

#[test]
fn the_time_is_the_users_if_there_is_one() {
    let target = target()
        .need("api")
        .variable("SOURCE_DATE_EPOCH", "1700000000")
        .setting("format", vec!["tar.gz", "zip"]);
    let made = Made::new(&target, &[("api", vec![("a".into(), Text("a"))])]);
    for (listing, format, time) in [
        (TAR_LISTING, "tar.gz", " 1700000000 "),
        (ZIP_LISTING, "zip", " (2023, 11, 14, 22, 13, 20) "),
    ] {
        let path = made.path(&format!("release.{format}"));
        let listed = said("python3", &["-c", listing, path.to_str().unwrap()]);
        assert!(
            listed.lines().all(|line| line.contains(time)),
            "{format}: {listed}"
        );
    }
}

#[test]
fn every_level_of_every_format_is_read_back() {
    for (format, levels) in [("tar.gz", 0..=9), ("zip", 0..=9), ("tar.zst", 1..=22)] {
        for level in levels {
            let target = target()
                .need("api")
                .setting("format", format)
                .setting("level", level);
            let made = Made::new(&target, &[("api", api())]);
            let path = made.path(&format!("release.{format}"));
            let path = path.to_str().unwrap();
            match format {
                "zip" => said("unzip", &["-tq", path]),
                _ => said("tar", &["-tf", path]),
            };
        }
    }
}

#[test]
fn attributes_tell_what_is_inside() {
    let files = vec![("a".into(), Text("1234")), ("b/c".into(), Text("56"))];
    let made = Made::new(&target().need("api"), &[("api", files)]);
    insta::assert_json_snapshot!(made.outcome.unwrap().attributes, @r#"
    {
      "archive.tar.gz": {
        "entries": "4",
        "uncompressed_size": "6"
      }
    }
    "#);
    insta::assert_snapshot!(made.run.log_lines()[0].split(" in ").next().unwrap(), @"release.tar.gz: 4 entries, 6 bytes");
}

#[test]
fn needs_go_where_the_layout_says() {
    let target = target().need("api").need("web").need("docs").setting(
        "layout",
        serde_json::json!({ "api": "lib/api/", "web": ".", "docs": "./lib" }),
    );
    let one = |text| vec![(format!("{text}.txt"), Text(text))];
    let made = Made::new(
        &target,
        &[
            ("api", one("api")),
            ("web", one("web")),
            ("docs", one("docs")),
        ],
    );
    let listing = said(
        "tar",
        &["-tf", made.path("release.tar.gz").to_str().unwrap()],
    );
    insta::assert_snapshot!(listing, @"
    lib/
    lib/api/
    lib/api/api.txt
    lib/docs.txt
    web.txt
    ");
}

#[test]
fn nothing_but_directories_is_nothing_to_archive() {
    let made = Made::new(
        &target().need("api"),
        &[("api", vec![("a".into(), Directory)])],
    );
    assert_eq!(made.outcome.unwrap_err()[0].code, "archive.empty");
}

#[test]
fn links_that_lead_out_are_kept_and_told() {
    let files = vec![("a".into(), Link("../../b")), ("c".into(), Text("c"))];
    let made = Made::new(&target().need("api"), &[("api", files)]);
    let outcome = made.outcome.unwrap();
    let messages: Vec<&str> = outcome
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["the symbolic link `api/a` leads out of the archive"]
    );
}

/// Says after a few questions that the work is to stop.
struct Stopping {
    run: TestRun,
    questions: Cell<u32>,
}

impl RunContext for Stopping {
    fn inputs(&self) -> &Path {
        self.run.inputs()
    }

    fn outputs(&self) -> &Path {
        self.run.outputs()
    }

    fn scratch(&self) -> &Path {
        self.run.scratch()
    }

    fn log(&self, line: &str) {
        self.run.log(line);
    }

    fn progress(&self, _message: &str) {}

    fn is_cancelled(&self) -> bool {
        self.questions.set(self.questions.get() + 1);
        true
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        self.run.run(process)
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    for format in ["tar.gz", "tar.zst", "zip"] {
        let target = target().need("api").setting("format", format);
        let (run, native) = laid_out(&target, &project(), &[("api", api())]);
        let run = Stopping {
            run,
            questions: Cell::new(0),
        };
        let problems = ArchiveTarget.run(&native, &run).unwrap_err();
        assert_eq!(problems[0].code, "archive.cancelled", "{format}");
        assert_eq!(run.questions.get(), 1, "{format}: asked again after a yes");
    }
}

#[test]
fn a_function_it_does_not_know_is_no_panic() {
    let made = Made::new(&target().need("api"), &[("api", api())]);
    let unknown = ArchiveTarget.run(&Native::new("unpack"), &made.run);
    assert_eq!(unknown.unwrap_err()[0].code, "archive.run.unknown");
    let mut native = made.native;
    native.parameters = serde_json::json!({ "name": 1 });
    let wrong = ArchiveTarget.run(&native, &made.run);
    assert_eq!(wrong.unwrap_err()[0].code, "archive.run.parameters");
    assert_eq!(ProjectPath::parse("src").unwrap(), target().source_path);
}
