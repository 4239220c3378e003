//! Which commit is checked out, and whether files differ from it: git is asked beside the build, and
//! a build that is over does not wait for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::executor::process::Interrupt;
use crate::git::Git;

/// How long a build that is over may be held up for what git has to say of changes.
const PATIENCE: Duration = Duration::from_millis(10);

/// And for the commit, which git knows at once.
const PATIENCE_FOR_COMMIT: Duration = Duration::from_millis(200);

/// So many paths of outputs are left out of what git is asked for.
const MOST_WRITTEN: usize = 200;

/// What git says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkout {
    /// None outside of a repository, where there is no commit yet, or when git did not say in time.
    pub(super) commit: Option<String>,
    /// None when git did not say in time.
    pub(super) dirty: Option<bool>,
}

/// An answer that is being waited for. When nobody does any more, git is ended.
#[derive(Debug)]
pub(super) struct Asked {
    answers: Receiver<Checkout>,
    over: Arc<Interrupt>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.over.now();
    }
}

impl Asked {
    /// Asks git about the checkout of a project. What is at the paths `written`, relative to its root,
    /// does not count: the build makes it meanwhile.
    pub(super) fn about(root: &Path, written: Vec<String>) -> Self {
        let (sender, answers) = channel();
        let root = root.to_owned();
        let over = Arc::<Interrupt>::default();
        let interrupt = Arc::clone(&over);
        // Without a thread there is no answer.
        let _ = std::thread::Builder::new()
            .name("git".into())
            .spawn(move || tell(&root, &written, &sender, &interrupt));
        Self { answers, over }
    }

    /// What is known by now, or in a moment.
    pub(super) fn answer(self) -> Checkout {
        self.answer_within(PATIENCE_FOR_COMMIT, PATIENCE)
    }

    fn answer_within(self, for_commit: Duration, for_all: Duration) -> Checkout {
        let begun = Instant::now();
        let mut known = Checkout::default();
        loop {
            let patience = match known.commit {
                None => for_commit,
                Some(_) => for_all,
            };
            match self
                .answers
                .recv_timeout(patience.saturating_sub(begun.elapsed()))
            {
                Ok(more) => known = more,
                // All is said, or time is up.
                Err(_) => return known,
            }
        }
    }
}

/// Says more and more.
fn tell(root: &Path, written: &[String], sender: &Sender<Checkout>, over: &Arc<Interrupt>) {
    let Some(git) = Git::find(root) else {
        return;
    };
    let git = git.until(over);
    let Ok(commit) = git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) else {
        return;
    };
    let mut checkout = Checkout {
        commit: Some(commit.trim().to_owned()),
        dirty: None,
    };
    // Nobody listens any more when the build is over.
    let _ = sender.send(checkout.clone());
    // In a large repository that takes a while, and the build comes first: on Linux each thread has a
    // priority of its own, which what it starts inherits.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
    // It takes no lock that a command of the user's could need meanwhile.
    let differs = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "--untracked-files=normal",
        "--",
        ".",
        // What is being put in place.
        ":(exclude,glob)**/.*.synth-*",
        ":(exclude,glob)**/.*.synth-*/**",
    ];
    // With thousands of them git takes long, and who has so many lets git ignore them.
    let written = match written.len() {
        0..=MOST_WRITTEN => written,
        _ => &[],
    };
    let written = written.iter().filter(|path| !path.is_empty());
    let written = written.map(|path| format!(":(exclude,literal){path}"));
    let written: Vec<String> = written.collect();
    let arguments: Vec<&str> = differs
        .into_iter()
        .chain(written.iter().map(String::as_str))
        .collect();
    if let Ok(differs) = git.ask(&arguments) {
        checkout.dirty = Some(!differs.is_empty());
        let _ = sender.send(checkout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::process;

    /// More than git ever takes.
    const LONG: Duration = Duration::from_secs(60);

    fn git(root: &Path, arguments: &[&str]) -> String {
        let directory = root.to_str().unwrap();
        let identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
        let all = ["-C", directory].into_iter().chain(identity);
        let all: Vec<String> = all
            .chain(arguments.iter().copied())
            .map(ToOwned::to_owned)
            .collect();
        let program = which::which("git").unwrap();
        let answer = process::ask(&program, &all, LONG).unwrap();
        assert!(answer.succeeded, "{arguments:?}: {answer:?}");
        String::from_utf8(answer.standard_output)
            .unwrap()
            .trim()
            .to_owned()
    }

    #[test]
    fn the_commit_and_what_differs_from_it_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let asked = || Asked::about(root, Vec::new()).answer_within(LONG, LONG);
        assert_eq!(asked(), Checkout::default(), "no repository");
        git(root, &["init", "--quiet"]);
        assert_eq!(asked(), Checkout::default(), "no commit");
        std::fs::create_dir(root.join("project")).unwrap();
        std::fs::write(root.join("project/a"), "one").unwrap();
        git(root, &["add", "."]);
        git(root, &["commit", "--quiet", "--message", "one"]);
        let commit = Some(git(root, &["rev-parse", "HEAD"]));
        let project = root.join("project");
        let told = |dirty| Checkout {
            commit: commit.clone(),
            dirty: Some(dirty),
        };
        let asked = || {
            let written = vec!["dist/it".to_owned()];
            Asked::about(&project, written).answer_within(LONG, LONG)
        };
        assert_eq!(asked(), told(false));
        std::fs::write(root.join("beside"), "two").unwrap();
        assert_eq!(asked(), told(false), "what is not the project's");
        std::fs::create_dir_all(root.join("project/dist/it")).unwrap();
        std::fs::write(root.join("project/dist/it/a"), "two").unwrap();
        std::fs::create_dir_all(root.join("project/dist/.it.synth-a1b2c3/outputs")).unwrap();
        std::fs::write(root.join("project/dist/.it.synth-a1b2c3/outputs/a"), "two").unwrap();
        assert_eq!(asked(), told(false), "what a build writes");
        std::fs::write(root.join("project/b"), "two").unwrap();
        assert_eq!(asked(), told(true), "a file that git does not know");
    }
}
