//! Python projects of other shapes than the example's, and both installers.

use std::env;
use std::ffi::OsString;

use crate::workspace::{Workspace, text};

fn project(files: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::with_files(files.iter().copied());
    workspace.write(
        "synth.toml",
        "[targets.api]\ntype = \"python\"\nsource_path = \"api\"\n",
    );
    workspace
}

const SETUP_PY: [(&str, &str); 3] = [
    (
        "api/setup.py",
        "from setuptools import setup\n\nsetup(name=\"Old.Shop\", version=\"0.9\", packages=[\"old_shop\"], python_requires=\">=3.8\")\n",
    ),
    ("api/old_shop/__init__.py", "PRICE = 5\n"),
    (
        "api/tests/test_price.py",
        "import old_shop\n\n\ndef test_price():\n    assert old_shop.PRICE == 5\n",
    ),
];

/// The developer's `PATH` without the directories that hold uv.
fn path_without_uv() -> OsString {
    let path = env::var_os("PATH").unwrap();
    let without = env::split_paths(&path).filter(|directory| !directory.join("uv").exists());
    env::join_paths(without).unwrap()
}

#[test]
fn a_setup_py_alone_is_built_and_tested() {
    let workspace = project(&SETUP_PY);
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(
        workspace.files("dist/api"),
        ["old_shop-0.9-py3-none-any.whl", "old_shop-0.9.tar.gz"]
    );
    assert!(
        report.executed().contains(&"api:test".to_owned()),
        "{:?}",
        report.executed()
    );
}

#[test]
fn pip_gives_the_same_wheel_as_uv() {
    let with_uv = project(&SETUP_PY);
    with_uv.append("synth.toml", "tests = false\n");
    with_uv.build([""; 0]).succeeded();
    let with_pip = project(&SETUP_PY).variable("PATH", path_without_uv());
    with_pip.build([""; 0]).succeeded();
    let wheel =
        |workspace: &Workspace| std::fs::read(workspace.only_file("dist/api", ".whl")).unwrap();
    assert!(wheel(&with_uv) == wheel(&with_pip), "the wheels differ");
}

#[test]
fn tests_can_be_turned_off_or_be_a_command() {
    let workspace = project(&SETUP_PY);
    workspace.append("api/tests/test_price.py", "    assert False\n");
    workspace.append("synth.toml", "tests = false\n");
    let report = workspace.build([""; 0]).succeeded();
    assert!(!report.executed().contains(&"api:test".to_owned()));

    workspace.write(
        "synth.toml",
        "[targets.api]\ntype = \"python\"\nsource_path = \"api\"\ntest_command = \"python -c 'import old_shop; assert old_shop.PRICE == 5'\"\n",
    );
    let report = workspace.build([""; 0]).succeeded();
    assert!(report.executed().contains(&"api:test".to_owned()));
}

#[test]
fn artifacts_carry_name_and_version() {
    let workspace = project(&SETUP_PY);
    workspace.append("synth.toml", "tests = false\n");
    let report = workspace.build([""; 0]).succeeded();
    let artifacts = report.target("api")["artifacts"].as_array().unwrap();
    let kinds: Vec<&str> = artifacts
        .iter()
        .map(|artifact| text(&artifact["kind"]))
        .collect();
    assert_eq!(kinds, ["python.wheel", "python.sdist"]);
    for artifact in artifacts {
        assert_eq!(artifact["attributes"]["version"], "0.9", "{artifact}");
    }
}
