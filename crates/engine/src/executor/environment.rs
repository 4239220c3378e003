//! The variables that an action's processes see: what is declared, what is passed on by name, and
//! a few that are the same everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use synth_core::{Action, InputSource, ProjectPath, ROOT, Tool};

use crate::sandbox::{self, INSIDE};
use crate::work::{HOME, TEMPORARY};

/// Searched after the directories of an action's tools.
const SYSTEM_PATH: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// 1980-01-01 UTC: the time of everything that is built, unless a target says otherwise
/// (reproducible-builds.org, "SOURCE_DATE_EPOCH").
const SOURCE_DATE_EPOCH: &str = "315532800";

/// The directories an action works in.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    /// The inputs; also where [`Exec`](synth_core::Exec) leaves its outputs.
    pub(crate) root: PathBuf,
    pub(crate) outputs: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) temporary: PathBuf,
}

impl Directories {
    pub(crate) fn below(directory: &Path) -> Self {
        Self {
            root: directory.join(sandbox::ROOT),
            outputs: directory.join("outputs"),
            scratch: directory.join("scratch"),
            home: directory.join(HOME),
            temporary: directory.join(TEMPORARY),
        }
    }

    /// The same directories as an action in a sandbox sees them: in every build at one place.
    pub(crate) fn inside() -> Self {
        Self {
            temporary: PathBuf::from("/tmp"),
            ..Self::below(Path::new(INSIDE))
        }
    }
}

/// The variables of an action's processes, `passed` those of the user's own that are handed on.
pub(crate) fn environment(
    action: &Action,
    declared: &BTreeMap<String, String>,
    passed: Vec<(String, OsString)>,
    directories: &Directories,
) -> BTreeMap<String, OsString> {
    let mut variables: BTreeMap<String, OsString> = BTreeMap::from([
        ("PATH".into(), search_path(&action.tools)),
        ("HOME".into(), directories.home.clone().into()),
        ("TMPDIR".into(), directories.temporary.clone().into()),
        ("LANG".into(), "C.UTF-8".into()),
        ("TZ".into(), "UTC".into()),
        ("SOURCE_DATE_EPOCH".into(), SOURCE_DATE_EPOCH.into()),
    ]);
    for input in &action.inputs {
        if let InputSource::Target { name } = &input.from {
            let at = ProjectPath::parse(&input.at).unwrap_or_default();
            let path = directories.root.join(at.as_str());
            variables.insert(output_variable(name), path.into());
        }
    }
    variables.extend(passed);
    variables.extend(
        declared
            .iter()
            .map(|(name, value)| (name.clone(), with_root(value, &directories.root).into())),
    );
    variables
}

/// Those of the user's variables that are named in `pass`.
pub(crate) fn passed_on(
    pass: &[String],
    user: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (String, OsString)> {
    user.filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let passed = pass.iter().any(|pattern| is_named(pattern, &name));
        passed.then_some((name, value))
    })
}

/// Replaces [`ROOT`] by where the root is.
pub(crate) fn with_root(text: &str, root: &Path) -> String {
    text.replace(ROOT, &root.to_string_lossy())
}

/// The variable that holds where a needed target's outputs are: `SYNTH_OUT_MY_API` for `my-api`.
pub(crate) fn output_variable(target: &str) -> String {
    let name: String = target
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("SYNTH_OUT_{name}")
}

fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

pub(crate) fn search_path(tools: &[Tool]) -> OsString {
    let mut seen = BTreeSet::new();
    let directories = tools
        .iter()
        .filter_map(|tool| tool.path.parent().map(Path::to_owned))
        .chain(SYSTEM_PATH.iter().map(PathBuf::from))
        .filter(|directory| seen.insert(directory.clone()));
    let joined: Vec<PathBuf> = directories.collect();
    // A directory whose name holds a colon can't be searched; the rest can.
    std::env::join_paths(&joined).unwrap_or_else(|_| SYSTEM_PATH.join(":").into())
}

#[cfg(test)]
mod tests {
    use synth_core::{Exec, Phase};

    use super::*;

    #[test]
    fn only_what_is_declared_or_passed_on_is_seen() {
        let action = Action::new("a", Phase::Build, "a", Exec::new(["a"])).input(
            "needs/my-api",
            InputSource::Target {
                name: "my-api".into(),
            },
        );
        let declared = BTreeMap::from([("VENV".into(), format!("{ROOT}/venv"))]);
        let user = [
            ("SECRET", "x"),
            ("PIP_INDEX_URL", "i"),
            ("HOME", "/home/user"),
        ];
        let user = user.map(|(name, value)| (name.into(), value.into()));
        let pass = ["PIP_*".into(), "HOME".into()];
        let passed = passed_on(&pass, user.into_iter());
        let variables = environment(
            &action,
            &declared,
            passed.collect(),
            &Directories::below(Path::new("/work")),
        );
        let shown: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_string_lossy()))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        HOME=/home/user
        LANG=C.UTF-8
        PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin
        PIP_INDEX_URL=i
        SOURCE_DATE_EPOCH=315532800
        SYNTH_OUT_MY_API=/work/root/needs/my-api
        TMPDIR=/work/tmp
        TZ=UTC
        VENV=/work/root/venv
        ");
    }
}
