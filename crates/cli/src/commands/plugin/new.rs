//! `synth plugin new`: a crate with a target kind that works, to be made into another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use synth_core::{Concern, Diagnostic};
use synth_engine::Registry;
use synth_engine::plugin::is_kind;

use super::{Outcome, directory, print};
use crate::arguments::{Global, NewArguments};
use crate::exit;
use crate::render::diagnostics;

/// The files of the crate, by path, with words in `{{}}` that are replaced.
const FILES: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        include_str!("../../../templates/target/Cargo.toml.in"),
    ),
    (
        "README.md",
        include_str!("../../../templates/target/README.md.in"),
    ),
    (
        ".gitignore",
        include_str!("../../../templates/target/gitignore.in"),
    ),
    (
        "src/lib.rs",
        include_str!("../../../templates/target/src/lib.rs.in"),
    ),
    (
        "tests/{{test}}.rs",
        include_str!("../../../templates/target/tests/target.rs.in"),
    ),
];

/// The prefix of crates that bring a kind.
const PREFIX: &str = "synth-target-";

pub(crate) fn run(global: &Global, arguments: &NewArguments, linked: &Registry) -> Outcome {
    let parent = directory(global)?;
    let kind = arguments
        .name
        .strip_prefix(PREFIX)
        .unwrap_or(&arguments.name);
    check_kind(kind)?;
    let shown = arguments.path.clone().unwrap_or_else(|| kind.into());
    let directory = parent.join(&shown);
    let core = core(&parent, arguments.core.as_deref())?;
    refuse_existing(&directory, &shown)?;
    if linked.contains(kind) {
        let warning = Diagnostic::warning(
            "plugin.new.built_in",
            format!("synth brings a kind `{kind}` itself"),
        )
        .help(format!(
            "a pipeline that is to use this one says so in synth.toml, below `[plugins]`: `{kind} = \"^0.1\"`"
        ));
        diagnostics::show(&[warning], None);
    }
    write(&directory, kind, &core).map_err(|error| {
        Diagnostic::error(
            "plugin.new",
            format!("`{}` can't be written", directory.display()),
        )
        .concerning(Concern::State)
        .caused_by(&error)
    })?;
    if !global.quiet {
        let path = shown.display();
        print(&format!(
            "wrote {PREFIX}{kind} to {path}\nnext: `cargo test` in it, then `synth plugin install --path {path}`"
        ));
    }
    Ok(exit::SUCCESS)
}

fn check_kind(kind: &str) -> Result<(), Diagnostic> {
    if is_kind(kind) {
        return Ok(());
    }
    let reason = if kind.is_empty() {
        "it is empty"
    } else if !kind.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it does not begin with a lower-case letter"
    } else if kind.ends_with('-') {
        "it ends with `-`"
    } else if kind.len() > 64 {
        "it has more than 64 characters"
    } else {
        "it has other characters than lower-case letters, digits and `-`"
    };
    Err(Diagnostic::error(
        "plugin.new.name",
        format!(
            "`{}` can't be the name of a target kind: {reason}",
            kind.escape_debug()
        ),
    )
    .help("choose a word such as `greet` or `my-site`"))
}

/// Where the new crate finds synth-core.
enum Core {
    /// A directory.
    Local(PathBuf),
    /// The registry.
    Published,
}

/// The core that is named, that of the checkout that this synth was compiled from if it is still
/// there, or the published one.
fn core(parent: &Path, named: Option<&Path>) -> Result<Core, Diagnostic> {
    if let Some(named) = named {
        let path = parent.join(named);
        return match core_version(&path) {
            Some(_) => Ok(Core::Local(fs::canonicalize(&path).unwrap_or(path))),
            None => Err(Diagnostic::error(
                "plugin.new.core",
                format!("`{}` is not the directory of synth-core", named.display()),
            )
            .help("name the directory `crates/core` of synth's sources")),
        };
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core");
    if core_version(&beside).as_deref() == Some(env!("CARGO_PKG_VERSION")) {
        return Ok(Core::Local(fs::canonicalize(&beside).unwrap_or(beside)));
    }
    Ok(Core::Published)
}

/// The version of synth-core in a directory; none when it is not there.
fn core_version(directory: &Path) -> Option<String> {
    let manifest = |path: &Path| -> Option<toml::Table> {
        fs::read_to_string(path.join("Cargo.toml"))
            .ok()?
            .parse()
            .ok()
    };
    let package = manifest(directory)?.remove("package")?;
    if package.get("name")?.as_str()? != "synth-core" {
        return None;
    }
    match package.get("version")? {
        toml::Value::String(version) => Some(version.clone()),
        // As its workspace says.
        _ => {
            let workspace = manifest(&directory.join("../.."))?;
            let version = workspace.get("workspace")?.get("package")?.get("version")?;
            version.as_str().map(ToOwned::to_owned)
        }
    }
}

fn refuse_existing(directory: &Path, shown: &Path) -> Result<(), Diagnostic> {
    let shown = shown.display();
    match fs::read_dir(directory).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Diagnostic::error(
            "plugin.new.exists",
            format!("the directory `{shown}` is not empty"),
        )
        .help("choose another one with `--path DIR`")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Diagnostic::error(
            "plugin.new.directory",
            format!("`{shown}` can't be used as a directory"),
        )
        .caused_by(&error)),
    }
}

fn write(directory: &Path, kind: &str, core: &Core) -> io::Result<()> {
    let crate_name = format!("{PREFIX}{kind}");
    let version = env!("CARGO_PKG_VERSION");
    let dependency = match core {
        Core::Local(path) => {
            let path = toml::Value::String(path.to_string_lossy().into_owned());
            format!("path = {path}, version = \"{version}\"")
        }
        Core::Published => format!("version = \"{version}\""),
    };
    let words = [
        ("{{kind}}", kind.to_owned()),
        ("{{type}}", type_name(kind)),
        ("{{library}}", crate_name.replace('-', "_")),
        ("{{core}}", dependency),
        (
            "{{rust_version}}",
            env!("CARGO_PKG_RUST_VERSION").to_owned(),
        ),
    ];
    for (path, template) in FILES {
        let mut text = words
            .iter()
            .fold(template.to_owned(), |text, (word, value)| {
                text.replace(word, value)
            });
        if path == "Cargo.toml" && is_in_workspace(directory) {
            text.push_str("\n# On its own: no member of the workspace further up.\n[workspace]\n");
        }
        let path = directory.join(path.replace("{{test}}", &kind.replace('-', "_")));
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, text)?;
    }
    let description = serde_json::to_string_pretty(&description(kind))? + "\n";
    fs::write(directory.join("synth-target.json"), description)?;
    if let Core::Local(path) = core {
        // The versions that synth itself was compiled with, which are on this machine. What the
        // crate does not need, cargo takes out.
        let lock = path.join("../../Cargo.lock");
        if lock.is_file() {
            fs::copy(lock, directory.join("Cargo.lock"))?;
        }
    }
    Ok(())
}

/// `MyKind` for `my-kind`, and `PlanKind` for a word that the crate has in another meaning.
fn type_name(kind: &str) -> String {
    let mut name = String::new();
    for word in kind.split('-').filter(|word| !word.is_empty()) {
        let mut characters = word.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    let mut words = FILES
        .iter()
        .flat_map(|(_, text)| text.split(|c: char| !c.is_ascii_alphanumeric()));
    if name == "Self" || words.any(|word| word == name) {
        name.push_str("Kind");
    }
    name
}

/// Whether a directory further up is a workspace, to which cargo would count the crate.
fn is_in_workspace(directory: &Path) -> bool {
    directory.ancestors().skip(1).any(|above| {
        let text = fs::read_to_string(above.join("Cargo.toml")).unwrap_or_default();
        text.parse::<toml::Table>()
            .is_ok_and(|manifest| manifest.contains_key("workspace"))
    })
}

/// What the new kind says of itself, as its tests would write it.
fn description(kind: &str) -> serde_json::Value {
    json!({
        "kind": kind,
        "description": "a greeting in a file",
        "settings_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Settings",
            "description": "The keys of a target of this kind in synth.toml. These comments are what its users read.",
            "type": "object",
            "properties": {
                "name": {
                    "description": "Who is greeted.",
                    "type": "string",
                    "default": "world"
                }
            },
            "additionalProperties": false
        },
        "setting_aliases": []
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_after_their_kinds() {
        for (kind, name) in [
            ("greet", "Greet"),
            ("my-kind2", "MyKind2"),
            ("a--b", "AB"),
            ("plan", "PlanKind"),
            ("build-target", "BuildTargetKind"),
            ("settings", "SettingsKind"),
            ("self", "SelfKind"),
        ] {
            assert_eq!(type_name(kind), name);
        }
    }

    #[test]
    fn no_word_of_a_template_is_left() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), "my-kind", &Core::Published).unwrap();
        for (path, _) in FILES {
            let path = path.replace("{{test}}", "my_kind");
            let text = fs::read_to_string(directory.path().join(&path)).unwrap();
            assert!(!text.contains("{{"), "{path}:\n{text}");
        }
    }
}
