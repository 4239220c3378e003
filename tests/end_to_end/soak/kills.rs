//! Builds and `synth cache gc` killed at random moments: the store stays sound, and the next build
//! leaves what one from nothing leaves.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::changes::Changing;
use super::pipeline::{is_left, project, with_tools};
use super::snapshot::{Snapshot, assert_same, restore, snapshot};
use super::{amount, seed};
use crate::workspace::Workspace;

/// In every so many rounds, what a build from nothing leaves is compared. What synth serves wrong
/// stays wrong, so that nothing is missed.
const COMPARED: u64 = 3;

#[test]
fn whenever_it_is_killed_the_store_is_sound_and_the_next_build_is_right() {
    let seed = seed();
    let wanted = amount("SYNTH_SOAK_KILLS", 15);
    let workspace = project();
    // Another workspace with the same store.
    let other = with_tools(Workspace::new(), Some(&workspace)).sharing_cache_of(&workspace);
    let mut project = Changing::new(&workspace, seed);
    let mut killed = 0;
    let mut rounds = 0;
    while killed < wanted {
        rounds += 1;
        assert!(rounds <= 4 * wanted, "builds end before they are killed");
        let context = format!("seed {seed}, round {rounds}");
        for _ in 0..3 {
            project.change();
        }
        copy(&project, &other);
        let mut started = vec![start(&workspace, &["build"])];
        // Alone, beside a build of another workspace or the same one, and beside a collection.
        match project.random.u8(..4) {
            0 => started.push(start(&other, &["build"])),
            1 => started.push(start(&workspace, &["build"])),
            2 => started.push(start(&workspace, &["cache", "gc", "--max-size", "0"])),
            _ => {}
        }
        for process in &mut started {
            let moment = Duration::from_micros(project.random.u64(..800_000));
            killed += u64::from(kill_after(process, moment));
        }

        let verified = workspace.synth(["cache", "verify"]);
        assert!(verified.output.status.success(), "{context}: {verified}");
        let sources = project.sources();
        workspace.build([""; 0]).succeeded();
        other.build([""; 0]).succeeded();
        assert_eq!(project.sources(), sources, "{context}: sources changed");
        let left = snapshot(&workspace.root(), is_left);
        assert_same(&snapshot(&other.root(), is_left), &left, &context);
        if rounds % COMPARED == 0 || killed >= wanted {
            let nothing = with_tools(Workspace::new(), Some(&workspace));
            copy(&project, &nothing);
            nothing.build([""; 0]).succeeded();
            assert_same(&left, &snapshot(&nothing.root(), is_left), &context);
        }
    }
    println!("soak: seed {seed}, {killed} kills in {rounds} rounds");
}

/// Makes another workspace have the same sources and settings.
fn copy(project: &Changing<'_>, other: &Workspace) {
    let now: Snapshot = snapshot(&other.root(), super::pipeline::is_source);
    restore(&other.root(), &now, &project.sources());
    other.write("synth.toml", project.settings.config());
}

fn start(workspace: &Workspace, arguments: &[&str]) -> Child {
    let mut command = workspace.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills a process when some time has passed; whether it was still there.
fn kill_after(process: &mut Child, moment: Duration) -> bool {
    // A moment is what is wanted here, not an event that it would wait for.
    std::thread::park_timeout(moment);
    process.kill().unwrap();
    process.wait().unwrap().signal() == Some(9)
}
