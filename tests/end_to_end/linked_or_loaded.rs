//! The kinds that synth brings, linked into it and loaded from libraries: the same code, and the
//! same results.

use std::path::PathBuf;

use crate::workspace::{Report, Workspace, from_set_up, text};

/// Where the set-up has put a synth without kinds, and the kinds as libraries.
fn kinds() -> PathBuf {
    from_set_up("SYNTH_TEST_KINDS").into()
}

/// The example, for the synth without kinds.
fn example(isolation: &str) -> Workspace {
    let workspace = Workspace::with_example("storefront");
    workspace.append(
        "synth.toml",
        &format!(
            "\n[plugins]\n\
             python = {{ isolation = \"{isolation}\" }}\n\
             docker = {{ isolation = \"{isolation}\" }}\n\
             static = {{ isolation = \"{isolation}\" }}\n"
        ),
    );
    workspace
        .with_binary(kinds().join("synth"))
        .variable("SYNTH_PLUGIN_DIR", kinds())
}

/// The actions' digests, and the artifacts with theirs.
fn digests(report: &Report) -> Vec<String> {
    let mut digests = Vec::new();
    for target in report.value["targets"].as_array().unwrap() {
        for (list, name) in [("actions", "id"), ("artifacts", "path")] {
            for one in target[list].as_array().unwrap() {
                digests.push(format!("{} {}", text(&one[name]), one["digest"]));
            }
        }
    }
    digests
}

#[test]
fn a_synth_without_kinds_says_what_it_lacks() {
    let workspace = Workspace::with_files([("synth.toml", "[targets.a]\ntype = \"static\"\n")])
        .with_binary(kinds().join("synth"));
    crate::workspace::assert_run!(workspace.synth(["check"]), @r#"
    exit code: 2
    ----- stderr -----
    error[config.kind.unknown]: target `a` is of an unknown type `static`
     --> synth.toml:2:8
      |
    2 | type = "static"
      |        ^^^^^^^^
      |
      = help: `synth plugin install synth-target-static` installs a plugin for it
    "#);
}

#[test]
fn the_example_is_the_same_linked_and_loaded_isolated_and_not() {
    let linked = Workspace::with_example("storefront");
    let expected = linked.build([""; 0]).succeeded();
    for isolation in ["process", "none"] {
        let loaded = example(isolation);
        let report = loaded.build([""; 0]).succeeded();
        assert_eq!(
            report.statuses(),
            "api built, site built, image built",
            "{isolation}"
        );
        assert_eq!(digests(&report), digests(&expected), "{isolation}");
        assert_eq!(loaded.digest("dist"), linked.digest("dist"), "{isolation}");
        let again = loaded.build([""; 0]).succeeded();
        assert_eq!(again.executed(), [] as [String; 0], "{isolation}");
    }
}
