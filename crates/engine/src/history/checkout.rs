//! Which commit is checked out, and whether files differ from it: git is asked beside the build, and
//! a build that is over does not wait for it.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::git::Git;

/// How long a build that is over may be held up for what git has to say.
const PATIENCE: Duration = Duration::from_millis(10);

/// What git says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkout {
    /// None outside of a repository, or where there is no commit yet.
    pub(super) commit: Option<String>,
    /// None when git did not say in time.
    pub(super) dirty: Option<bool>,
}

/// An answer that is being waited for.
#[derive(Debug)]
pub(super) struct Asked(Receiver<Checkout>);

impl Asked {
    /// Asks git about the checkout of a project.
    pub(super) fn about(root: &Path) -> Self {
        let (sender, receiver) = channel();
        let root = root.to_owned();
        // Without a thread there is no answer.
        let _ = std::thread::Builder::new()
            .name("git".into())
            .spawn(move || tell(&root, &sender));
        Self(receiver)
    }

    /// What is known by now, or in a moment.
    pub(super) fn answer(self) -> Checkout {
        self.answer_within(PATIENCE)
    }

    fn answer_within(self, patience: Duration) -> Checkout {
        let deadline = Instant::now() + patience;
        let mut known = Checkout::default();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(more) => known = more,
                // All is said, or time is up.
                Err(_) => return known,
            }
        }
    }
}

/// Says more and more.
fn tell(root: &Path, sender: &Sender<Checkout>) {
    let Some(git) = Git::find(root) else {
        return;
    };
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
    ];
    if let Ok(differs) = git.ask(&differs) {
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
        let asked = || Asked::about(root).answer_within(LONG);
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
        let asked = || Asked::about(&project).answer_within(LONG);
        assert_eq!(asked(), told(false));
        std::fs::write(root.join("beside"), "two").unwrap();
        assert_eq!(asked(), told(false), "what is not the project's");
        std::fs::write(root.join("project/b"), "two").unwrap();
        assert_eq!(asked(), told(true), "a file that git does not know");
    }
}
