//! Turborepo: npm workspaces, each with a script `build`, which it starts through npm.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::super::contender::Contender;
use super::super::scenario::Scenario;
use super::super::tree::{PACKAGES, Tree};
use super::command;

pub(crate) const NAME: &str = "Turborepo";

/// Writes turbo.json, and package.json and the lock file as npm does.
pub(crate) fn configure(tree: &Tree<'_>, bundle: &Path) -> Result<()> {
    let workspaces = [format!("{PACKAGES}/*")];
    let root = json!({
        "name": "monorepo",
        "private": true,
        "packageManager": "npm@10.9.0",
        "workspaces": workspaces,
    });
    tree.write("package.json", &root.to_string())?;
    let turbo = json!({ "tasks": { "build": {
        "dependsOn": ["^build"],
        "inputs": ["src/**"],
        "outputs": ["out/**"],
    }}});
    tree.write("turbo.json", &turbo.to_string())?;
    let mut locked = Map::new();
    locked.insert(
        String::new(),
        json!({ "name": "monorepo", "workspaces": workspaces }),
    );
    for target in &tree.graph.targets {
        let name = &target.name;
        let needs = tree.graph.needs(target);
        let needs: Map<String, Value> = needs.map(|need| (need.into(), "1.0.0".into())).collect();
        let package = json!({
            "name": name,
            "version": "1.0.0",
            "private": true,
            "scripts": { "build": command(tree, target, bundle, ".").join(" ") },
            "dependencies": needs,
        });
        let place = format!("{PACKAGES}/{name}");
        tree.write(format!("{place}/package.json"), &package.to_string())?;
        let link = json!({ "resolved": place, "link": true });
        locked.insert(format!("node_modules/{name}"), link);
        locked.insert(place, json!({ "version": "1.0.0", "dependencies": needs }));
    }
    let lock = json!({
        "name": "monorepo",
        "lockfileVersion": 3,
        "requires": true,
        "packages": locked,
    });
    tree.write("package-lock.json", &lock.to_string())
}

/// turbo with the cache of this machine alone.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>, turbo: &Path, jobs: usize) -> Contender<'a> {
    let arguments = [
        "--skip-infer",
        "--no-update-notifier",
        "run",
        "build",
        "--cache=local:rw",
        "--output-logs=errors-only",
        "--ui=stream",
    ];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.push(format!("--concurrency={jobs}"));
    Contender {
        name: NAME,
        tree,
        program: turbo.to_owned(),
        arguments,
        variables: vec![("TURBO_TELEMETRY_DISABLED", "1".into())],
        memory: &[".turbo", "node_modules", "packages/*/.turbo"],
        scenarios: &Scenario::ALL,
    }
}
