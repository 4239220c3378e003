//! Sites that a tool chain makes: the plan that runs it.

use crate::StaticTarget;
use synth_core::testkit::TestProject;
use synth_core::{
    ActionKind, BuildTarget, Digest, InputSource, Network, Plan, ProjectPath, TargetSpec, Tool,
};

use super::pipeline::{project, render, target};

fn with_tools(project: TestProject, names: &[&str]) -> TestProject {
    names.iter().fold(project, |project, name| {
        project.with_tool(Tool {
            name: (*name).to_owned(),
            path: format!("/bin/{name}").into(),
            version_output: "1.0".into(),
            digest: Digest::new("0".repeat(64), 0).unwrap(),
        })
    })
}

/// A plan's actions as lines.
fn render_plan(plan: &Plan) -> String {
    let mut text = String::new();
    for action in &plan.actions {
        let network = match action.network {
            Network::Allowed => " with network",
            Network::None => "",
        };
        text.push_str(&format!("{} ({}){network}\n", action.id, action.phase));
        match &action.kind {
            ActionKind::Exec(exec) => {
                text.push_str(&format!(
                    "  run {:?} in {}\n",
                    exec.argv, exec.working_directory
                ));
            }
            ActionKind::Native(native) => text.push_str(&format!("  call {}\n", native.function)),
            _ => {}
        }
        let tools: Vec<&str> = action.tools.iter().map(|tool| tool.name.as_str()).collect();
        if !tools.is_empty() {
            text.push_str(&format!("  tools {}\n", tools.join(", ")));
        }
        for input in &action.inputs {
            let from = match &input.from {
                InputSource::Source(files) => {
                    format!("{} include {:?}", files.root, files.include)
                }
                InputSource::Output { action, output } => format!("{output} of {action}"),
                InputSource::Target { name } => format!("target {name}"),
                other => format!("{other:?}"),
            };
            text.push_str(&format!("  in {} <- {from}\n", input.at));
        }
        for output in &action.outputs {
            text.push_str(&format!("  out {} -> {}\n", output.name, output.path));
        }
    }
    text
}

fn plan(project: &TestProject, target: &TargetSpec) -> String {
    match StaticTarget.plan(target, project) {
        Ok(plan) => render_plan(&plan),
        Err(problems) => render(&problems),
    }
}

const VITE: &str = r#"{ "name": "@shop/web", "scripts": { "build": "vite build" }, "devDependencies": { "vite": "7" } }"#;

#[test]
fn an_installation_sees_lock_files_alone_and_the_build_gets_its_modules() {
    let project = project(&[("package.json", VITE), ("package-lock.json", "{}")]);
    let project = with_tools(project, &["sh", "npm", "node"]);
    let target = target()
        .need("api")
        .setting("install_command", "npm ci")
        .setting("build_command", "npm run build");
    insta::assert_snapshot!(plan(&project, &target), @r#"
    install (install) with network
      run ["sh", "-c", "npm ci"] in project
      tools sh, npm, node
      in project <- web include ["package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock", "{.npmrc,.yarnrc,.yarnrc.yml,.pnpmfile.cjs,bunfig.toml}", "pnpm-workspace.yaml", ".yarn/**", "patches/**", "{.nvmrc,.node-version,.tool-versions}", "deno.json"]
      out node_modules -> project/node_modules
    build (build)
      run ["sh", "-c", "npm run build"] in project
      tools sh, npm, node
      in project <- web include []
      in needs/api <- target api
      in project/node_modules <- node_modules of install
      out site -> project/dist
    assemble (assemble)
      call assemble
      in site <- site of build
      out site -> site
    validate (validate)
      call validate
      in site <- site of assemble
    manifest (assemble)
      call manifest
      in site <- site of assemble
      out site -> site
    "#);
}

#[test]
fn scripts_that_run_on_installation_see_the_sources() {
    let package = r#"{ "scripts": { "postinstall": "node x.js" }, "workspaces": ["packages/*"] }"#;
    let project = project(&[("package.json", package), ("packages/a/package.json", "{}")]);
    let project = with_tools(project, &["npm", "node"]);
    let target = target()
        .setting("install_command", serde_json::json!(["npm", "ci"]))
        .setting("build_command", serde_json::json!(["./build.sh"]))
        .setting("build_output", "out");
    insta::assert_snapshot!(plan(&project, &target), @r#"
    install (install) with network
      run ["npm", "ci"] in project
      tools npm, node
      in project <- web include []
      out node_modules -> project/node_modules
      out packages/a/node_modules -> project/packages/a/node_modules
    build (build)
      run ["project/build.sh"] in project
      in project <- web include []
      in project/node_modules <- node_modules of install
      in project/packages/a/node_modules <- packages/a/node_modules of install
      out site -> project/out
    assemble (assemble)
      call assemble
      in site <- site of build
      out site -> site
    validate (validate)
      call validate
      in site <- site of assemble
    manifest (assemble)
      call manifest
      in site <- site of assemble
      out site -> site
    "#);
}

#[test]
fn what_is_missing_for_a_command_is_told() {
    let project = project(&[("index.html", "x")]);
    for (settings, expected) in [
        (
            vec![("build_command", "npm run build")],
            "static.build_output.unknown",
        ),
        (
            vec![
                ("build_command", "npm run build"),
                ("build_output", "../out"),
            ],
            "static.build_output.outside",
        ),
        (
            vec![("build_command", "npm run build"), ("build_output", ".")],
            "static.build_output.outside",
        ),
        (
            vec![
                ("build_command", "make"),
                ("build_output", "out"),
                ("install_command", "pip install mkdocs"),
            ],
            "static.install_outputs.unknown",
        ),
        (
            vec![("build_command", "npm run build"), ("build_output", "out")],
            "static.tool.missing",
        ),
        (
            vec![("build_command", " "), ("build_output", "out")],
            "static.settings",
        ),
        (vec![("install_command", "npm ci")], "static.settings"),
        (vec![("builder", "command")], "static.settings"),
        (
            vec![
                ("builder", "native"),
                ("build_command", "make"),
                ("build_output", "x"),
            ],
            "static.settings",
        ),
    ] {
        let mut target = target();
        for (key, value) in &settings {
            target = target.setting(*key, *value);
        }
        let problems = StaticTarget.plan(&target, &project).unwrap_err();
        let codes: Vec<&str> = problems
            .iter()
            .map(|problem| problem.code.as_str())
            .collect();
        assert!(
            codes.contains(&expected),
            "{settings:?}: {}",
            render(&problems)
        );
    }
}

#[test]
fn a_missing_program_is_told_with_how_to_get_it() {
    let project = project(&[("package.json", VITE)]);
    let target = target().setting("build_command", serde_json::json!(["vite", "build"]));
    insta::assert_snapshot!(plan(&project, &target), @r#"
    error[static.tool.missing] build_command
      `vite build` runs `vite`: `vite` was not found
      help: install `vite` and put it on your PATH
      help: a program of a Node package is run with `npx vite build`
    "#);
}

#[test]
fn requirements_name_each_program_once() {
    let project = project(&[("package.json", VITE)]);
    let target = target()
        .setting("install_command", "npm ci")
        .setting("build_command", "npm run build");
    let requirements = StaticTarget.requirements(&target, &project);
    let lines: Vec<String> = requirements
        .iter()
        .map(|requirement| format!("{}: {}", requirement.tool.name, requirement.purpose))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    sh: fetches what the site is built with (`npm ci`)
    npm: fetches what the site is built with (`npm ci`)
    node: fetches what the site is built with (`npm ci`)
    "#);
}

#[test]
fn tool_chains_are_detected() {
    let next = VITE.replace("vite", "next");
    let library = VITE.replace("\"vite\": \"7\"", "\"typescript\": \"5\"");
    for (files, expected) in [
        (
            vec![("package.json", VITE), ("package-lock.json", "")],
            "web: package.json (vite) install_command=npm ci build_command=npm run build build_output=dist",
        ),
        (
            vec![("package.json", next.as_str()), ("yarn.lock", "")],
            "web: package.json (next) install_command=yarn install --frozen-lockfile build_command=yarn build build_output=out",
        ),
        (vec![("package.json", library.as_str())], "nothing"),
        (
            vec![("package.json", "{}"), ("index.html", "")],
            "web: index.html",
        ),
        (
            vec![("hugo.toml", "publishDir = \"www\"")],
            "web: hugo.toml (Hugo) build_command=hugo --minify build_output=www",
        ),
        (
            vec![("mkdocs.yml", "site_name: x\n")],
            "web: mkdocs.yml (MkDocs) build_command=mkdocs build build_output=site",
        ),
        (vec![("config.toml", "title = 'not a site'")], "nothing"),
        (vec![("readme.md", "")], "nothing"),
    ] {
        let project = project(&files);
        let directory = ProjectPath::parse("web").unwrap();
        let found = StaticTarget.detect(&directory, &project).map(|detection| {
            let settings = detection.settings.iter().map(|setting| {
                format!(
                    " {}={}",
                    setting.key,
                    setting.value.as_str().unwrap_or_default()
                )
            });
            let settings: String = settings.collect();
            format!("{}: {}{settings}", detection.name, detection.found)
        });
        assert_eq!(found.as_deref().unwrap_or("nothing"), expected);
    }
}
