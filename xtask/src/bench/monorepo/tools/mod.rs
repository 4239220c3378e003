//! The tools that are compared: what each is told about a monorepo, and the command that builds it.

pub(crate) mod git;
pub(crate) mod moon;
pub(crate) mod ninja;
pub(crate) mod synth;
pub(crate) mod task;
pub(crate) mod turborepo;

use std::path::Path;

use super::graph::Target;
use super::tree::Tree;

/// The command of a target, which is the same for all tools but for the package's directory.
fn command(tree: &Tree<'_>, target: &Target, bundle: &Path, package: &str) -> Vec<String> {
    let mut command = vec![bundle.display().to_string(), package.to_owned()];
    command.extend(tree.graph.needs(target).map(str::to_owned));
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::graph::{Graph, SMALLEST};
    use super::super::peer::Peer;
    use super::*;

    /// What a tool is told of the last target, or of all.
    fn told(peer: Option<Peer>, file: &str) -> String {
        let scratch = tempfile::tempdir().unwrap();
        let graph = Graph::new(SMALLEST);
        let directory = scratch.path().join("tree");
        let graph = &graph;
        let tree = Tree { graph, directory };
        tree.write_sources().unwrap();
        let bundle = Path::new("/bundle");
        match peer {
            Some(peer) => peer.configure(&tree, bundle).unwrap(),
            None => synth::configure(&tree, bundle).unwrap(),
        }
        let text = fs::read_to_string(tree.directory.join(file)).unwrap();
        text.rsplit("\n\n").next().unwrap().to_owned()
    }

    #[test]
    fn synth_is_told_sources_outputs_and_needs() {
        insta::assert_snapshot!(told(None, "synth.toml"), @r#"
        [targets.t00032]
        type = "command"
        source_path = "packages/t00032"
        needs = ["t00027", "t00028"]
        command = ["/bundle", ".", "t00027", "t00028"]
        inputs = ["src/*.txt"]
        outputs = ["out/bundle.txt"]
        "#);
    }

    #[test]
    fn ninja_is_told_every_file() {
        insta::assert_snapshot!(told(Some(Peer::Ninja), "build.ninja"), @"
        build packages/t00032/out/bundle.txt: bundle packages/t00032/src/00.txt packages/t00032/src/01.txt packages/t00032/src/02.txt packages/t00032/src/03.txt packages/t00032/src/04.txt packages/t00032/src/05.txt packages/t00032/src/06.txt packages/t00032/src/07.txt packages/t00032/src/08.txt packages/t00032/src/09.txt packages/t00032/src/10.txt packages/t00032/src/11.txt packages/t00032/src/12.txt packages/t00032/src/13.txt packages/t00032/src/14.txt packages/t00032/src/15.txt packages/t00032/src/16.txt packages/t00032/src/17.txt packages/t00032/src/18.txt packages/t00032/src/19.txt | packages/t00027/out/bundle.txt packages/t00028/out/bundle.txt
          name = t00032
          needs = t00027 t00028
        ");
    }

    #[test]
    fn turborepo_is_told_a_script_of_each_package() {
        insta::assert_snapshot!(told(Some(Peer::Turborepo), "turbo.json"), @r#"{"tasks":{"build":{"dependsOn":["^build"],"inputs":["src/**"],"outputs":["out/**"]}}}"#);
        let package = "packages/t00032/package.json";
        insta::assert_snapshot!(told(Some(Peer::Turborepo), package), @r#"{"name":"t00032","version":"1.0.0","private":true,"scripts":{"build":"/bundle . t00027 t00028"},"dependencies":{"t00027":"1.0.0","t00028":"1.0.0"}}"#);
    }

    #[test]
    fn moon_is_told_a_task_of_each_project() {
        let project = "packages/t00032/moon.yml";
        insta::assert_snapshot!(told(Some(Peer::Moon), project), @r#"
        dependsOn: ["t00027", "t00028"]
        tasks:
          build:
            command: '/bundle . t00027 t00028'
            deps: ['^:build']
            inputs: ['src/*.txt']
            outputs: ['out/bundle.txt']
        "#);
    }

    #[test]
    fn task_is_told_everything_in_one_file() {
        let text = told(Some(Peer::Task), "Taskfile.yml");
        let (first, _) = text.split_once("  t00001:").unwrap();
        let (_, last) = text.split_once("  t00032:").unwrap();
        insta::assert_snapshot!(format!("{first}..{last}"), @r#"
        version: '3'
        run: once
        method: checksum
        tasks:
          default:
            deps: ["t00029", "t00030", "t00031", "t00032"]
        ..
            dir: packages/t00032
            deps: ["t00027", "t00028"]
            sources: ["src/*.txt", "../t00027/out/bundle.txt", "../t00028/out/bundle.txt"]
            generates: ['out/bundle.txt']
            cmd: '/bundle . t00027 t00028'
        "#);
    }
}
