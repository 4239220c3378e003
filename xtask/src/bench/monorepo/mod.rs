//! synth beside other tools: the same monorepos, the same commands, in one run.

mod bundle;
mod contender;
mod figures;
mod graph;
mod install;
mod measure;
mod memory;
mod peer;
mod program;
mod scenario;
mod tools;
mod tree;
mod workshop;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::figures::Figures;
use self::install::Tools;
use self::peer::Peer;
use self::scenario::Effort;
use self::workshop::Workshop;
use super::{machine, page, programs};
use crate::report::Report;
use crate::shell::Shell;

/// Sizes of the whole benchmark, in targets.
const SIZES: [usize; 3] = [100, 1000, 10_000];

/// The name of the binary that is measured.
const SYNTH: &str = "synth";

/// The size by which tools are compared.
const USUAL: usize = 1000;

/// What of it is measured; everything unless said otherwise, and only that is written into the page.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Options {
    /// Numbers of targets [default: 100,1000,10000]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = size)]
    sizes: Vec<usize>,
    /// Tools beside synth [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    peers: Vec<Peer>,
    /// 1,000 targets, ninja and git, few runs
    #[arg(long)]
    quick: bool,
    /// Only write the monorepos into DIR, and print the commands that build them
    #[arg(long, value_name = "DIR")]
    generate: Option<PathBuf>,
}

impl Options {
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = match (&self.sizes[..], self.quick) {
            ([], true) => vec![USUAL],
            ([], false) => SIZES.to_vec(),
            (chosen, _) => chosen.to_vec(),
        };
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    fn peers(&self) -> Vec<Peer> {
        let mut peers = match (&self.peers[..], self.quick) {
            ([], true) => vec![Peer::Ninja, Peer::Git],
            ([], false) => Peer::ALL.to_vec(),
            (chosen, _) => chosen.to_vec(),
        };
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    /// Whether the figures are those of the page.
    fn is_whole(&self) -> bool {
        self.sizes.is_empty() && self.peers.is_empty() && !self.quick
    }
}

fn size(text: &str) -> Result<usize, String> {
    let allowed = graph::SMALLEST..=99_999;
    let size = text.parse().ok().filter(|size| allowed.contains(size));
    size.ok_or_else(|| format!("not a number from {} to {}", allowed.start(), allowed.end()))
}

/// Writes monorepos, and unless that is all that is wanted builds them with every tool.
pub(crate) fn run(shell: &Shell, report: &mut Report, options: &Options) -> Result<()> {
    let sizes = options.sizes();
    if let Some(directory) = &options.generate {
        let directory = std::path::absolute(directory)?;
        return report.prepare("monorepos", || {
            let workshop = Workshop::without_programs(shell, directory)?;
            sizes
                .iter()
                .try_for_each(|size| workshop.show(*size, &options.peers()))
        });
    }
    let compiled = report.prepare("programs", || programs::linked(shell))?;
    let tools = report.prepare("tools", || Tools::install(shell, &options.peers()))?;
    let directory = shell.benchmarks().join("monorepo");
    if directory.exists() {
        // Of an earlier run.
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    // One that no other compilation replaces while it is measured.
    let synth = directory.join(SYNTH);
    std::fs::copy(compiled, &synth)?;
    let workshop = Workshop::new(shell, directory, synth, tools)?;
    let effort = if options.quick {
        Effort::quick()
    } else {
        Effort::full()
    };
    let mut figures = Figures::default();
    for size in sizes {
        figures.add(workshop.measure(size, &options.peers(), &effort, report)?);
    }
    let text =
        machine::describe(shell)? + &workshop.versions(&options.peers())? + &figures.text()?;
    println!("\n{text}");
    if options.is_whole() {
        page::write(shell, "monorepo", &text)?;
    }
    Ok(())
}
