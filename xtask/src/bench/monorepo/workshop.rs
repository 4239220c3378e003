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
use super::tools::{git, ninja, synth};
use super::tree::Tree;
use crate::report::Report;
use crate::shell::{Program, Shell};

/// A directory, and the programs that work in it.
pub(crate) struct Workshop<'a> {
    shell: &'a Shell,
    directory: PathBuf,
    /// The command of the targets.
    bundle: PathBuf,
    synth: PathBuf,
    /// Whether this synth has a sandbox that can be chosen.
    confines: bool,
    tools: Tools,
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
        tools: Tools,
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
        Self::new(shell, directory, "synth".into(), Tools::default())
    }

    /// Writes the monorepos of one size, and prints how each is built.
    pub(crate) fn show(&self, size: usize, peers: &[Peer]) -> Result<()> {
        let graph = Graph::new(size);
        let trees = self.write(&graph, peers)?;
        println!(
            "\n# {size} targets; one file changed: {}",
            trees.synth.changed()?
        );
        for contender in self.contenders(&trees) {
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
            changed: trees.synth.changed()?,
        };
        let (_, reached) = graph.changed().context("no target is changed")?;
        let mut figures = Sized::new(size, reached);
        course.run(&mut self.contenders(&trees), report, &mut figures)?;
        Ok(figures)
    }

    /// A line for the page.
    pub(crate) fn versions(&self, peers: &[Peer]) -> String {
        let versions = peers.iter().map(|peer| {
            let asked = Program::new(self.tools.program(*peer), ["--version"]);
            let answer = self.shell.ask(&asked).unwrap_or_default();
            let word = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
            let version = answer.split_whitespace().find(word).unwrap_or("unknown");
            let name = peer.name().split(' ').next().unwrap_or_default();
            format!("{name} {version}")
        });
        let versions: Vec<String> = versions.collect();
        format!("- Compared with {}.\n", versions.join(", "))
    }

    fn write<'b>(&self, graph: &'b Graph, peers: &[Peer]) -> Result<Trees<'b>> {
        let directory = self.directory.join(graph.targets.len().to_string());
        let tree = |name: &str| {
            let directory = directory.join(name);
            let tree = Tree { graph, directory };
            tree.write_sources()?;
            anyhow::Ok(tree)
        };
        let synth = tree("synth")?;
        synth::configure(&synth, &self.bundle)?;
        let mut own = Vec::new();
        for peer in peers {
            match peer {
                Peer::Ninja => {
                    let tree = tree("ninja")?;
                    ninja::configure(&tree, &self.bundle)?;
                    own.push((*peer, tree));
                }
                Peer::Git => git::commit(self.shell, &synth)?,
            }
        }
        Ok(Trees {
            synth,
            peers: own,
            has_git: peers.contains(&Peer::Git),
        })
    }

    fn contenders<'b>(&self, trees: &'b Trees<'b>) -> Vec<Contender<'b>> {
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
        contenders.extend(trees.peers.iter().map(|(peer, tree)| {
            let program = self.tools.program(*peer);
            match peer {
                Peer::Ninja => ninja::contender(tree, &program, self.jobs),
                Peer::Git => git::contender(tree),
            }
        }));
        if trees.has_git {
            contenders.push(git::contender(&trees.synth));
        }
        contenders
    }
}
