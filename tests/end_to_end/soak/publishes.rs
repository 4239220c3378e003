//! Publishes and undoings killed at random moments: whatever is asked of `synth recover` then is
//! what comes about, as a whole.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use fastrand::Rng;

use super::{amount, seed};
use crate::publishes::{pipeline, there};
use crate::workspace::Workspace;

const ALL: &str = "a=one b=one c=one";

/// What a run was to come to, and what else it may have left when it was not killed in time.
fn is_one_of(workspace: &Workspace, states: &[&str], context: &str) {
    let there = there(workspace);
    assert!(states.contains(&there.as_str()), "{context}: `{there}`");
}

#[test]
fn whenever_a_publish_is_killed_it_is_finished_or_undone_as_a_whole() {
    let seed = seed();
    let wanted = amount("SYNTH_SOAK_PUBLISHES", 8);
    let mut random = Rng::with_seed(seed);
    let workspace = pipeline("continue");
    let (mut killed, mut rounds, mut published) = (0, 0, None::<String>);
    let (mut finished, mut undone) = (0, 0);
    while killed < wanted {
        rounds += 1;
        assert!(rounds <= 6 * wanted, "publishes end before they are killed");
        let context = format!("seed {seed}, round {rounds}");
        // From nothing to everything, or back.
        let arguments = match &published {
            None => vec!["publish".to_owned(), "--quiet".to_owned()],
            Some(build) => vec!["rollback".to_owned(), build.clone(), "--quiet".to_owned()],
        };
        let mut command = workspace.command(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        std::thread::park_timeout(Duration::from_micros(random.u64(..350_000)));
        process.kill().unwrap();
        killed += u64::from(process.wait().unwrap().signal() == Some(9));

        let finish = random.bool();
        let how = if finish { "--finish" } else { "--undo" };
        let run = workspace.synth(["recover", how]);
        match run.output.status.code() {
            // Nothing was unfinished: it was killed before it began, or after it ended.
            Some(0) if run.to_string().contains("nothing is unfinished") => {
                is_one_of(&workspace, &["", ALL], &context);
            }
            Some(0) if finish => {
                is_one_of(&workspace, &[ALL], &context);
                finished += 1;
            }
            Some(0) => {
                is_one_of(&workspace, &[""], &context);
                undone += 1;
            }
            // What was being undone is not finished.
            _ => {
                assert!(
                    finish && run.to_string().contains("effect.recover.direction"),
                    "{run}"
                );
                workspace.synth(["recover", "--undo"]).succeeded();
                is_one_of(&workspace, &[""], &context);
                undone += 1;
            }
        }
        published = match there(&workspace).as_str() {
            "" => None,
            // The last one that did something.
            _ => Some(last_that_applied(&workspace)),
        };
    }
    println!(
        "soak: seed {seed}, {killed} kills in {rounds} rounds, {finished} finished, {undone} undone"
    );
}

/// The name of the publish of which something is there: `synth rollback` of another says which.
fn last_that_applied(workspace: &Workspace) -> String {
    let journals = std::fs::read_dir(workspace.path(".synth/journal")).unwrap();
    let names = journals.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let last = names.max().unwrap();
    let run = workspace.synth(["rollback", "none"]);
    assert!(run.to_string().contains(&last), "{run}");
    last
}
