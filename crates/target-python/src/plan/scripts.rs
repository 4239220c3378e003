//! The parts of the build that run in Python, carried along with this crate.

use synth_core::Action;

use super::inline;

/// Their texts, by the name of their file.
const SCRIPTS: [(&str, &str); 8] = [
    ("backend.py", include_str!("../tools/backend.py")),
    ("environment.py", include_str!("../tools/environment.py")),
    ("imports.py", include_str!("../tools/imports.py")),
    ("install.py", include_str!("../tools/install.py")),
    ("installer.py", include_str!("../tools/installer.py")),
    ("relocate.py", include_str!("../tools/relocate.py")),
    ("resolve.py", include_str!("../tools/resolve.py")),
    ("tests.py", include_str!("../tools/tests.py")),
];

/// Puts scripts into the directory `tools` of an action.
pub(super) fn with_scripts(action: Action, names: &[&str]) -> Action {
    let wanted = SCRIPTS.iter().filter(|(name, _)| names.contains(name));
    wanted.fold(action, |action, (name, text)| {
        action.input(format!("tools/{name}"), inline((*text).to_owned()))
    })
}
