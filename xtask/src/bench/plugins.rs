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

/// What is different for a run from the one before.
#[derive(Clone, Copy)]
enum Different {
    /// Nothing.
    Nothing,
    /// One target has one source more or less, whose action's result is known from the run before
    /// that.
    OneTarget,
    /// There are no plans.
    Plans,
    /// There are no plans, no outputs and no results of actions, and nothing is known of the plugin's
    /// library.
    Everything,
}

/// What is done.
struct Scenario {
    name: &'static str,
    command: &'static str,
    different: Different,
    runs: Runs,
}

const OFTEN: Runs = Runs {
    rounds: 10,
    runs: 10,
};

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "build without changes",
        command: "build",
        different: Different::Nothing,
        runs: OFTEN,
    },
    Scenario {
        name: "build with one plan made anew",
        command: "build",
        different: Different::OneTarget,
        runs: OFTEN,
    },
    Scenario {
        name: "build with all plans made anew",
        command: "build",
        different: Different::Plans,
        runs: OFTEN,
    },
    Scenario {
        name: "`synth plan`",
        command: "plan",
        different: Different::Nothing,
        runs: OFTEN,
    },
    Scenario {
        name: "cold build",
        command: "build",
        different: Different::Everything,
        runs: Runs {
            rounds: 10,
            runs: 3,
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

    /// The command that makes it so.
    fn make(variant: &Variant, different: Different) -> String {
        let directory = variant.directory;
        match different {
            Different::Nothing => "true".to_owned(),
            Different::OneTarget => {
                let source = format!("{directory}/sources/t100/more.txt");
                format!("sh -c 'rm {source} 2>&- || : >{source}'")
            }
            Different::Plans => format!(
                "sh -c 'rm -rf {directory}/.synth/index; \
                 sqlite3 {directory}/.synth/records.db \"DELETE FROM records WHERE sort = 1\"'"
            ),
            Different::Everything => format!("rm -rf {directory}/.synth {directory}/dist cache"),
        }
    }

    fn prepare(&self, variant: &Variant, different: Different) -> Result<()> {
        let make = Self::make(variant, different);
        let make = Program::new("sh", ["-c", &make]).directory(&self.directory);
        self.shell.demand(&make)
    }

    /// Whether all variants build, each with nothing found, and leave the same.
    fn builds_the_same(&self) -> Result<bool> {
        for variant in &VARIANTS {
            self.prepare(variant, Different::Everything)?;
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
            for (different, asks) in [
                (Different::Plans, true),
                (Different::OneTarget, true),
                (Different::Nothing, false),
            ] {
                self.prepare(variant, different)?;
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
                    before: Self::make(variant, scenario.different),
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
        "\nMore than with the kind linked in: the median of the rounds' differences; of the time that \
         passed, and of the time of processors.\n\n\
         | | {inside} | goal | {isolated} | goal | processors, {inside} | processors, {isolated} |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        inside = VARIANTS[1].name,
        isolated = VARIANTS[2].name,
    )?;
    for (scenario, [linked, inside, isolated]) in measured {
        let cells = [
            against(inside.longer_than(linked), linked),
            verdict(inside.longer_than(linked), IN_PROCESS_GOAL),
            against(isolated.longer_than(linked), linked),
            verdict(isolated.longer_than(linked), ISOLATED_GOAL),
            difference(inside.busier_than(linked)),
            difference(isolated.busier_than(linked)),
        ];
        writeln!(text, "| {} | {} |", scenario.name, cells.join(" | "))?;
    }
    Ok(text)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn difference(seconds: f64) -> String {
    format!("{:+.1} ms", seconds * 1000.0)
}

/// The difference, and how many times as long that makes it.
fn against(seconds: f64, base: &Times) -> String {
    let base = base.median().as_secs_f64();
    format!("{}, × {:.2}", difference(seconds), (base + seconds) / base)
}

fn verdict(seconds: f64, goal: Duration) -> String {
    let verdict = if seconds <= goal.as_secs_f64() {
        "met"
    } else {
        "missed"
    };
    format!("{} ms: {verdict}", goal.as_millis())
}
