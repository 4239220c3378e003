//! Where monorepos are written, and built by each tool.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::contender::Contender;
use super::figures::Sized;
use super::graph::Graph;
use super::install::Tools;
use super::measure::Course;
use super::peer::Peer;
use super::program;
use super::scenario::Effort;
use super::tools::{git, synth};
use super::tree::{Tree, changed_source};
use crate::report::Report;
use crate::shell::{Program, Shell};

const NO_CHANGE: &str = "no change of the lowest layer reaches the upmost one";

/// A directory, and the programs that work in it.
pub(crate) struct Workshop<'a> {
    shell: &'a Shell,
    directory: PathBuf,
    /// The command of the targets.
    bundle: PathBuf,
    synth: PathBuf,
    /// Whether this synth has a sandbox that can be chosen.
    confines: bool,
    tools: Tools<'a>,
    jobs: usize,
}

/// The trees of one size: a tool never sees what another one does.
struct Trees<'a> {
    synth: Tree<'a>,
    peers: Vec<(Peer, Tree<'a>)>,
    /// Whether synth's is a git repository.
    has_git: bool,
}

impl<'a> Workshop<'a> {
    pub(crate) fn new(
        shell: &'a Shell,
        directory: PathBuf,
        synth: PathBuf,
        tools: Tools<'a>,
    ) -> Result<Self> {
        // Each tool's configuration would quote them in another way.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        ensure!(
            directory.to_string_lossy().chars().all(plain),
            "monorepos can't be written to `{}`: choose a directory whose path has only letters, \
             digits and `._-+`",
            directory.display()
        );
        std::fs::create_dir_all(&directory)?;
        let bundle = program::compile(shell, &directory)?;
        let help = shell.ask(&Program::new(&synth, ["build", "--help"]));
        let confines = help.is_some_and(|help| help.contains("--sandbox"));
        Ok(Self {
            shell,
            directory,
            bundle,
            synth,
            confines,
            tools,
            jobs: std::thread::available_parallelism()?.get(),
        })
    }

    /// The programs are those of the `PATH`.
    pub(crate) fn without_programs(shell: &'a Shell, directory: PathBuf) -> Result<Self> {
        Self::new(shell, directory, "synth".into(), Tools::of_path(shell))
    }

    /// Writes the monorepos of one size, and prints how each is built.
    pub(crate) fn show(&self, size: usize, peers: &[Peer]) -> Result<()> {
        let graph = Graph::new(size);
        let trees = self.write(&graph, peers)?;
        let change = graph.change().context(NO_CHANGE)?;
        println!(
            "\n# {size} targets; {} of them are built again when {} changes",
            change.reached.len(),
            changed_source(change.target)
        );
        for contender in self.contenders(&trees)? {
            println!("{}", contender.line());
        }
        Ok(())
    }

    /// Writes the monorepos of one size, and measures how each is built.
    pub(crate) fn measure(
        &self,
        size: usize,
        peers: &[Peer],
        effort: &Effort,
        report: &mut Report,
    ) -> Result<Sized> {
        let graph = Graph::new(size);
        let peers = peers.iter().filter(|peer| size <= peer.most_targets());
        let peers: Vec<Peer> = peers.copied().collect();
        let trees = report.prepare(&format!("{size} targets"), || {
            let trees = self.write(&graph, &peers)?;
            // Or it happens while something is measured.
            rustix::fs::sync();
            Ok(trees)
        })?;
        let course = Course {
            shell: self.shell,
            effort,
            change: graph.change().context(NO_CHANGE)?,
        };
        let mut figures = Sized::new(size, course.change.reached.len());
        course.run(self.contenders(&trees)?, report, &mut figures)?;
        Ok(figures)
    }

    /// A line for the page.
    pub(crate) fn versions(&self, peers: &[Peer]) -> Result<String> {
        let versions = peers.iter().map(|peer| self.tools.version(*peer));
        let versions = versions.collect::<Result<Vec<_>>>()?.join(", ");
        Ok(format!("- Compared with {versions}.\n"))
    }

    fn write<'b>(&self, graph: &'b Graph, peers: &[Peer]) -> Result<Trees<'b>> {
        let directory = self.directory.join(graph.targets.len().to_string());
        let tree = |name: &str| {
            let directory = directory.join(name);
            let tree = Tree { graph, directory };
            tree.write_sources()?;
            anyhow::Ok(tree)
        };
        let synth = tree(synth::NAME)?;
        synth::configure(&synth, &self.bundle)?;
        let has_git = peers.contains(&Peer::Git);
        if has_git {
            git::commit(self.shell, &synth)?;
        }
        let mut trees = Vec::new();
        for peer in peers {
            if let Some(directory) = peer.directory() {
                let tree = tree(directory)?;
                peer.configure(&tree, &self.bundle)?;
                if peer.asks_git() {
                    git::commit(self.shell, &tree)?;
                }
                trees.push((*peer, tree));
            }
        }
        let peers = trees;
        Ok(Trees {
            synth,
            peers,
            has_git,
        })
    }

    fn contenders<'b>(&self, trees: &'b Trees<'b>) -> Result<Vec<Contender<'b>>> {
        let synth = || synth::contender(&trees.synth, &self.synth, self.jobs);
        let mut contenders = if self.confines {
            // The usual one last, for what it leaves is what the other scenarios find.
            vec![
                synth::unconfined(synth()),
                synth::confined(synth(), "strict"),
            ]
        } else {
            vec![synth()]
        };
        for (peer, tree) in &trees.peers {
            let program = self.tools.program(*peer)?;
            contenders.push(peer.contender(tree, &program, self.jobs));
        }
        if trees.has_git {
            contenders.push(git::contender(&trees.synth));
        }
        Ok(contenders)
    }
}
