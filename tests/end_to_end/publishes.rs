//! Commands that publish and undo, beside each other in one pipeline: what is there after a failure,
//! a crash, an undo that fails and a plugin that is gone.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::plugin_fixtures::{directory_with, library};
use crate::soak::pipeline::with_tools;
use crate::workspace::{Run, Workspace};

/// Publishes one of three files into the world, and notes that it does.
const PUBLISH: &str = r#"
echo "publish $1" >> "$WORLD/log"
if [ -e "$WORLD/slow" ]; then echo $$ > "$WORLD/running"; while :; do sleep 0.05; echo >> "$WORLD/alive"; done; fi
if [ -e "$WORLD/fail-$1" ]; then echo "409 Conflict" >&2; exit 3; fi
cp "$SYNTH_OUT/$1" "$WORLD/is-$1"
printf 'receipt of %s\n' "$1" > "$SYNTH_RECEIPT"
"#;

const UNDO: &str = r#"
echo "undo $1$(cat "${SYNTH_RECEIPT:-/dev/null}" | sed 's/^/ by /')" >> "$WORLD/log"
if [ -e "$WORLD/stuck-$1" ]; then echo "403 Forbidden" >&2; exit 4; fi
rm -f "$WORLD/is-$1"
"#;

pub(crate) fn config(workspace: &Workspace, strategy: &str) -> String {
    let world = workspace.beside("world");
    let target = |name: &str, needs: &str| {
        format!(
            "[targets.{name}]\ntype = \"command\"\nsource_path = \"src\"\nneeds = [{needs}]\n\
             script = \"cat text > {name}\"\ninputs = [\"text\"]\noutputs = [\"{name}\"]\n\
             output_path = \"dist/{name}\"\nenvironment = {{ WORLD = \"{}\" }}\n\
             publish_command = [\"sh\", \"-eu\", \"publish.sh\", \"{name}\"]\n\
             undo_command = [\"sh\", \"-eu\", \"undo.sh\", \"{name}\"]\n\n",
            world.display()
        )
    };
    format!("failure_strategy = \"{strategy}\"\n\n")
        + &target("a", "")
        + &target("b", "\"a\"")
        + &target("c", "\"b\"")
}

/// A pipeline with three effects, built.
pub(crate) fn pipeline(strategy: &str) -> Workspace {
    let workspace = with_tools(Workspace::new(), None);
    workspace.write("synth.toml", config(&workspace, strategy));
    for (path, text) in [
        ("src/text", "one"),
        ("src/publish.sh", PUBLISH),
        ("src/undo.sh", UNDO),
    ] {
        workspace.write(path, text);
    }
    fs::create_dir(workspace.beside("world")).unwrap();
    workspace.build([""; 0]).succeeded();
    workspace
}

fn mark(workspace: &Workspace, name: &str) {
    fs::write(workspace.beside("world").join(name), "").unwrap();
}

fn unmark(workspace: &Workspace, name: &str) {
    fs::remove_file(workspace.beside("world").join(name)).unwrap();
}

/// What was done since it was asked for last.
fn log(workspace: &Workspace) -> Vec<String> {
    let path = workspace.beside("world/log");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    text.lines().map(ToOwned::to_owned).collect()
}

/// What is published: the names, and one text for all.
pub(crate) fn there(workspace: &Workspace) -> String {
    ["a", "b", "c"]
        .iter()
        .filter_map(|name| {
            let text = fs::read_to_string(workspace.beside(&format!("world/is-{name}"))).ok()?;
            Some(format!("{name}={text}"))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn code(run: &Run) -> Option<i32> {
    run.output.status.code()
}

/// Publishes; the states of the effects, the exit code, and the name.
fn publish(workspace: &Workspace) -> (String, Option<i32>, String) {
    let run = workspace.synth(["publish", "--format", "json"]);
    let report = run.json();
    let effects = report["effects"].as_array().unwrap().iter();
    let states: Vec<&str> = effects
        .map(|effect: &Value| effect["state"].as_str().unwrap())
        .collect();
    let build = report["build"].as_str().unwrap().to_owned();
    (states.join(" "), code(&run), build)
}

#[test]
fn when_the_third_fails_the_others_are_undone_or_stay_as_the_strategy_says() {
    let workspace = pipeline("rollback");
    mark(&workspace, "fail-c");
    let (states, code, _) = publish(&workspace);
    assert_eq!((states.as_str(), code), ("undone undone failed", Some(1)));
    assert_eq!(
        log(&workspace),
        [
            "publish a",
            "publish b",
            "publish c",
            "undo b by receipt of b",
            "undo a by receipt of a"
        ]
    );
    assert_eq!(there(&workspace), "");

    let workspace = pipeline("continue");
    mark(&workspace, "fail-c");
    let (states, code, _) = publish(&workspace);
    assert_eq!((states.as_str(), code), ("applied applied failed", Some(1)));
    assert_eq!(log(&workspace).len(), 3);
    unmark(&workspace, "fail-c");
    let (states, code, _) = publish(&workspace);
    assert_eq!(
        (states.as_str(), code),
        ("already_there already_there applied", Some(0))
    );
    assert_eq!(log(&workspace), ["publish c"]);
    let (states, ..) = publish(&workspace);
    assert_eq!(states, "already_there already_there already_there");
    assert_eq!(log(&workspace), [""; 0]);
}

#[test]
fn after_a_rollback_it_is_published_again_and_a_publish_without_effect_says_whose_it_is() {
    let workspace = pipeline("continue");
    let (_, _, first) = publish(&workspace);
    let (states, _, second) = publish(&workspace);
    assert_eq!(states, "already_there already_there already_there");
    let run = workspace.synth(["rollback", &second]);
    assert_eq!(code(&run), Some(2), "{run}");
    assert!(
        run.to_string().contains(&format!("synth rollback {first}")),
        "{run}"
    );
    workspace.synth(["rollback", &first]).succeeded();
    assert_eq!(there(&workspace), "");
    let (states, ..) = publish(&workspace);
    assert_eq!(states, "applied applied applied");
    assert_eq!(there(&workspace), "a=one b=one c=one");
}

#[test]
fn an_undo_that_fails_says_what_is_to_be_done_by_hand() {
    let workspace = pipeline("rollback");
    mark(&workspace, "fail-c");
    mark(&workspace, "stuck-b");
    let (states, code, _) = publish(&workspace);
    assert_eq!(
        (states.as_str(), code),
        ("applied not_undone failed", Some(5))
    );
    assert_eq!(there(&workspace), "a=one b=one");
    let run = workspace.synth(["recover", "--undo"]);
    assert_eq!(self::code(&run), Some(5), "{run}");
    let told = String::from_utf8_lossy(&run.output.stderr);
    let by_hand = told.split("by hand: ").nth(1).unwrap();
    let by_hand = by_hand.lines().next().unwrap();
    unmark(&workspace, "stuck-b");
    log(&workspace);
    workspace.run("sh", ["-c", by_hand]);
    assert_eq!(there(&workspace), "a=one");
    workspace.synth(["recover", "--done-by-hand"]).succeeded();
    assert_eq!(there(&workspace), "");
    assert_eq!(
        log(&workspace),
        ["undo b by receipt of b", "undo a by receipt of a"]
    );
}

#[test]
fn what_is_published_was_built_together() {
    let workspace = pipeline("continue");
    workspace.write("src/text", "two");
    workspace.build(["a"]).succeeded();
    let run = workspace.synth(["publish"]);
    assert_eq!(code(&run), Some(2), "{run}");
    assert!(run.to_string().contains("effect.not_together"), "{run}");
    assert_eq!(there(&workspace), "");
    workspace.synth(["publish", "a"]).succeeded();
    assert_eq!(there(&workspace), "a=two");
}

/// A publish that waits in the midst of its first effect.
fn begin_slow_publish(workspace: &Workspace) -> Child {
    mark(workspace, "slow");
    let mut command = workspace.command(["publish"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut publish = command.spawn().unwrap();
    while !workspace.beside("world/alive").exists() {
        assert!(publish.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    unmark(workspace, "slow");
    publish
}

#[test]
fn what_an_effect_has_started_ends_with_synth_before_it_is_recovered() {
    for (how, expected) in [("--finish", "a=one b=one c=one"), ("--undo", "")] {
        let workspace = pipeline("continue");
        let mut publish = begin_slow_publish(&workspace);
        publish.kill().unwrap();
        publish.wait().unwrap();
        workspace.synth(["recover", how]).succeeded();
        let alive = workspace.beside("world/alive");
        fs::remove_file(&alive).unwrap();
        assert_eq!(there(&workspace), expected, "{how}");
        let running = fs::read_to_string(workspace.beside("world/running")).unwrap();
        let running = std::path::Path::new("/proc").join(running.trim());
        let state = fs::read_to_string(running.join("cmdline")).unwrap_or_default();
        assert!(!state.contains("publish.sh"), "{how}: it still runs");
        assert!(!alive.exists(), "{how}");
    }
}

#[test]
fn of_two_publishes_at_once_the_second_waits() {
    let workspace = pipeline("continue");
    let mut first = begin_slow_publish(&workspace);
    let run = workspace.synth(["recover"]);
    assert!(run.to_string().contains("effect.running"), "{run}");
    let second = {
        let mut command = workspace.command(["build", "--publish"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    first.kill().unwrap();
    first.wait().unwrap();
    let told = second.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("synth recover --finish"), "{told}");
    workspace.synth(["recover", "--undo"]).succeeded();
    assert_eq!(there(&workspace), "");
}

#[test]
fn on_a_full_disk_no_effect_begins() {
    let workspace = pipeline("continue");
    // The state is on a file system with less room than a journal needs.
    let script = "mount -t tmpfs -o size=2m tmpfs ../full && cp -a .synth/. ../full/\n\
                  mount --bind ../full .synth\n\
                  free=$(df --output=avail -k .synth | tail -1)\n\
                  head -c $((free - 128))k /dev/zero > .synth/filler\n\
                  \"$@\" publish 2>&1 || echo \"exit $?\"\n";
    fs::create_dir(workspace.beside("full")).unwrap();
    let run = workspace.synth_unshared("-Urm", script, [""; 0]);
    let told = String::from_utf8_lossy(&run.output.stdout);
    assert!(told.contains("exit 4"), "{run}");
    assert!(told.contains("No space left on device"), "{run}");
    assert_eq!(
        (log(&workspace), there(&workspace)),
        (vec![], String::new())
    );
    // With room it goes on as if nothing had been.
    assert_eq!(publish(&workspace).0, "applied applied applied");
}

#[test]
fn a_native_effect_of_an_isolated_plugin_is_applied_and_undone_by_that_plugin_alone() {
    let workspace = Workspace::new();
    let world = workspace.beside("world");
    fs::create_dir(&world).unwrap();
    let config = |fault: &str| {
        format!(
            "[targets.a]\ntype = \"faults\"\nsource_path = \"src\"\nfault = \"{fault}\"\nworld = \"{}\"\n",
            world.display()
        )
    };
    workspace.write("synth.toml", config(""));
    workspace.write("src/a.txt", "");
    let plugins = directory_with(&workspace, &["faults"]);
    let workspace = workspace.variable("SYNTH_PLUGIN_DIR", plugins.clone());
    workspace.build(["--publish"]).succeeded();
    assert_eq!(
        fs::read_to_string(world.join("published")).unwrap(),
        "made\n"
    );
    let (_, _, build) = publish(&workspace);
    let journals = fs::read_dir(workspace.path(".synth/journal")).unwrap();
    let first = journals.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let first = first.min().unwrap();
    assert_ne!(first, build);

    // The plugin is gone.
    let installed = plugins.join(library("faults").file_name().unwrap());
    let aside = workspace.beside("aside");
    fs::rename(&installed, &aside).unwrap();
    let run = workspace.synth(["rollback", &first]);
    assert_eq!(code(&run), Some(5), "{run}");
    assert!(run.to_string().contains("synth-target-faults"), "{run}");
    assert!(world.join("published").exists());
    fs::rename(&aside, &installed).unwrap();
    workspace.synth(["recover", "--undo"]).succeeded();
    assert!(!world.join("published").exists());

    // Its process ends in the midst of it: nobody knows what that has come to.
    workspace.write("synth.toml", config("exit in apply"));
    workspace.build([""; 0]).succeeded();
    let run = workspace.synth(["publish"]);
    assert_eq!(code(&run), Some(5), "{run}");
    assert!(world.join("published").exists());
    workspace.synth(["recover", "--undo"]).succeeded();
    assert!(!world.join("published").exists());
}
