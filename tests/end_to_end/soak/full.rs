//! Disks that are full in the middle of a build: of the store, and of the project. Whatever could
//! not be written, nothing wrong is left, and with room the next build is right.

use super::pipeline::with_tools;
use crate::workspace::{Run, Workspace};

const CONFIG: &str = r#"failure_strategy = "continue"

[targets.many]
type = "command"
source_path = "src"
script = "for i in 1 2 3 4 5 6 7 8; do head -c 40000 /dev/zero | tr '\\0' \"$(cat letter)\" > part$i; done"
outputs = ["part*"]
output_path = "dist/many"

[targets.one]
type = "command"
source_path = "src"
needs = ["many"]
script = "cat $SYNTH_OUT_MANY/part* large > one"
outputs = ["one"]
output_path = "dist/one"
"#;

const PARTS: usize = 8 * 40_000;
const LARGE: usize = 300_000;

/// A build in which little can be written to a file system of its own, and one when it has grown.
const BUILD_TWICE: &str = r#"
"$@" build -q && echo fitted || echo "exit $?"
echo "outputs: $(echo $(ls -A dist)) $(cat dist/many/part* | tr -d x | wc -c) $(cat dist/one/one | tr -d x | wc -c)"
mount -o remount,size=64m "$FULL"
"$@" build -q
"$@" cache verify > ../verified || cat ../verified
echo "then: $(cat dist/many/part* | tr -d x | wc -c) $(cat dist/one/one | tr -d x | wc -c)"
"#;

/// A project that has been built with the letter `x` and is to be built with `y`.
fn project() -> Workspace {
    let workspace = with_tools(Workspace::new(), None);
    workspace.write("synth.toml", CONFIG);
    workspace.write("src/letter", "x");
    workspace.write("src/large", "y".repeat(LARGE));
    workspace.build([""; 0]).succeeded();
    workspace.write("src/letter", "y");
    workspace
}

/// Whether it all fitted. Each target's outputs are the earlier or the later ones; the later ones
/// have no `x` in them.
fn fitted(run: &Run) -> bool {
    let said = String::from_utf8_lossy(&run.output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    let [end, outputs, then] = lines[..] else {
        panic!("{run}");
    };
    let (many, one) = (PARTS.to_string(), (PARTS + LARGE).to_string());
    assert_eq!(then, format!("then: {many} {one}"), "{run}");
    let whole = [
        format!("outputs: many one 0 {LARGE}"),
        format!("outputs: many one {many} {LARGE}"),
        format!("outputs: many one {many} {one}"),
    ];
    let outputs = outputs.to_owned();
    assert!(whole.contains(&outputs), "{run}");
    if end == "fitted" {
        assert_eq!(outputs, whole[2], "{run}");
        return true;
    }
    assert!(matches!(end, "exit 1" | "exit 4"), "{run}");
    let told = String::from_utf8_lossy(&run.output.stderr);
    assert!(told.contains("No space left on device"), "{run}");
    // A command says it in its own words.
    assert!(end == "exit 1" || told.contains("= help: "), "{run}");
    false
}

#[test]
fn wherever_the_disk_is_full_nothing_wrong_is_left() {
    let store = "FULL=$XDG_CACHE_HOME\nmount -t tmpfs -o size=[SIZE]k tmpfs \"$FULL\"\n";
    let copy = "FULL=$XDG_CACHE_HOME/../full\nmkdir \"$FULL\"\n\
                mount -t tmpfs -o size=64m tmpfs \"$FULL\"\ncp -a . \"$FULL/project\"\n\
                cd \"$FULL/project\"\nused=$(df --output=used . | tail -1)\n\
                mount -o remount,size=$((used + [SIZE]))k \"$FULL\"\n";
    for (disk, sizes) in [
        (store, [20, 120, 400, 700, 1100, 1500, 2400, 6000]),
        (copy, [4, 20, 60, 200, 400, 700, 1000, 6000]),
    ] {
        let workspace = project();
        let fits = sizes.map(|size| {
            let script = format!("{}{BUILD_TWICE}", disk.replace("[SIZE]", &size.to_string()));
            let run = workspace.synth_unshared("-Urm", &script, [""; 0]);
            workspace.write("src/letter", "x");
            workspace.build([""; 0]).succeeded();
            workspace.write("src/letter", "y");
            let _ = std::fs::remove_dir(workspace.beside("full"));
            fitted(&run)
        });
        assert!(fits[7] && !fits[0], "{fits:?}");
    }
}
