//! Where plugins come from: crates that were just written, repositories, the registry, addresses,
//! and what is refused of them.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use super::{greeting, installed, libraries, library, sha256, user_directory, workspace};
use crate::workspace::{Workspace, assert_run, repository};

#[test]
fn a_crate_is_written_with_a_name_that_a_kind_can_have() {
    let workspace = workspace();
    assert_run!(workspace.synth(["plugin", "new", "my-kind", "--path", "kinds/mine"]), @"
    exit code: 0
    ----- stdout -----
    wrote synth-target-my-kind to kinds/mine
    next: `cargo test` in it, then `synth plugin install --path kinds/mine`
    ");
    let mut files = workspace.files("kinds/mine");
    files.retain(|file| file != "Cargo.lock");
    assert_eq!(
        files,
        [
            ".gitignore",
            "Cargo.toml",
            "README.md",
            "src/lib.rs",
            "synth-target.json",
            "tests/my_kind.rs"
        ]
    );
    assert_run!(workspace.synth(["plugin", "new", "other", "--path", "kinds/mine"]), @"
    exit code: 2
    ----- stderr -----
    error[plugin.new.exists]: the directory `kinds/mine` is not empty
     |
     = help: choose another one with `--path DIR`
    ");
    assert_run!(workspace.synth(["plugin", "new", "Greet"]), @"
    exit code: 2
    ----- stderr -----
    error[plugin.new.name]: `Greet` can't be the name of a target kind: it does not begin with a lower-case letter
     |
     = help: choose a word such as `greet` or `my-site`
    ");
    assert_run!(workspace.synth(["plugin", "new", "../greet"]), @"
    exit code: 2
    ----- stderr -----
    error[plugin.new.name]: `../greet` can't be the name of a target kind: it does not begin with a lower-case letter
     |
     = help: choose a word such as `greet` or `my-site`
    ");
    assert_run!(workspace.synth(["plugin", "new", "greet", "--core", "kinds"]), @"
    exit code: 2
    ----- stderr -----
    error[plugin.new.core]: `kinds` is not the directory of synth-core
     |
     = help: name the directory `crates/core` of synth's sources
    ");
    assert_run!(workspace.synth(["plugin", "new", "docker"]), @r#"
    exit code: 0
    ----- stdout -----
    wrote synth-target-docker to docker
    next: `cargo test` in it, then `synth plugin install --path docker`
    ----- stderr -----
    warning[plugin.new.built_in]: synth brings a kind `docker` itself
     |
     = help: a pipeline that is to use this one says so in synth.toml, below `[plugins]`: `docker = "^0.1"`
    "#);
}

#[test]
fn a_crate_that_was_just_written_passes_its_tests() {
    let workspace = workspace();
    workspace.synth(["plugin", "new", "my-kind"]).succeeded();
    let description = workspace.read("my-kind/synth-target.json");
    workspace.run(
        "sh",
        [
            "-euc",
            "cd my-kind && cargo fmt --check && cargo test --quiet",
        ],
    );
    assert_eq!(workspace.read("my-kind/synth-target.json"), description);
}

#[test]
fn what_is_no_plugin_is_not_installed() {
    let workspace = workspace();
    let page = "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>";
    workspace.write("web/index.html", page);
    let site = "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n";
    workspace.write("synth.toml", site);
    workspace.write("libnothing.so", "no library");
    workspace.write("empty/readme", "");
    workspace.write(
        "crate/Cargo.toml",
        "[package]\nname = \"other\"\nversion = \"0.1.0\"\n[workspace]\n",
    );
    workspace.write("crate/src/lib.rs", "");
    let wrong = "0".repeat(64);
    let greet = library().to_str().unwrap();
    for (arguments, code) in [
        (vec!["./libnothing.so"], "plugin.not_a_library"),
        (vec!["./libmissing.so"], "plugin.unreadable"),
        (vec!["./empty"], "plugin.directory"),
        (vec!["--path", "empty"], "plugin.crate.missing"),
        (vec!["--path", "crate"], "plugin.crate.other"),
        (
            vec!["--path", "crate", "--package", "x"],
            "plugin.crate.unknown",
        ),
        (vec![greet, "--sha256", &wrong], "plugin.digest"),
        (vec![greet, "--sha256", "abc"], "plugin.sha256"),
        (vec![greet, "--locked"], "plugin.unpinned"),
        (vec!["https://example.invalid/lib.so"], "plugin.sha256"),
        (
            vec![
                "https://example.invalid/lib.so",
                "--sha256",
                &wrong,
                "--offline",
            ],
            "plugin.offline",
        ),
        (
            vec!["--git", "https://example.invalid/x", "--offline"],
            "plugin.offline",
        ),
        (
            vec!["no-such-crate-at-all", "--offline"],
            "plugin.crate.not_found",
        ),
        (vec!["a b"], "plugin.crate.name"),
        (vec!["greet@latest"], "plugin.crate.version"),
        (vec![], "plugin.nothing"),
    ] {
        let run = workspace.synth([vec!["plugin", "install"], arguments.clone()].concat());
        let told = run.to_string();
        assert!(
            told.contains(&format!("error[{code}]")),
            "{arguments:?}: {told}"
        );
        assert!(!run.output.status.success(), "{arguments:?}");
    }
    assert_eq!(libraries(&user_directory(&workspace)), [] as [PathBuf; 0]);
    let cache = workspace.beside("cache/synth");
    let left = fs::read_dir(cache).into_iter().flatten();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("plugin-")),
        "{left:?}"
    );
}

/// Answers one request after the other with these statuses and bodies, and gives the address.
fn serve(answers: Vec<(u16, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // A client that goes away has what it wanted.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body));
        }
    });
    address
}

#[test]
fn a_library_is_downloaded_with_its_digest() {
    let bytes = fs::read(library()).unwrap();
    let digest = sha256(library());
    let workspace = greeting();
    let download = |answers: Vec<(u16, Vec<u8>)>| {
        let url = format!("{}/libgreet.so", serve(answers));
        let run = workspace.synth(["plugin", "install", &url, "--sha256", &digest]);
        (run, url)
    };
    let (missing, _) = download(vec![(404, Vec::new())]);
    assert!(
        missing
            .to_string()
            .contains("the server answered with status 404"),
        "{missing}"
    );
    let (other, _) = download(vec![(200, b"another library".to_vec())]);
    assert!(
        other.to_string().contains("error[plugin.digest]"),
        "{other}"
    );
    assert_eq!(libraries(&user_directory(&workspace)), [] as [PathBuf; 0]);
    // The server's own faults may pass, and a body that breaks off is asked for again.
    let (installed, url) = download(vec![(503, Vec::new()), (200, bytes)]);
    installed.succeeded();
    let lock = workspace.read("synth.lock");
    assert!(
        lock.contains(&format!("source = \"{url}#sha256={digest}\"")),
        "{lock}"
    );
}

#[test]
fn a_plugin_is_compiled_from_a_repository_and_updated() {
    let workspace = greeting();
    workspace.synth(["plugin", "new", "greet"]).succeeded();
    let repository = workspace.path("greet");
    let git = |arguments: &[&str]| {
        let mut all = vec!["-C", repository.to_str().unwrap()];
        all.extend([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b.c",
            "-c",
            "init.defaultBranch=main",
        ]);
        all.extend(arguments);
        workspace.run("git", all)
    };
    // Its Cargo.lock as its author would commit it.
    workspace.run(
        "cargo",
        [
            "metadata",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
            "greet/Cargo.toml",
        ],
    );
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "first"]);
    git(&["tag", "v1"]);
    let url = format!("file://{}", repository.display());
    let quiet = |arguments: &[&str]| {
        let mut all = vec!["plugin", "--quiet"];
        all.extend(arguments);
        all.push("--offline");
        workspace.synth(all)
    };
    let install = ["install", "--git", &url, "--branch", "main", "--debug"];
    quiet(&install).succeeded();
    let commit = git(&["rev-parse", "HEAD"]);
    let lock = workspace.read("synth.lock");
    assert!(
        lock.contains(&format!("?branch=main#{}", commit.trim())),
        "{lock}"
    );
    // The same sources give the same library, wherever they are compiled.
    assert_eq!(sha256(&installed(&workspace)), sha256(library()));
    let source = workspace
        .read("greet/src/lib.rs")
        .replace("Hello", "Good morning");
    workspace.write("greet/src/lib.rs", source);
    let manifest = workspace.read("greet/Cargo.toml");
    workspace.write(
        "greet/Cargo.toml",
        manifest.replace(
            "version = \"0.1.0\"\nedition",
            "version = \"0.2.0\"\nedition",
        ),
    );
    let locked = workspace.read("greet/Cargo.lock");
    let own = "name = \"synth-target-greet\"\nversion = \"0.1.0\"";
    workspace.write(
        "greet/Cargo.lock",
        locked.replace(own, &own.replace("0.1.0", "0.2.0")),
    );
    git(&["commit", "--all", "--quiet", "--message", "second"]);
    quiet(&["update", "greet"]).succeeded();
    workspace
        .synth(["build", "--quiet", "--locked"])
        .succeeded();
    assert_eq!(
        workspace.read("dist/hello/greeting.txt"),
        "Good morning, Ada!\n"
    );
    quiet(&["install", "--git", &url, "--rev", "v1", "--debug"]).succeeded();
    let listed = workspace
        .synth(["plugin", "list", "--format", "json"])
        .json();
    assert_eq!(listed["plugins"][0]["version"], "0.1.0");
}

/// Puts the crate in `directory` into a directory of crates (Cargo reference, "Source
/// Replacement", "Directory Sources").
fn publish(workspace: &Workspace, directory: &str, name: &str) {
    let to = workspace.beside("crates").join(name);
    workspace.run(
        "cp",
        [
            "-r".as_ref(),
            workspace.path(directory).as_os_str(),
            to.as_os_str(),
        ],
    );
    fs::write(
        to.join(".cargo-checksum.json"),
        "{\"files\":{},\"package\":null}",
    )
    .unwrap();
}

#[test]
fn a_crate_of_the_registry_is_compiled() {
    let workspace = greeting();
    workspace.synth(["plugin", "new", "greet"]).succeeded();
    let crates = workspace.beside("crates");
    let vendor = [
        "vendor",
        "--offline",
        "--quiet",
        "--manifest-path",
        "greet/Cargo.toml",
    ];
    let vendor = vendor
        .map(OsString::from)
        .into_iter()
        .chain([crates.clone().into()]);
    workspace.run("cargo", vendor);
    // What `cargo publish` would send, unpacked.
    let manifest = repository().join("Cargo.toml");
    let package = [
        "package",
        "--offline",
        "--quiet",
        "--no-verify",
        "--allow-dirty",
        "--package",
    ];
    let package = package.map(OsString::from).into_iter();
    let package = package.chain([
        "synth-core".into(),
        "--manifest-path".into(),
        manifest.into(),
    ]);
    workspace.run(
        "cargo",
        package.chain(["--target-dir".into(), "packages".into()]),
    );
    workspace.run(
        "sh",
        ["-euc", "tar xzf packages/package/synth-core-*.crate"],
    );
    workspace.run("sh", ["-euc", "mv synth-core-* core"]);
    publish(&workspace, "core", "synth-core");
    let manifest = workspace.read("greet/Cargo.toml");
    let core = format!(
        "path = \"{}\", ",
        repository().join("crates/core").display()
    );
    workspace.write("greet/Cargo.toml", manifest.replace(&core, ""));
    fs::remove_file(workspace.path("greet/Cargo.lock")).unwrap();
    publish(&workspace, "greet", "synth-target-greet");
    let configuration = workspace.beside(".cargo/config.toml");
    fs::create_dir(configuration.parent().unwrap()).unwrap();
    let text = format!(
        "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\ndirectory = \"{}\"\n",
        crates.display()
    );
    fs::write(configuration, text).unwrap();

    let install = |name: &str| workspace.synth(["plugin", "install", name, "--debug", "--quiet"]);
    let other = install("serde").to_string();
    assert!(other.contains("error[plugin.crate.other]"), "{other}");
    let newer = install("greet@2").to_string();
    assert!(newer.contains("failed to select a version"), "{newer}");
    install("greet@0.1.0").succeeded();
    workspace
        .synth(["build", "--quiet", "--locked"])
        .succeeded();
    assert!(
        workspace
            .read("synth.lock")
            .contains("source = \"crates.io\"")
    );
}
