//! `synth plugin`: what its commands do and tell. Libraries are compiled from the crate that
//! `synth plugin new` writes.

mod sources;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::workspace::{Run, Workspace, assert_run};

/// A project whose user has the developer's cargo.
fn workspace() -> Workspace {
    Workspace::new().with_developers_cargo()
}

/// A project with one target of the kind `greet`.
fn greeting() -> Workspace {
    let workspace = workspace();
    workspace.write(
        "synth.toml",
        "[targets.hello]\ntype = \"greet\"\nname = \"Ada\"\n",
    );
    workspace
}

/// The library of a new `greet`, compiled once for all tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(Workspace, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let workspace = workspace();
        workspace.synth(["plugin", "new", "greet"]).succeeded();
        let install = [
            "plugin",
            "install",
            "--path",
            "greet",
            "--debug",
            "--offline",
        ];
        workspace.synth(install).succeeded();
        let path = installed(&workspace);
        (workspace, path)
    });
    path
}

/// The one library in the user's plugin directory.
fn installed(workspace: &Workspace) -> PathBuf {
    let mut found = libraries(&user_directory(workspace));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn user_directory(workspace: &Workspace) -> PathBuf {
    workspace.beside("data/synth/plugins")
}

fn libraries(directory: &Path) -> Vec<PathBuf> {
    let end = std::env::consts::DLL_EXTENSION;
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == end))
        .collect()
}

/// Installs the library as a file.
fn install(workspace: &Workspace) -> Run {
    workspace.synth(["plugin".as_ref(), "install".as_ref(), library().as_os_str()])
}

/// What is told, without where the library is and what it was compiled for.
fn without_machine(told: &str) -> String {
    let told = told.replace(library().to_str().unwrap(), "[LIBRARY]");
    let lines = told
        .lines()
        .map(|line| match line.split_once("compiled   for ") {
            Some((before, _)) => format!("{before}compiled   for [MACHINE]"),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn sha256(path: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

#[test]
fn a_library_is_installed_listed_built_with_and_removed() {
    let workspace = greeting();
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 2
    ----- stderr -----
    error[config.kind.unknown]: target `hello` is of an unknown type `greet`
     --> synth.toml:2:8
      |
    2 | type = "greet"
      |        ^^^^^^^
      |
      = help: known types: `docker`, `python` and `static`
      = help: `synth plugin install synth-target-greet` installs a plugin for it
    "#);
    assert_run!(install(&workspace), @"
    exit code: 0
    ----- stdout -----
     installed synth-target-greet 0.1.0 for `greet`: [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
        pinned plugin `greet` in synth.lock
    ");
    assert_run!(workspace.synth(["plugin", "list"]), @"
    exit code: 0
    ----- stdout -----
     kind   plugin                    interface  isolation  state           library
     greet  synth-target-greet 0.1.0  0.2.0      process    in use, pinned  [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
    ");
    let info = workspace.synth(["plugin", "info", "greet"]).to_string();
    assert_run!(without_machine(&info), @r#"
    exit code: 0
    ----- stdout -----
    greet: a greeting in a file

     plugin     synth-target-greet 0.1.0
     interface  0.2.0
     compiled   for [MACHINE]
     isolation  process
     state      in use, pinned
     library    [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
     found in   user
     installed  from file+[LIBRARY]
     SHA-256    [SHA256]

     setting  value  default  meaning
     name     text   "world"  Who is greeted
    "#);
    assert_run!(workspace.synth(["plugin", "verify"]), @"
    exit code: 0
    ----- stdout -----
          good greet: synth-target-greet 0.1.0 at [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
    ");
    workspace.synth(["build"]).succeeded();
    assert_eq!(workspace.read("dist/hello/greeting.txt"), "Hello, Ada!\n");
    assert_run!(install(&workspace), @"
    exit code: 0
    ----- stdout -----
     installed synth-target-greet 0.1.0 for `greet`, as it was: [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
    ");
    assert_run!(workspace.synth(["plugin", "remove", "greet"]), @"
    exit code: 0
    ----- stdout -----
    removed [WORKSPACE]/data/synth/plugins/libsynth_target_greet.so
    removed `greet` from synth.lock
    ");
    assert_run!(workspace.synth(["plugin", "remove", "greet"]), @"
    exit code: 2
    ----- stderr -----
    error[plugin.unknown]: no plugin for `greet` is found
     |
     = help: `synth plugin install greet` installs one
    ");
    assert_run!(workspace.synth(["plugin", "list"]), @"
    exit code: 0
    ----- stdout -----
    no plugins are found
    ");
    assert!(!workspace.path("synth.lock").exists());
}

#[test]
fn lists_and_descriptions_can_be_read_by_programs() {
    let workspace = greeting();
    install(&workspace).succeeded();
    let list = workspace
        .synth(["plugin", "list", "--format", "json"])
        .succeeded()
        .json();
    let plugin = &list["plugins"][0];
    let told = [
        "kind",
        "crate",
        "version",
        "interface",
        "isolation",
        "found_in",
    ]
    .map(|key| plugin[key].as_str().unwrap());
    let expected = [
        "greet",
        "synth-target-greet",
        "0.1.0",
        "0.2.0",
        "process",
        "user",
    ];
    assert_eq!(told, expected);
    assert_eq!(plugin["sha256"], sha256(library()));
    assert_eq!(
        (&plugin["chosen"], &plugin["used"]),
        (&true.into(), &true.into())
    );
    let info = workspace
        .synth(["plugin", "info", "greet", "--format", "json"])
        .succeeded()
        .json();
    assert_eq!(info["manifest"]["target"]["kind"], "greet");
}

#[test]
fn a_project_pins_what_it_is_built_with() {
    let workspace = greeting();
    workspace.append("synth.toml", "\n[plugins]\ngreet = \"^0.1\"\n");
    let plugins = workspace.beside("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::copy(library(), plugins.join("libgreet.so")).unwrap();
    let build = |more: &[&str]| {
        let mut arguments = vec!["build", "--quiet", "--plugin-dir", "../plugins"];
        arguments.extend(more);
        workspace.synth(arguments)
    };
    assert_run!(build(&["--locked"]), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.unpinned]: `[WORKSPACE]/plugins/libgreet.so` is not opened: synth.lock has no digest of synth-target-greet 0.1.0 for this machine, and `--locked` asks for one
     --> synth.toml:2:8
      |
    2 | type = "greet"
      |        ^^^^^^^
      |
      = help: name it in synth.toml (`[plugins]`, `greet = "^0.1.0"`) and run `synth build` once without `--locked`, then commit synth.lock
    "#);
    build(&[]).succeeded();
    build(&["--locked"]).succeeded();
    let lock = workspace.read("synth.lock");
    assert_run!(lock.replace(std::env::consts::ARCH, "[ARCH]"), @r#"
    # Which plugin libraries this project is built with. Written by `synth plugin` and `synth build`;
    # commit it with synth.toml. A library that differs from its entry here is not opened.
    version = 1

    [plugins.greet]
    crate = "synth-target-greet"
    version = "0.1.0"

    [plugins.greet.sha256]
    [ARCH]-unknown-linux-gnu = "[SHA256]"
    "#);
    // Another library in its place is not opened, until that is what is wanted.
    let mut other = fs::read(library()).unwrap();
    other.extend(b"changed");
    fs::write(plugins.join("libgreet.so"), other).unwrap();
    assert_run!(build(&[]), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.pin]: `[WORKSPACE]/plugins/libgreet.so` is not the plugin for `greet` that synth.lock has, and is not opened
     --> synth.toml:2:8
      |
    2 | type = "greet"
      |        ^^^^^^^
      |
      = note: expected: synth-target-greet 0.1.0, SHA-256 [SHA256]
      = note: found: synth-target-greet 0.1.0, SHA-256 [SHA256]
      = help: if it was replaced on purpose: `synth plugin update greet`
      = help: if not: put the one of synth.lock back
    "#);
    let update = ["plugin", "update", "greet", "--plugin-dir", "../plugins"];
    assert_run!(workspace.synth(update), @"
    exit code: 0
    ----- stdout -----
        pinned plugin `greet` in synth.lock
          kept greet: synth-target-greet 0.1.0 is the one in use
    ");
    build(&["--locked"]).succeeded();
    assert_ne!(workspace.read("synth.lock"), lock);
}

#[test]
fn what_a_project_asks_for_is_installed_without_naming_it() {
    let workspace = greeting();
    workspace.append(
        "synth.toml",
        &format!(
            "\n[plugins]\ngreet = {{ version = \"^0.1\", source = \"file+{}\" }}\n",
            library().display()
        ),
    );
    let build = workspace.synth(["build"]).to_string();
    assert_run!(without_machine(&build), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.not_installed]: the plugin for `greet` is not installed: synth-target-greet ^0.1
     --> synth.toml:6:1
      |
    6 | greet = { version = "^0.1", source = "file+[LIBRARY]" }
      | ^^^^^
      |
      = help: `synth plugin install` installs what synth.toml asks for
    "#);
    assert_run!(without_machine(&workspace.synth(["plugin", "list"]).to_string()), @r#"
    exit code: 0
    ----- stdout -----
     kind   plugin  interface  isolation  state          library
     greet                                not installed

    ----- stderr -----
    warning[plugin.not_installed]: the plugin for `greet` is not installed: synth-target-greet ^0.1
     --> synth.toml:6:1
      |
    6 | greet = { version = "^0.1", source = "file+[LIBRARY]" }
      | ^^^^^
      |
      = help: `synth plugin install` installs what synth.toml asks for
    "#);
    assert_eq!(
        workspace.synth(["plugin", "verify"]).output.status.code(),
        Some(3)
    );
    assert_run!(workspace.synth(["plugin", "install", "--project"]), @"
    exit code: 0
    ----- stdout -----
     installed synth-target-greet 0.1.0 for `greet`: [WORKSPACE]/my project/.synth/plugins/libsynth_target_greet.so
        pinned plugin `greet` in synth.lock
    ");
    workspace
        .synth(["build", "--locked", "--quiet"])
        .succeeded();
    assert_run!(workspace.synth(["plugin", "install", "--project"]), @"
    exit code: 0
    ----- stdout -----
         there greet
    ");
    assert_eq!(libraries(&user_directory(&workspace)), [] as [PathBuf; 0]);
    assert_run!(workspace.synth(["plugin", "remove", "greet", "--project"]), @"
    exit code: 0
    ----- stdout -----
    removed [WORKSPACE]/my project/.synth/plugins/libsynth_target_greet.so
    ");
    assert!(workspace.read("synth.lock").contains("[plugins.greet]"));
}

#[test]
fn of_two_plugins_for_a_kind_one_has_to_be_chosen() {
    let workspace = greeting();
    let mut other = fs::read(library()).unwrap();
    other.extend(b"another build");
    for (directory, bytes) in [
        (user_directory(&workspace), fs::read(library()).unwrap()),
        (workspace.path(".synth/plugins"), other),
    ] {
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("libgreet.so"), bytes).unwrap();
    }
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 2
    ----- stderr -----
    error[plugin.conflict]: there are 2 plugins for `greet`
     --> synth.toml:2:8
      |
    2 | type = "greet"
      |        ^^^^^^^
      |
      = note: found synth-target-greet 0.1.0 at `[WORKSPACE]/my project/.synth/plugins/libgreet.so`
      = note: found synth-target-greet 0.1.0 at `[WORKSPACE]/data/synth/plugins/libgreet.so`
      = help: choose in synth.toml, below `[plugins]`: `greet = { path = ".synth/plugins/libgreet.so" }` or `greet = { path = "[WORKSPACE]/data/synth/plugins/libgreet.so" }`
    "#);
    workspace.append(
        "synth.toml",
        "\n[plugins]\ngreet = { path = \".synth/plugins/libgreet.so\" }\n",
    );
    workspace.synth(["build", "--quiet"]).succeeded();
    assert_run!(workspace.synth(["plugin", "list"]), @"
    exit code: 0
    ----- stdout -----
     kind   plugin                    interface  isolation  state           library
     greet  synth-target-greet 0.1.0  0.2.0      process    in use, pinned  [WORKSPACE]/my project/.synth/plugins/libgreet.so
     greet  synth-target-greet 0.1.0  0.2.0      process    not chosen      [WORKSPACE]/data/synth/plugins/libgreet.so
    ");
    // Of another kind than the pipeline's, they are nobody's concern.
    workspace.write(
        "web/index.html",
        "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>",
    );
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n",
    );
    workspace.synth(["build", "--quiet"]).succeeded();
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_with_what_mends_it() {
    let workspace = greeting();
    install(&workspace).succeeded();
    let directory = user_directory(&workspace);
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    assert_run!(workspace.synth(["build"]), @r#"
    exit code: 3
    ----- stderr -----
    error[plugin.insecure]: everybody can write to `[WORKSPACE]/data/synth/plugins`: plugins from this directory are not used
     --> synth.toml:2:8
      |
    2 | type = "greet"
      |        ^^^^^^^
      |
      = help: if you trust what is there: `chmod o-w [WORKSPACE]/data/synth/plugins`
    "#);
    let verified = workspace.synth(["plugin", "verify", "greet"]);
    assert_eq!(verified.output.status.code(), Some(3));
    assert!(
        install(&workspace)
            .to_string()
            .contains("error[plugin.insecure]")
    );
    let told = workspace.synth(["build"]).to_string();
    let command = told
        .split('`')
        .find(|word| word.starts_with("chmod"))
        .unwrap();
    let command = command.replace("[WORKSPACE]", workspace.beside("").to_str().unwrap());
    workspace.run("sh", ["-euc", &command]);
    workspace.synth(["build", "--quiet"]).succeeded();
}

#[test]
fn plugin_directories_of_the_environment_are_separated_as_in_path() {
    let workspace = greeting().variable("SYNTH_PLUGIN_DIR", "first:with space::");
    workspace.write("first/readme", "");
    let directory = workspace.path("with space");
    fs::create_dir(&directory).unwrap();
    fs::copy(library(), directory.join("greet.so")).unwrap();
    workspace.synth(["build", "--quiet"]).succeeded();
    let listed = workspace
        .synth(["plugin", "list", "--format", "json"])
        .json();
    assert_eq!(listed["plugins"][0]["found_in"], "SYNTH_PLUGIN_DIR");
}
