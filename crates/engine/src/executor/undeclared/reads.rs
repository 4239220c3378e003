//! What a failed action may have looked for and not found, by the paths that stand in the end of
//! its log next to an error.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use synth_core::{Action, ActionKind, Concern, Diagnostic, InputSource, ProjectPath};

use super::{MOST_TOLD, listed, setting};
use crate::tree::{Tree, TreeEntry};

/// How much of a log is looked at.
pub(in crate::executor) const LOG_BYTES: u64 = 64 * 1024;

/// Longer words are no paths.
const LONGEST_PATH: usize = 1024;

/// Words that stand in the line of a path that could not be read or written. In lower case.
const ERRORS: [&str; 16] = [
    "no such",
    "not found",
    "cannot",
    "can't",
    "could not",
    "couldn't",
    "unable",
    "does not exist",
    "doesn't exist",
    "enoent",
    "eacces",
    "erofs",
    "denied",
    "read-only",
    "fail",
    "error",
];

/// Words of a line that tells of a write to where nothing may be written.
const REFUSALS: [&str; 2] = ["read-only file system", "erofs"];

/// Where the action's own files are, as it sees them, and what every action sees. Nothing there is
/// missing because of the sandbox.
const SEEN: [&str; 11] = [
    "/synth", "/tmp", "/dev", "/proc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt",
];

/// What a failed action had, and what there is beside.
pub(in crate::executor) struct Search<'a> {
    pub(in crate::executor) action: &'a Action,
    pub(in crate::executor) inputs: &'a Tree,
    /// Its root as it sees it.
    pub(in crate::executor) root: &'a Path,
    /// The project's directory.
    pub(in crate::executor) project: &'a Path,
    /// Where targets put their outputs, by name.
    pub(in crate::executor) targets: &'a [(String, ProjectPath)],
    /// What it sees of the machine beside the system; none where it sees everything.
    pub(in crate::executor) shown: Option<&'a [PathBuf]>,
}

/// What may have been missing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    /// A file of the project, relative to it.
    Project(String),
    /// An output of a target.
    Output(String),
    /// A file of the machine.
    Machine(String),
    /// A place where nothing may be written.
    Refused(String),
}

/// What is to be said of a failure whose log ends so.
pub(in crate::executor) fn look_for_reads(search: &Search<'_>, log: &str) -> Vec<Diagnostic> {
    let ActionKind::Exec(exec) = &search.action.kind else {
        return Vec::new();
    };
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let lower = line.to_lowercase();
        if !ERRORS.iter().any(|error| lower.contains(error)) {
            continue;
        }
        let refused = REFUSALS.iter().any(|refusal| lower.contains(refusal));
        found.extend(
            words(line).filter_map(|word| search.missing(word, &exec.working_directory, refused)),
        );
    }
    search.problems(&found)
}

impl Search<'_> {
    fn missing(&self, word: &str, working_directory: &str, refused: bool) -> Option<Missing> {
        let path = Path::new(word);
        if let Ok(below) = path.strip_prefix(self.root) {
            return self.of_project(&plain(below)?);
        }
        if !path.is_absolute() {
            return self.of_project(&plain(&Path::new(working_directory).join(path))?);
        }
        if let Ok(below) = path.strip_prefix(self.project) {
            return self.in_project(below.to_str()?);
        }
        let shown = self.shown?;
        let seen = SEEN.iter().any(|seen| path.starts_with(seen));
        if seen || shown.iter().any(|shown| path.starts_with(shown)) {
            return None;
        }
        if refused {
            return Some(Missing::Refused(word.to_owned()));
        }
        let above = path.parent().filter(|above| above.parent().is_some());
        // One that was to be made has its directory.
        let there = path.symlink_metadata().is_ok() || above.is_some_and(Path::is_dir);
        there.then(|| Missing::Machine(word.to_owned()))
    }

    /// A path in the root, where the project has a file that is no input.
    fn of_project(&self, path: &str) -> Option<Missing> {
        if has(self.inputs, path) {
            return None;
        }
        let place = self.action.inputs.iter().find_map(|input| {
            let root = match &input.from {
                InputSource::Source(files) => &files.root,
                InputSource::Files { root, .. } => root,
                _ => return None,
            };
            let at = input.at.trim_matches('/');
            if let Some(rest) = below(path, at) {
                return root.join(rest).ok();
            }
            // Sources that lie as in the project have others beside them.
            let outer = at.strip_suffix(root.as_str())?.trim_end_matches('/');
            ProjectPath::parse(below(path, outer)?).ok()
        })?;
        self.in_project(place.as_str())
    }

    fn in_project(&self, path: &str) -> Option<Missing> {
        let path = ProjectPath::parse(path).ok()?;
        if path.is_root() {
            return None;
        }
        let of_target = self.targets.iter().find(|(_, output)| {
            !output.is_root() && below(path.as_str(), output.as_str()).is_some()
        });
        if let Some((target, _)) = of_target {
            return Some(Missing::Output(target.clone()));
        }
        let disk = self.project.join(path.as_str());
        disk.symlink_metadata().ok()?;
        Some(Missing::Project(path.into()))
    }

    fn problems(&self, found: &BTreeSet<Missing>) -> Vec<Diagnostic> {
        let of = |choose: fn(&Missing) -> Option<&String>| -> Vec<String> {
            found.iter().filter_map(choose).cloned().collect()
        };
        let mut all = Vec::new();
        let mut tell = |code: &str, message: String, help: String| {
            let warning = Diagnostic::warning(code, message).concerning(Concern::Project);
            all.push(warning.help(help));
        };
        let description = &self.action.description;
        let sources = of(|missing| match missing {
            Missing::Project(path) => Some(path),
            _ => None,
        });
        if !sources.is_empty() {
            tell(
                "sandbox.read",
                format!(
                    "the project has {}, which `{description}` does not get",
                    listed(&sources)
                ),
                self.how_to_declare(&sources),
            );
        }
        for target in of(|missing| match missing {
            Missing::Output(target) => Some(target),
            _ => None,
        })
        .iter()
        .take(MOST_TOLD)
        {
            tell(
                "sandbox.read.output",
                format!("`{description}` may have looked for an output of the target `{target}`"),
                format!("add `needs = [{target:?}]`: its outputs are then below `needs/{target}`"),
            );
        }
        let machine = of(|missing| match missing {
            Missing::Machine(path) => Some(path),
            _ => None,
        });
        if !machine.is_empty() {
            tell(
                "sandbox.read.machine",
                format!(
                    "`{description}` does not see {} of this machine",
                    listed(&machine)
                ),
                format!(
                    "where it is needed, add to synth.toml: `sandbox = {{ read = {} }}`",
                    setting(&machine)
                ),
            );
        }
        let refused = of(|missing| match missing {
            Missing::Refused(path) => Some(path),
            _ => None,
        });
        if !refused.is_empty() {
            tell(
                "sandbox.write.refused",
                format!("`{description}` must not write {}", listed(&refused)),
                "have it write to an output, or below `$HOME` or `$TMPDIR`, which are its own"
                    .into(),
            );
        }
        all
    }

    /// The line that makes files of the project inputs.
    fn how_to_declare(&self, paths: &[String]) -> String {
        let root = self
            .action
            .inputs
            .iter()
            .find_map(|input| match &input.from {
                InputSource::Source(files) => Some(&files.root),
                InputSource::Files { root, .. } => Some(root),
                _ => None,
            });
        let inside: Option<Vec<String>> = root.and_then(|root| {
            let relative = |path: &String| below(path, root.as_str()).map(ToOwned::to_owned);
            paths.iter().map(relative).collect()
        });
        match inside {
            Some(inside) => format!(
                "add what it needs to the target's `inputs`: {}",
                setting(&inside)
            ),
            None => "set `source_path` to a directory that holds all that it needs".into(),
        }
    }
}

/// What of a line may be a path.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let between =
        |c: char| c.is_whitespace() || c.is_control() || "'\"`‘’“”()[]<>{},;=|".contains(c);
    line.split(between)
        .map(|word| word.trim_end_matches(|c: char| "!?.:".contains(c)))
        .map(without_position)
        .filter(|word| (1..=LONGEST_PATH).contains(&word.len()))
        .filter(|word| word.contains('/') || word.contains('.'))
}

/// A path without the line and the column that compilers write behind it.
fn without_position(word: &str) -> &str {
    let mut rest = word;
    while let Some((before, after)) = rest.rsplit_once(':') {
        if after.is_empty() || !after.bytes().all(|byte| byte.is_ascii_digit()) {
            break;
        }
        rest = before;
    }
    rest
}

/// What is left of a path below a directory; the directory itself is not below it.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    if directory.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(directory)?.strip_prefix('/')?;
    (!rest.is_empty()).then_some(rest)
}

/// A relative path without `.` and `..`; none when it leads out.
fn plain(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

fn has(tree: &Tree, path: &str) -> bool {
    let mut tree = tree;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        match tree.entries.get(part) {
            None => return false,
            Some(TreeEntry::Directory(below)) => tree = below,
            Some(_) => return parts.peek().is_none(),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use synth_core::{Exec, Phase, SourceFiles};

    use super::*;

    #[test]
    fn what_a_log_complains_of_is_told_with_the_line_to_add() {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let project = std::fs::canonicalize(directory.path())
            .unwrap()
            .join("project");
        for path in [
            "web/secret.txt",
            "web/known.txt",
            "shared/x.h",
            "dist/api/app",
        ] {
            let path = project.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let outside = project.with_file_name("outside.txt");
        std::fs::write(&outside, "").unwrap();
        let web = ProjectPath::parse("web").unwrap();
        let exec = Exec::new(["sh"]).working_directory("project/web");
        let action = Action::new("run", Phase::Build, "run it", exec)
            .input("project/web", InputSource::Source(SourceFiles::below(web)));
        let mut inputs = Tree::default();
        inputs
            .insert("project/web/known.txt", TreeEntry::Symlink("x".into()))
            .unwrap();
        let targets = [("api".to_owned(), ProjectPath::parse("dist/api").unwrap())];
        let search = Search {
            action: &action,
            inputs: &inputs,
            root: Path::new("/synth/root"),
            project: &project,
            targets: &targets,
            shown: Some(&[]),
        };
        let here = project.display().to_string();
        let outside = outside.display().to_string();
        let inputs = "the project has `web/secret.txt`, which `run it` does not get\n  add what it needs to the target's `inputs`: [\"secret.txt\"]";
        let shared = "the project has `shared/x.h`, which `run it` does not get\n  set `source_path` to a directory that holds all that it needs";
        let output = "`run it` may have looked for an output of the target `api`\n  add `needs = [\"api\"]`: its outputs are then below `needs/api`";
        let machine = format!(
            "`run it` does not see `{outside}` of this machine\n  where it is needed, add to synth.toml: `sandbox = {{ read = [{outside:?}] }}`"
        );
        for (line, expected) in [
            ("cat: secret.txt: No such file or directory", inputs),
            ("./secret.txt:12:3: error", inputs),
            ("cannot open '/synth/root/project/web/secret.txt'.", inputs),
            (&format!("open {here}/web/secret.txt: no such file"), inputs),
            ("../shared/x.h: not found", shared),
            (&format!("ENOENT {here}/dist/api/app"), output),
            (&format!("can't read {outside}"), &machine),
            (
                "touch: cannot touch '/home/me/x': Read-only file system",
                "`run it` must not write `/home/me/x`\n  have it write to an output, or below `$HOME` or `$TMPDIR`, which are its own",
            ),
            // Declared, not there, seen by all, or no complaint.
            ("known.txt: error in line 3", ""),
            ("nothing.txt: not found", ""),
            ("/usr/include/none.h: not found", ""),
            ("../../../../etc/passwd: not found", ""),
            ("reading secret.txt", ""),
            (&"x/".repeat(2000), ""),
        ] {
            let problems = look_for_reads(&search, line);
            let told: Vec<String> = problems
                .iter()
                .map(|problem| format!("{}\n  {}", problem.message, problem.help.join(" ")))
                .collect();
            assert_eq!(told.join("\n"), expected, "{line:.80}");
        }
    }
}
