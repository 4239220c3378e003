//! Sites made by a tool chain of the user's own: Node's npm, with a package from its registry.

use crate::workspace::Workspace;

const CONFIGURATION: &str = r#"
[targets.admin]
type = "static"
source_path = "admin"
install_command = "npm ci"
build_command = "npm run build"
build_output = "public"
"#;

const PACKAGE: &str = r#"{
  "name": "admin",
  "version": "1.0.0",
  "private": true,
  "scripts": { "build": "node build.js" },
  "dependencies": { "is-number": "7.0.0" }
}
"#;

const LOCK: &str = r#"{
  "name": "admin",
  "version": "1.0.0",
  "lockfileVersion": 3,
  "requires": true,
  "packages": {
    "": { "name": "admin", "version": "1.0.0", "dependencies": { "is-number": "7.0.0" } },
    "node_modules/is-number": {
      "version": "7.0.0",
      "integrity": "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==",
      "license": "MIT",
      "engines": { "node": ">=0.12.0" }
    }
  }
}
"#;

const BUILD: &str = r#"const fs = require("fs");
const isNumber = require("is-number");
fs.mkdirSync("public", { recursive: true });
const page = `<!doctype html><html lang="en"><title>Admin</title><p>${isNumber("7")}</p></html>`;
fs.writeFileSync("public/index.html", page);
"#;

#[test]
fn packages_are_installed_again_only_when_they_change() {
    let workspace = Workspace::with_files([
        ("synth.toml", CONFIGURATION),
        ("admin/package.json", PACKAGE),
        ("admin/package-lock.json", LOCK),
        ("admin/build.js", BUILD),
    ]);
    workspace.build([""; 0]).succeeded();
    assert!(workspace.read("dist/admin/index.html").contains("true"));
    assert!(
        workspace
            .read("dist/admin/manifest.json")
            .contains("index.html")
    );

    workspace.append("admin/build.js", "console.log('built');\n");
    let report = workspace.build([""; 0]).succeeded();
    let executed = report.executed();
    assert!(executed.contains(&"admin:build".to_owned()), "{executed:?}");
    assert!(
        !executed.contains(&"admin:install".to_owned()),
        "{executed:?}"
    );
}
