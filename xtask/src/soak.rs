//! The full forms of the tests that change and kill at random, and of those with much to look at, for
//! which the test command has no time; docs/soak.md has the figures of the last run.

use anyhow::{Result, bail};
use clap::Args;

use crate::bench::page::Page;
use crate::report::Report;
use crate::shell::{Program, Shell};

const PAGE: Page = Page {
    path: "docs/soak.md",
    task: "soak",
};

/// A test with a full form.
struct Soaked {
    /// As it is called on the command line and on the page.
    name: &'static str,
    test: &'static str,
}

const SOAKED: [Soaked; 7] = [
    Soaked {
        name: "walk",
        test: "soak::walk::whatever_changes",
    },
    Soaked {
        name: "kills",
        test: "soak::kills::whenever_it_is_killed",
    },
    Soaked {
        name: "publishes",
        test: "soak::publishes::whenever_a_publish_is_killed",
    },
    Soaked {
        name: "rollbacks",
        test: "soak::rollbacks::whenever_a_build_with_effects_is_killed",
    },
    Soaked {
        name: "files",
        test: "soak::large::a_directory_of_50_000_files",
    },
    Soaked {
        name: "large",
        test: "soak::large::a_file_of_3_gib",
    },
    Soaked {
        name: "history",
        test: "soak::history::of_10_000_builds",
    },
];

/// What begins a line with figures.
const FIGURES: &str = "soak: ";

/// How much is done, and of what.
#[derive(Args)]
pub(crate) struct Soak {
    /// Steps of the walk, each with a build and one from nothing
    #[arg(long, default_value_t = 500)]
    steps: u64,
    /// Processes that are killed
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Publishes and undoings that are killed
    #[arg(long, default_value_t = 200)]
    publishes: u64,
    /// Builds with effects, and what comes after them, that are killed
    #[arg(long, default_value_t = 100)]
    rollbacks: u64,
    /// Files in one directory
    #[arg(long, default_value_t = 50_000)]
    files: u64,
    /// MiB of a large file; the disk needs room for four times as many
    #[arg(long, default_value_t = 3072)]
    mebibytes: u64,
    /// Builds in a history
    #[arg(long, default_value_t = 10_000)]
    builds: u64,
    /// What the random choices start from; another one each time when it is not said
    #[arg(long)]
    seed: Option<u32>,
    /// `walk`, `kills`, `publishes`, `rollbacks`, `files`, `large` or `history`; all of them when nothing is named
    name: Option<String>,
}

impl Soak {
    /// Runs the tests, and writes the figures of those that passed.
    pub(crate) fn run(&self, shell: &Shell, report: &mut Report) -> Result<()> {
        let wanted = |soaked: &&Soaked| self.name.as_deref().is_none_or(|name| name == soaked.name);
        let chosen: Vec<&Soaked> = SOAKED.iter().filter(wanted).collect();
        if chosen.is_empty() {
            let names = SOAKED.map(|soaked| format!("`{}`", soaked.name));
            bail!(
                "there are {}, and nothing of another name",
                names.join(", ")
            );
        }
        report.prepare("build", || {
            let arguments = ["build", "--quiet", "--locked", "--package", "synth-cli"];
            shell.demand(&Program::new("cargo", arguments))
        })?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u32(..));
        for soaked in chosen {
            report.check(soaked.name, || self.test(shell, soaked, seed))?;
        }
        Ok(())
    }

    fn test(&self, shell: &Shell, soaked: &Soaked, seed: u32) -> Result<bool> {
        let arguments = [
            "test",
            "--quiet",
            "--locked",
            "--package",
            "synth-tests",
            "--",
        ];
        let test = Program::new("cargo", arguments)
            .argument("--nocapture")
            .argument(soaked.test)
            .variable("SYNTH_BIN", shell.synth())
            .variable("SYNTH_SOAK_SEED", seed.to_string())
            .variable("SYNTH_SOAK_STEPS", self.steps.to_string())
            .variable("SYNTH_SOAK_KILLS", self.kills.to_string())
            .variable("SYNTH_SOAK_PUBLISHES", self.publishes.to_string())
            .variable("SYNTH_SOAK_ROLLBACKS", self.rollbacks.to_string())
            .variable("SYNTH_SOAK_BUILDS", self.builds.to_string())
            .variable("SYNTH_SOAK_FILES", self.files.to_string())
            .variable("SYNTH_SOAK_LARGE_MIB", self.mebibytes.to_string());
        let mut figures = None;
        // The test's own name may stand before them in the line.
        let succeeded = shell.observe(&test, |line| {
            if let Some((_, found)) = line.split_once(FIGURES) {
                figures = Some(found.trim().to_owned());
            }
        })?;
        match figures {
            Some(figures) if succeeded => {
                PAGE.write(shell, soaked.name, &figures)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
