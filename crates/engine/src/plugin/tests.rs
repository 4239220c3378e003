//! Which library is found, chosen, pinned and refused: over files that have a manifest and no code.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use serde_json::json;
use synth_core::{
    BuildTarget, Diagnostic, HOST_TRIPLE, INTERFACE_VERSION, MANIFEST_SECTION, Native,
    NativeOutcome, Place, Plan, PlanContext, ProjectPath, RunContext, TargetDescription,
    TargetSpec, settings_schema,
};

use super::*;
use crate::{LoadOptions, Loaded, Registry};

/// A project with plugin directories around it.
struct Scene {
    directory: tempfile::TempDir,
    options: PluginOptions,
}

impl Scene {
    /// An empty project. The directory `flag` is one of `--plugin-dir`, `user` is the user's.
    fn new(configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        for name in ["project/src", "flag", "user", "variable"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join("project/synth.toml"), configuration).unwrap();
        let options = PluginOptions {
            directories: PluginDirectories {
                flag: vec![root.join("flag")],
                variable: vec![root.join("variable")],
                user: Some(root.join("user")),
            },
            index: Some(root.join("cache/plugins.json")),
            locked: false,
            host: HostProgram {
                program: "/nowhere/synth".into(),
                arguments: Vec::new(),
            },
        };
        Self { directory, options }
    }

    fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap().join(path)
    }

    /// Puts a library with a manifest of the kind into place.
    fn library(self, path: &str, kind: &str, version: &str) -> Self {
        self.library_of(path, kind, &format!("synth-target-{kind}"), version)
    }

    fn library_of(self, path: &str, kind: &str, crate_name: &str, version: &str) -> Self {
        write_library(&self.path(path), kind, crate_name, version);
        self
    }

    fn file(self, path: &str, contents: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let linked = Registry::new().with(Arc::new(Linked));
        let options = LoadOptions::default();
        Loaded::read(&self.path("project"), &options, &linked, &self.options)
    }

    fn survey(&self) -> Survey {
        let found = Survey::of_directory(&self.path("project"), None, &self.options);
        found.map_err(|problems| self.told(&problems)).unwrap().0
    }

    /// What brings a kind, or why nothing does.
    fn selected(&self, kind: &str) -> String {
        let linked = Registry::new().with(Arc::new(Linked));
        match self.survey().selections(&linked).remove(kind) {
            None => "nothing".into(),
            Some(Selection::Linked) => "linked".into(),
            Some(Selection::Plugin(file)) => self.shown(&file.path.display().to_string()),
            Some(Selection::Unusable(problem)) => self.told(&[problem]),
        }
    }

    fn told(&self, problems: &[Diagnostic]) -> String {
        let lines = problems.iter().map(|problem| {
            let place = match &problem.place {
                Some(Place::File {
                    path,
                    position: Some(at),
                    ..
                }) => format!(" {path}:{}:{}", at.line, at.column),
                _ => String::new(),
            };
            let mut lines = vec![format!("[{}]{place} {}", problem.code, problem.message)];
            lines.extend(
                problem
                    .causes
                    .iter()
                    .map(|cause| format!("  note: {cause}")),
            );
            lines.extend(problem.help.iter().map(|help| format!("  help: {help}")));
            lines.join("\n")
        });
        self.shown(&lines.collect::<Vec<_>>().join("\n"))
    }

    /// Without the directory's own name, and without digests.
    fn shown(&self, text: &str) -> String {
        let text = text.replace(&format!("{}/", self.path("").display()), "");
        let text = text.replace(&format!("{}", self.path("").display()), "");
        let mut shown = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\n']) {
            if c.is_ascii_hexdigit() {
                word.push(c);
                continue;
            }
            shown.push_str(if word.len() == 64 { "[SHA256]" } else { &word });
            word.clear();
            shown.push(c);
        }
        shown.trim_end().to_owned()
    }
}

/// An object file with a manifest: as good as a library, as long as nobody opens it.
fn write_library(path: &Path, kind: &str, crate_name: &str, version: &str) {
    let manifest = json!({
        "manifest": 1,
        "interface": INTERFACE_VERSION,
        "needs_interface": INTERFACE_VERSION,
        "crate": crate_name,
        "version": version,
        "triple": HOST_TRIPLE,
        "rustc": "rustc 1.95.0",
        "target": { "kind": kind, "description": "", "settings_schema": { "type": "object" } },
    });
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = object.add_section(
        Vec::new(),
        MANIFEST_SECTION.into(),
        SectionKind::ReadOnlyData,
    );
    object.append_section_data(section, manifest.to_string().as_bytes(), 1);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, object.write().unwrap()).unwrap();
}

/// The kind that is linked in.
struct Linked;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct NoSettings {}

impl BuildTarget for Linked {
    fn describe(&self) -> TargetDescription {
        TargetDescription::new(
            "linked",
            "synth-target-linked",
            "0.1.0",
            "",
            settings_schema::<NoSettings>(),
        )
    }

    fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn plan(&self, _: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        Ok(Plan::default())
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

const GREET: &str = "[targets.a]\ntype = \"greet\"\nsource_path = \"src\"\n";

#[test]
fn every_plugin_directory_is_looked_in_in_order() {
    let scene = Scene::new("plugin_dirs = [\"tools\"]\n[plugins]\np = { path = \"p.so\" }\n")
        .library("user/u.so", "u", "1.0.0")
        .library("project/.synth/plugins/j.so", "j", "1.0.0")
        .library("project/tools/c.so", "c", "1.0.0")
        .library("project/p.so", "p", "1.0.0")
        .library("variable/v.so", "v", "1.0.0")
        .library("flag/f.so", "f", "1.0.0")
        .library("flag/.hidden.so", "hidden", "1.0.0")
        .library("flag/below/deeper.so", "deeper", "1.0.0")
        .file("flag/notes.txt", "");
    let found = scene.survey().found;
    let kinds: Vec<String> = found
        .iter()
        .map(|found| format!("{} {}", found.kind, found.origin.name()))
        .collect();
    insta::assert_snapshot!(kinds.join("\n"), @"
    f --plugin-dir
    v SYNTH_PLUGIN_DIR
    p path in synth.toml
    c plugin_dirs in synth.toml
    j project
    u user
    ");
}

#[test]
fn a_directory_that_is_named_has_to_be_there() {
    let mut scene = Scene::new("plugin_dirs = [\"tools\"]\n");
    scene.options.directories.flag.push(scene.path("no flag"));
    scene.options.directories.variable = vec![scene.path("no variable")];
    scene.options.directories.user = Some(scene.path("no user"));
    let problems = scene.load().map(drop).unwrap_err();
    insta::assert_snapshot!(scene.told(&problems), @"
    [plugin.directory.missing] the plugin directory `no flag` does not exist
      help: it is named by --plugin-dir
    [plugin.directory.missing] the plugin directory `no variable` does not exist
      help: it is named by SYNTH_PLUGIN_DIR
    [config.empty] `synth.toml` describes no targets
      help: write a first one with `synth init`
    [plugin.directory.missing] synth.toml:1:16 the plugin directory `project/tools` does not exist
      help: `plugin_dirs` are relative to synth.toml
    ");
}

#[test]
fn what_cannot_be_used_concerns_its_own_kind_alone() {
    for (name, kind) in [
        ("libsynth_target_greet.so", "greet"),
        ("other-1.0.so", "other"),
    ] {
        let scene = Scene::new(GREET).file(&format!("flag/{name}"), "no library");
        let loaded = scene.load();
        assert_eq!(
            loaded.is_ok(),
            kind == "greet",
            "the kind is known to be broken"
        );
        assert!(scene.selected(kind).starts_with("[plugin.not_a_library]"));
    }
    let scene = Scene::new(GREET)
        .file("user/libsynth_target_greet.so", "no library")
        .library("flag/libsynth_target_greet.so", "greet", "1.0.0");
    assert_eq!(scene.selected("greet"), "flag/libsynth_target_greet.so");
}

#[test]
fn an_unknown_type_names_the_files_that_it_may_be_in() {
    let scene = Scene::new(GREET).file("flag/welcome.so", "no library");
    let problems = scene.load().map(drop).unwrap_err();
    insta::assert_snapshot!(scene.told(&problems), @"
    [config.kind.unknown] synth.toml:2:8 target `a` is of an unknown type `greet`
      note: plugins that can't be used: `flag/welcome.so`
      help: known types: `linked`
      help: `synth plugin install synth-target-greet` installs a plugin for it
    ");
}

#[test]
fn of_two_plugins_for_a_kind_neither_is_used_until_synth_toml_says_which() {
    let scene = |plugins: &str| {
        Scene::new(&format!("{GREET}{plugins}"))
            .library("flag/one.so", "greet", "1.0.0")
            .library("user/two.so", "greet", "2.0.0")
            .library_of("user/three.so", "greet", "another-crate", "1.0.0")
    };
    insta::assert_snapshot!(scene("").selected("greet"), @r#"
    [plugin.conflict] there are 3 plugins for `greet`
      note: found synth-target-greet 1.0.0 at `flag/one.so`
      note: found another-crate 1.0.0 at `user/three.so`
      note: found synth-target-greet 2.0.0 at `user/two.so`
      help: choose in synth.toml, below `[plugins]`: `greet = { version = "=1.0.0", crate = "synth-target-greet" }` or `greet = { crate = "another-crate" }` or `greet = "=2.0.0"`
    "#);
    let chosen = |plugin: &str| scene(&format!("[plugins]\ngreet = {plugin}\n")).selected("greet");
    assert_eq!(chosen("\"^2\""), "user/two.so");
    assert_eq!(chosen("{ crate = \"another-crate\" }"), "user/three.so");
    assert_eq!(
        chosen("{ path = \"../user/two.so\" }"),
        "project/../user/two.so"
    );
    insta::assert_snapshot!(chosen("\"^3\""), @"
    [plugin.version] synth.toml:5:9 no plugin for `greet` is the one that synth.toml asks for: synth-target-greet ^3
      note: found synth-target-greet 1.0.0 at `flag/one.so`
      note: found another-crate 1.0.0 at `user/three.so`
      note: found synth-target-greet 2.0.0 at `user/two.so`
      help: `synth plugin update greet` gets one that fits
    ");
    insta::assert_snapshot!(chosen("{ path = \"none.so\" }"), @"
    [plugin.missing] synth.toml:5:18 the library of plugin `greet` does not exist: `project/none.so`
      help: `path` is relative to synth.toml
    ");
    insta::assert_snapshot!(chosen("\"builtin\""), @"
    [plugin.builtin] synth.toml:5:9 `greet` is to be the kind that synth brings, but this synth brings no such kind
      help: it brings `linked`
    ");
}

#[test]
fn the_same_library_found_twice_is_one() {
    let scene = Scene::new(GREET)
        .library("flag/one.so", "greet", "1.0.0")
        .library("user/two.so", "greet", "1.0.0");
    assert_eq!(scene.selected("greet"), "flag/one.so");
}

#[test]
fn a_plugin_for_a_kind_that_is_linked_in_has_to_be_chosen() {
    let scene = |plugins: &str| {
        Scene::new(&format!("[plugins]\n{plugins}")).library("user/x.so", "linked", "1.2.0")
    };
    insta::assert_snapshot!(scene("").selected("linked"), @r#"
    [plugin.conflict] there is a plugin for `linked`, which synth brings itself
      note: synth brings synth-target-linked 0.1.0
      note: found synth-target-linked 1.2.0 at `user/x.so`
      help: choose in synth.toml, below `[plugins]`: `linked = "builtin"` for synth's own, or `linked = "^1.2.0"` for the plugin
    "#);
    assert_eq!(scene("linked = \"builtin\"").selected("linked"), "linked");
    assert_eq!(
        scene("linked = { builtin = true }").selected("linked"),
        "linked"
    );
    assert_eq!(scene("linked = \"^1\"").selected("linked"), "user/x.so");
    insta::assert_snapshot!(scene("linked = \"^2\"").selected("linked"), @"
    [plugin.version] synth.toml:2:10 no plugin for `linked` is the one that synth.toml asks for: synth-target-linked ^2
      note: found synth-target-linked 1.2.0 at `user/x.so`
      help: `synth plugin update linked` gets one that fits
    ");
    let broken = Scene::new("").file("user/linked.so", "no library");
    assert_eq!(broken.selected("linked"), "linked");
}

#[test]
fn a_pin_that_cannot_be_met_here_can_be_renewed() {
    let lock = format!(
        "version = 1\n[plugins.greet]\ncrate = \"ours\"\nversion = \"1.0.0\"\n\
         source = \"path+ours\"\n[plugins.greet.sha256]\n{HOST_TRIPLE} = \"{}\"\n",
        "0".repeat(64)
    );
    let survey = Scene::new(GREET).file("project/synth.lock", &lock).survey();
    let missing = survey.missing("greet", &Registry::new()).unwrap();
    assert!(missing.sha256.is_some());
    let anew = survey.anew("greet").unwrap();
    assert_eq!(anew.source, missing.source);
    assert_eq!(
        (anew.version, anew.sha256),
        (semver::VersionReq::STAR, None)
    );
    assert!(survey.anew("other").is_none());
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let scene = Scene::new(GREET);
    std::os::unix::fs::symlink("/dev/zero", scene.path("flag/greet.so")).unwrap();
    insta::assert_snapshot!(scene.selected("greet"), @"
    [plugin.unreadable] `flag/greet.so` can't be used as a plugin
      note: it can't be read: it is not a regular file
      help: check the file and its permissions
    ");
}

#[test]
fn libraries_that_others_can_write_to_are_refused() {
    for path in ["flag", "flag/greet.so"] {
        let scene = Scene::new(GREET).library("flag/greet.so", "greet", "1.0.0");
        let mode = |mode| {
            fs::set_permissions(scene.path(path), Permissions::from_mode(mode)).unwrap();
        };
        for refused in [0o777, 0o1777] {
            mode(refused);
            let told = scene.selected("greet");
            assert!(
                told.starts_with("[plugin.insecure]"),
                "{path} {refused:o}: {told}"
            );
            assert!(
                told.ends_with("path`") || told.contains(&format!("{path}`")),
                "{told}"
            );
        }
        mode(0o775);
        assert_eq!(scene.selected("greet"), "flag/greet.so");
    }
}

#[test]
fn a_link_is_judged_by_where_it_leads() {
    let scene = Scene::new(GREET).library("elsewhere/greet.so", "greet", "1.0.0");
    std::os::unix::fs::symlink("../elsewhere/greet.so", scene.path("flag/greet.so")).unwrap();
    assert_eq!(scene.selected("greet"), "flag/greet.so");
    let everybody = Permissions::from_mode(0o757);
    fs::set_permissions(scene.path("elsewhere"), everybody).unwrap();
    insta::assert_snapshot!(scene.selected("greet"), @"
    [plugin.insecure] everybody can write to `elsewhere`: plugins from this directory are not used
      help: if you trust what is there: `chmod o-w elsewhere`
    ");
}

#[test]
fn a_plugin_that_synth_toml_names_is_pinned_when_it_is_first_used() {
    let scene = Scene::new(&format!(
        "{GREET}[plugins]\ngreet = \"^1\"\nother = \"1\"\n"
    ))
    .library("flag/greet.so", "greet", "1.0.0")
    .library("flag/other.so", "other", "1.0.0")
    .library("flag/unnamed.so", "unnamed", "1.0.0");
    let linked = Registry::new();
    let pin = || {
        let loaded = scene
            .load()
            .map_err(|problems| scene.told(&problems))
            .unwrap();
        loaded.plugins.pin(&loaded.pipeline, &linked).unwrap()
    };
    assert_eq!(pin(), ["greet"]);
    assert_eq!(pin(), [] as [&str; 0]);
    write_library(
        &scene.path("flag/greet.so"),
        "greet",
        "synth-target-greet",
        "1.0.1",
    );
    insta::assert_snapshot!(scene.selected("greet"), @"
    [plugin.pin] `flag/greet.so` is not the plugin for `greet` that synth.lock has, and is not opened
      note: expected: synth-target-greet 1.0.0, SHA-256 [SHA256]
      note: found: synth-target-greet 1.0.1, SHA-256 [SHA256]
      help: if it was replaced on purpose: `synth plugin update greet`
      help: if not: put the one of synth.lock back
    ");
}

#[test]
fn a_pin_chooses_between_two() {
    let scene = Scene::new(GREET)
        .library("flag/one.so", "greet", "1.0.0")
        .library("user/two.so", "greet", "2.0.0");
    let survey = scene.survey();
    let two = survey
        .found
        .iter()
        .find(|found| found.path.ends_with("two.so"))
        .unwrap();
    survey.pin_to("greet", two.file.as_ref().unwrap()).unwrap();
    assert_eq!(scene.selected("greet"), "user/two.so");
}

#[test]
fn without_a_pin_nothing_is_opened_where_pins_are_asked_for() {
    let mut scene = Scene::new(GREET).library("flag/greet.so", "greet", "1.0.0");
    scene.options.locked = true;
    insta::assert_snapshot!(scene.selected("greet"), @r#"
    [plugin.unpinned] `flag/greet.so` is not opened: synth.lock has no digest of synth-target-greet 1.0.0 for this machine, and `--locked` asks for one
      help: name it in synth.toml (`[plugins]`, `greet = "^1.0.0"`) and run `synth build` once without `--locked`, then commit synth.lock
    "#);
}

#[test]
fn a_pin_of_another_machine_is_added_to() {
    let scene = |version: &str| {
        let lock = format!(
            "version = 1\n[plugins.greet]\ncrate = \"synth-target-greet\"\nversion = \"{version}\"\n\
             [plugins.greet.sha256]\nriscv64-unknown-linux-gnu = \"{}\"\n",
            "0".repeat(64)
        );
        Scene::new(GREET)
            .library("flag/greet.so", "greet", "1.0.0")
            .file("project/synth.lock", &lock)
    };
    let same = scene("1.0.0");
    let loaded = same.load().unwrap();
    assert_eq!(
        loaded
            .plugins
            .pin(&loaded.pipeline, &Registry::new())
            .unwrap(),
        ["greet"]
    );
    let lock = Lock::read(&same.path("project")).unwrap();
    assert_eq!(lock.pin("greet").unwrap().sha256.len(), 2);
    insta::assert_snapshot!(scene("1.1.0").selected("greet"), @"
    [plugin.pin] `flag/greet.so` is not the plugin for `greet` that synth.lock has, and is not opened
      note: expected: synth-target-greet 1.1.0, another version
      note: found: synth-target-greet 1.0.0, SHA-256 [SHA256]
      help: if it was replaced on purpose: `synth plugin update greet`
      help: if not: put the one of synth.lock back
    ");
}

#[test]
fn the_index_answers_for_files_that_have_not_changed() {
    let scene = Scene::new(GREET).library("flag/greet.so", "greet", "1.0.0");
    let library = scene.path("flag/greet.so");
    let index = scene.options.index.clone().unwrap();
    // A file that was just written may be written again within one tick of the clock.
    scene.survey();
    assert!(!index.exists());
    let mut kept = super::index::Index::at(Some(index.clone()));
    kept.believe_settled();
    let read = kept.plugin_file(&library).unwrap();
    kept.save();
    let again = super::index::Index::at(Some(index.clone()))
        .plugin_file(&library)
        .unwrap();
    assert_eq!(again, read);
    for damaged in ["", "{", "{\"version\":2,\"files\":{}}", "[1]"] {
        fs::write(&index, damaged).unwrap();
        assert_eq!(scene.selected("greet"), "flag/greet.so", "{damaged}");
    }
}

#[test]
fn what_is_wrong_in_the_table_of_plugins_is_told_at_its_place() {
    let scene = Scene::new(
        r#"
plugin_dirs = "tools"
[plugins]
Greet = "1"
a = "new"
b = { verison = "1" }
c = { isolation = "thread", timeout_seconds = 0, memory_mb = "much" }
d = { source = "somewhere" }
e = { builtin = true, version = "1" }
f = 7
[targets.t]
type = "linked"
source_path = "src"
[environments.x]
plugins = { a = "1" }
"#,
    );
    let problems = scene.load().map(drop).unwrap_err();
    insta::assert_snapshot!(scene.told(&problems), @r#"
    [config.type] synth.toml:2:15 `plugin_dirs` of `synth.toml` is a text, but a list was expected
    [config.plugins.kind] synth.toml:4:1 `Greet` can't be a target kind
      help: `[plugins]` names kinds, as `type` does: lower-case letters, digits and `-`
    [config.plugins.version] synth.toml:5:5 `new` is no version requirement for plugin `a`
      note: unexpected character 'n' while parsing major version number
      help: write one as Cargo has them, such as `"^1.2"`, or `"builtin"`
    [config.unknown_key] synth.toml:6:7 plugin `b` has an unknown key `verison`
      help: did you mean `version`?
    [config.value] synth.toml:7:19 `isolation` of plugin `c` can't be `thread`; it is one of `process` and `none`
    [config.value] synth.toml:7:47 `timeout_seconds` of plugin `c` is 0; the least is 1
    [config.type] synth.toml:7:62 `memory_mb` of plugin `c` is a text, but a whole number was expected
    [config.plugins.source] synth.toml:8:16 `source` of plugin `d`: `somewhere` is no source of a plugin
      help: write `crates.io`, `path+DIR`, `file+LIBRARY`, `git+URL`, `git+URL?tag=NAME` or `https://..#sha256=DIGEST`
    [config.plugins.builtin] synth.toml:9:17 plugin `e` is to be `builtin`, which goes with no other key
      help: write `e = "builtin"`, or leave `builtin` out
    [config.type] synth.toml:10:5 `plugins.f` of `synth.toml` is a number, but a text or a table was expected
    [config.plugins.environment] synth.toml:15:1 `plugins` can't differ by environment
      help: move it out of `[environments.x]`
    "#);
}

#[test]
fn a_library_that_is_replaced_meanwhile_is_not_opened() {
    let scene = Scene::new(GREET).library("flag/greet.so", "greet", "1.0.0");
    let registry = scene.survey().registry(&Registry::new());
    let scene = scene.library("flag/new.so", "greet", "1.0.1");
    fs::rename(scene.path("flag/new.so"), scene.path("flag/greet.so")).unwrap();
    let project = crate::Project::at(scene.path("project"));
    let target = TargetSpec::new("a", "greet", ProjectPath::default());
    let problems = registry
        .kind("greet")
        .unwrap()
        .validate(&target, project.as_ref());
    insta::assert_snapshot!(scene.told(&problems), @"
    [plugin.changed] the library of plugin `synth-target-greet 1.0.0` was replaced or removed meanwhile
      note: it is `flag/greet.so`
      help: run the command again, when the library is in its place
    ");
}

#[test]
fn a_lock_that_cannot_be_read_stops_everything() {
    let scene = Scene::new(GREET)
        .library("flag/greet.so", "greet", "1.0.0")
        .file("project/synth.lock", "<<<<<<< HEAD\n");
    let problems = scene.load().map(drop).unwrap_err();
    insta::assert_snapshot!(scene.told(&problems), @"
    [lock.syntax] synth.lock:1:9 `synth.lock` can't be read: key with no value, expected `=`
      help: restore it from version control, or remove it and run `synth plugin install`
    ");
}
