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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use synth_core::testkit::TestProject;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_types, reason = "the scripts are tried out")]
    fn pip_is_not_told_to_install_for_the_user() {
        let directory = TestProject::new().unwrap();
        for (name, text) in SCRIPTS {
            directory.write(&format!("tools/{name}"), text).unwrap();
        }
        let pip = "#!/bin/sh\nprintf %s \"$PIP_USER\" > said\n";
        directory.write("installer/bin/python", pip).unwrap();
        let path = directory.path().join("installer/bin/python");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let status = std::process::Command::new("python3")
            .args([
                "-B",
                "-c",
                "import install; install.into('pip', 'env', [], True)",
            ])
            .current_dir(directory.path())
            .env("PYTHONPATH", "tools")
            .env("PIP_USER", "1")
            .status();
        assert!(status.unwrap().success());
        let said = fs::read_to_string(directory.path().join("said")).unwrap();
        assert_eq!(said, "0");
    }
}
