//! What it costs that a target kind is loaded instead of linked in: the same pipeline with the kind
//! linked into synth, loaded into synth's process, and in a process of its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::hyperfine::{Measured, Runs, Times, measure};
use super::opened::{Use, observe};
use super::programs::{self, Programs};
use super::{machine, page, pipeline};
use crate::report::Report;
use crate::shell::{Program, Shell};

/// Goals, per build and plugin.
const IN_PROCESS_GOAL: Duration = Duration::from_millis(1);
const ISOLATED_GOAL: Duration = Duration::from_millis(10);

/// Where the kind is.
struct Variant {
    name: &'static str,
    /// The directory of its project.
    directory: &'static str,
    /// `isolation` of the plugin; none where there is no plugin.
    isolation: Option<&'static str>,
}

const VARIANTS: [Variant; 3] = [
    Variant {
        name: "linked in",
        directory: "linked",
        isolation: None,
    },
    Variant {
        name: "in synth's process",
        directory: "inside",
        isolation: Some("none"),
    },
    Variant {
        name: "isolated",
        directory: "isolated",
        isolation: Some("process"),
    },
];

/// What a run does not find.
#[derive(Clone, Copy)]
enum Removed {
    /// It finds everything.
    Nothing,
    /// Plans.
    Plans,
    /// Plans, outputs, results of actions, what is known of the plugin's library.
    Everything,
}

/// What is done.
struct Scenario {
    name: &'static str,
    command: &'static str,
    /// What is removed before each run.
    removed: Removed,
    runs: Runs,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "cold build",
        command: "build",
        removed: Removed::Everything,
        runs: Runs { rounds: 4, runs: 5 },
    },
    Scenario {
        name: "build with plans made anew",
        command: "build",
        removed: Removed::Plans,
        runs: Runs {
            rounds: 10,
            runs: 10,
        },
    },
    Scenario {
        name: "`synth plan`",
        command: "plan",
        removed: Removed::Nothing,
        runs: Runs {
            rounds: 10,
            runs: 10,
        },
    },
    Scenario {
        name: "build without changes",
        command: "build",
        removed: Removed::Nothing,
        runs: Runs {
            rounds: 10,
            runs: 10,
        },
    },
];

/// Builds the programs, proves that they do the same, and measures them.
pub(crate) fn run(shell: &Shell, report: &mut Report) -> Result<()> {
    let programs = report.prepare("programs", || programs::build(shell))?;
    let bench = Bench {
        shell,
        programs: &programs,
        directory: shell.benchmarks().join("plugins"),
    };
    report.prepare("projects", || bench.write_projects())?;
    report.check("same outputs", || bench.builds_the_same())?;
    report.check("opened when needed", || bench.opens_when_needed())?;
    let figures = report.prepare("measurements", || bench.measure())?;
    println!("\n{figures}");
    page::write(shell, "plugins", &figures)
}

struct Bench<'a> {
    shell: &'a Shell,
    programs: &'a Programs,
    directory: PathBuf,
}

impl Bench<'_> {
    fn write_projects(&self) -> Result<()> {
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory)?;
        }
        for variant in &VARIANTS {
            let project = self.directory.join(variant.directory);
            let mut head = String::new();
            if let Some(isolation) = variant.isolation {
                write!(
                    head,
                    "plugin_dirs = [\"plugins\"]\n\n[plugins.command]\nisolation = \"{isolation}\"\n"
                )?;
                let library = self.library(variant);
                fs::create_dir_all(project.join("plugins"))?;
                fs::copy(&self.programs.library, library)?;
            }
            pipeline::write(&project, &head)?;
        }
        Ok(())
    }

    /// The variant's own copy of the plugin.
    fn library(&self, variant: &Variant) -> PathBuf {
        let directory = self.directory.join(variant.directory);
        directory.join("plugins/command.so")
    }

    /// synth with the kind in it, or synth as it is.
    fn program(&self, variant: &Variant) -> &Path {
        match variant.isolation {
            None => &self.programs.linked,
            Some(_) => &self.programs.synth,
        }
    }

    /// A command of synth, in the bench's directory.
    fn synth(&self, variant: &Variant, command: &str) -> Program {
        let arguments = ["-C", variant.directory, "--quiet", command];
        self.with_variables(Program::new(self.program(variant), arguments))
    }

    /// One cache for all: the results of actions are the same. The developer's own plugins are not
    /// found.
    fn with_variables(&self, program: Program) -> Program {
        program
            .directory(&self.directory)
            .variable("XDG_CACHE_HOME", self.directory.join("cache"))
            .variable("XDG_DATA_HOME", self.directory.join("data"))
            .variable("SYNTH_PLUGIN_DIR", "")
    }

    fn remove(variant: &Variant, removed: Removed) -> String {
        let directory = variant.directory;
        match removed {
            Removed::Nothing => "true".to_owned(),
            Removed::Plans => format!("rm -rf {directory}/.synth/plans"),
            Removed::Everything => format!("rm -rf {directory}/.synth {directory}/dist cache"),
        }
    }

    /// Whether all variants build, each with nothing found, and leave the same.
    fn builds_the_same(&self) -> Result<bool> {
        for variant in &VARIANTS {
            let remove = Self::remove(variant, Removed::Everything);
            let remove = Program::new("sh", ["-c", &remove]).directory(&self.directory);
            self.shell.demand(&remove)?;
            self.shell.demand(&self.synth(variant, "build"))?;
        }
        let [linked, loaded @ ..] = &VARIANTS;
        for variant in loaded {
            let outputs = [linked, variant].map(|variant| format!("{}/dist", variant.directory));
            let same = Program::new("diff", ["--recursive"])
                .argument(&outputs[0])
                .argument(&outputs[1])
                .directory(&self.directory);
            if !self.shell.run(&same)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a plugin is opened, where it should be, by a build that asks it, and not at all by
    /// one that finds nothing changed.
    fn opens_when_needed(&self) -> Result<bool> {
        let mut as_expected = true;
        for variant in &VARIANTS {
            for (scenario, asks) in [(Removed::Plans, true), (Removed::Nothing, false)] {
                let remove = Self::remove(variant, scenario);
                let remove = Program::new("sh", ["-c", &remove]).directory(&self.directory);
                self.shell.demand(&remove)?;
                let found = observe(
                    self.shell,
                    &self.synth(variant, "build"),
                    self.program(variant),
                    &self.library(variant),
                    &self.directory.join("strace"),
                )?;
                let expected = Use {
                    opened: asks && variant.isolation.is_some(),
                    hosted: asks && variant.isolation == Some("process"),
                };
                if found != expected {
                    eprintln!("{}: {found:?} instead of {expected:?}", variant.name);
                    as_expected = false;
                }
            }
        }
        Ok(as_expected)
    }

    /// The figures, for the page.
    fn measure(&self) -> Result<String> {
        let mut measured = Vec::new();
        for scenario in &SCENARIOS {
            let commands: Vec<Measured> = VARIANTS
                .iter()
                .map(|variant| Measured {
                    command: self.synth(variant, scenario.command),
                    before: Self::remove(variant, scenario.removed),
                })
                .collect();
            let times = measure(self.shell, &self.directory, &commands, scenario.runs)?;
            let times = <[Times; 3]>::try_from(times);
            let times = times.map_err(|_| anyhow!("there are three variants"))?;
            measured.push((scenario, times));
        }
        figures(self.shell, &measured)
    }
}

fn figures(shell: &Shell, measured: &[(&Scenario, [Times; 3])]) -> Result<String> {
    let mut text = machine::describe(shell)?;
    let targets = pipeline::TARGETS;
    writeln!(
        text,
        "- {targets} targets, one plugin. Medians of all runs; below each, the range in which the \
         middle half of them lies.\n"
    )?;
    writeln!(
        text,
        "| | {} | runs |",
        VARIANTS.map(|variant| variant.name).join(" | ")
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: |")?;
    for (scenario, times) in measured {
        let cells = times.each_ref().map(|times| {
            let (low, high) = times.middle_half();
            let median = milliseconds(times.median());
            format!(
                "{median} ms<br>{}–{}",
                milliseconds(low),
                milliseconds(high)
            )
        });
        let runs = scenario.runs.rounds * scenario.runs.runs;
        writeln!(
            text,
            "| {} | {} | {runs} |",
            scenario.name,
            cells.join(" | ")
        )?;
    }
    writeln!(
        text,
        "\nAgainst the kind linked in, of medians, and of the time of processors:\n\n\
         | | in synth's process | isolated | processors, in synth's process | processors, isolated |\n\
         | --- | ---: | ---: | ---: | ---: |"
    )?;
    for (scenario, [linked, inside, isolated]) in measured {
        let cells = [
            compared(inside.median(), linked.median()),
            compared(isolated.median(), linked.median()),
            compared(inside.processor(), linked.processor()),
            compared(isolated.processor(), linked.processor()),
        ];
        writeln!(text, "| {} | {} |", scenario.name, cells.join(" | "))?;
    }
    writeln!(text, "\nGoals, of medians:\n")?;
    for (scenario, [linked, inside, isolated]) in measured {
        for (name, times, goal) in [
            (VARIANTS[1].name, inside, IN_PROCESS_GOAL),
            (VARIANTS[2].name, isolated, ISOLATED_GOAL),
        ] {
            let more = times.median().saturating_sub(linked.median());
            let verdict = if more <= goal { "met" } else { "missed" };
            writeln!(
                text,
                "- {}, {name}: {} ms more, of at most {}: {verdict}.",
                scenario.name,
                milliseconds(more),
                goal.as_millis()
            )?;
        }
    }
    Ok(text)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

/// How much more than `base`: the difference and the ratio.
fn compared(time: Duration, base: Duration) -> String {
    let (time, base) = (time.as_secs_f64(), base.as_secs_f64());
    format!("{:+.1} ms, × {:.2}", (time - base) * 1000.0, time / base)
}
