//! Builds under `rollback` with their effects, killed at random moments, and whatever comes after them
//! then, killed too: outputs, releases and what is proven are in the end of one build, and after an undo
//! those of before, byte for byte.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use fastrand::Rng;

use super::{amount, seed};
use crate::failures::releases::{edit, outputs, project, released, version};
use crate::workspace::Workspace;

/// What may come after a kill.
const AFTER: [&[&str]; 4] = [
    &["build"],
    &["build", "--publish"],
    &["recover", "--finish"],
    &["recover", "--undo"],
];

/// What must never be said: nobody but synth has touched anything.
const NEVER: [&str; 5] = [
    "rollback.log",
    "rollback.lost",
    "rollback.failed",
    "rollback.not_ours",
    "panicked",
];

/// How a workspace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Settled,
    /// Outputs are going to be taken back.
    Pending,
    /// Effects are unfinished.
    Open,
}

/// Outputs, and what is released.
type Everything = (Vec<String>, (String, Vec<String>));

struct Soak {
    workspace: Workspace,
    random: Rng,
    /// What is there when that is taken back which is not settled.
    base: Everything,
    newest: u64,
    killed: u64,
    /// How often it then stood so.
    pending: u64,
    open: u64,
}

fn everything(workspace: &Workspace) -> Everything {
    let mut outputs = outputs(workspace);
    // A build that was killed may leave that; the next one removes it.
    outputs.retain(|line| !line.contains(".synth-"));
    (outputs, released(workspace))
}

/// How many publishes have begun.
fn journals(workspace: &Workspace) -> usize {
    let entries = fs::read_dir(workspace.path(".synth/journal"));
    entries.into_iter().flatten().count()
}

impl Soak {
    fn stands(&self) -> Stands {
        let found = self.workspace.synth(["recover", "--format", "json"]).json();
        match (found["build"].as_str(), found["outputs"].as_str()) {
            (None | Some(""), None) => Stands::Settled,
            (None | Some(""), Some(_)) => Stands::Pending,
            (Some(_), _) => Stands::Open,
        }
    }

    fn change(&mut self) {
        self.newest += 1;
        edit(&self.workspace, &self.newest.to_string());
    }

    /// Runs synth, and kills it at a random moment unless it has ended by then.
    fn kill(&mut self, arguments: &[&str], context: &str) {
        if self.stands() == Stands::Settled {
            self.base = everything(&self.workspace);
        }
        let told = self.workspace.beside("told");
        let mut command = self.workspace.command(arguments);
        command.stdout(Stdio::null());
        command.stderr(File::create(&told).unwrap());
        let begun = journals(&self.workspace);
        let mut process = command.spawn().unwrap();
        // Most of the time nothing is in the middle: often it is waited until outputs are, or effects.
        let log = self.workspace.path(".synth/undo/log");
        let (event, most_us): (&dyn Fn() -> bool, u64) = match self.random.u8(..3) {
            0 => (&|| true, 450_000),
            1 => (&|| log.exists(), 100_000),
            _ => (&|| journals(&self.workspace) > begun, 100_000),
        };
        while !event() && process.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let moment = Duration::from_micros(self.random.u64(..most_us));
        // A moment is what is wanted here, not an event that it would wait for.
        std::thread::park_timeout(moment);
        process.kill().unwrap();
        let killed = process.wait().unwrap().signal() == Some(9);
        self.killed += u64::from(killed);
        match self.stands() {
            Stands::Settled => {}
            Stands::Pending => self.pending += 1,
            Stands::Open => self.open += 1,
        }
        let told = fs::read_to_string(told).unwrap();
        let wrong = NEVER.iter().find(|said| told.contains(**said));
        assert_eq!(wrong, None, "{context}: {arguments:?}: {told}");
    }

    /// Brings what is not settled to its end.
    fn settle(&mut self, context: &str) {
        match self.stands() {
            Stands::Settled => return,
            Stands::Pending => {
                self.workspace.synth(["recover", "--undo"]).succeeded();
            }
            Stands::Open => {
                let finish = self.random.bool();
                let how = if finish { "--finish" } else { "--undo" };
                let run = self.workspace.synth(["recover", how]);
                if run.output.status.success() && finish {
                    return;
                }
                if finish {
                    let told = run.to_string();
                    assert!(
                        told.contains("effect.recover.direction"),
                        "{context}: {run}"
                    );
                    self.workspace.synth(["recover", "--undo"]).succeeded();
                }
            }
        }
        assert_eq!(everything(&self.workspace), self.base, "{context}: undone");
    }

    fn round(&mut self, context: &str) {
        self.change();
        let mut commands: Vec<&[&str]> = vec![&["build", "--publish"]];
        for _ in 0..self.random.u8(..4) {
            commands.push(AFTER[self.random.usize(..AFTER.len())]);
        }
        for arguments in commands {
            if arguments[0] == "build" && self.random.bool() {
                self.change();
            }
            self.kill(arguments, context);
        }
        self.settle(context);
        assert_eq!(self.stands(), Stands::Settled, "{context}");
        // All outputs are of one version, and what is there is proven.
        let there = version(&self.workspace, context);
        self.workspace.synth(["publish"]).succeeded();
        let (current, up) = released(&self.workspace);
        assert_eq!(current, there, "{context}");
        assert!(up.contains(&there), "{context}: {there} {up:?}");
        assert_eq!(version(&self.workspace, context), there, "{context}");
        let undo = self.workspace.path(".synth/undo");
        assert!(!undo.exists(), "{context}");
        if self.random.bool() {
            self.workspace.build([""; 0]).succeeded();
            let newest = self.newest.to_string();
            assert_eq!(version(&self.workspace, context), newest, "{context}");
        }
    }
}

#[test]
fn whenever_a_build_with_effects_is_killed_all_is_of_one_build_in_the_end() {
    let seed = seed();
    let wanted = amount("SYNTH_SOAK_ROLLBACKS", 8);
    let workspace = project();
    let mut soak = Soak {
        base: everything(&workspace),
        workspace,
        random: Rng::with_seed(seed),
        newest: 0,
        killed: 0,
        pending: 0,
        open: 0,
    };
    let mut rounds = 0;
    while soak.killed < wanted {
        rounds += 1;
        assert!(rounds <= 6 * wanted, "builds end before they are killed");
        soak.round(&format!("seed {seed}, round {rounds}"));
    }
    println!(
        "soak: seed {seed}, {} kills in {rounds} rounds: outputs to be taken back {} times, effects \
         unfinished {} times",
        soak.killed, soak.pending, soak.open
    );
}
