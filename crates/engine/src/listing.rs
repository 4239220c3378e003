//! Which files and directories patterns choose, and what it takes to see later that they still
//! choose the same: the directories that were read, and the ways that led to them. What no pattern
//! can mean is not read.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use synth_core::{FileKind, PlanError, ProjectPath, SourceFiles};

use crate::commit::is_staging;
use crate::index::stamp::{Stamp, file_clock};
use crate::patterns::{PathPatterns, Reach};
use crate::project::{NEVER_SOURCES, Project, file_kind, not_utf8, plan_error};

/// What patterns chose, relative to their root.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<String>,
    pub(crate) directories: Vec<String>,
    /// Files that were passed over because a target has put them there.
    pub(crate) passed_over: Vec<String>,
    /// The directories that were read, as they were before, and when that was.
    pub(crate) looked_at: Vec<(ProjectPath, Stamp, i64)>,
    /// What is on the way to them, in directories that were not read: nothing as well.
    pub(crate) ways: Vec<(ProjectPath, Option<FileKind>)>,
    /// Whether something was left out because patterns exclude it.
    excluded: bool,
}

impl Listing {
    fn len(&self) -> usize {
        self.files.len() + self.directories.len()
    }

    /// Whether it would be the same, on the same files, now that it is known which of them are
    /// outputs.
    pub(crate) fn holds_no_outputs(&self, project: &Project, files: &SourceFiles) -> bool {
        let is_source = |path: &String| {
            let path = files.root.join(path);
            path.is_ok_and(|path| !project.in_place().is_output(path.as_str()))
        };
        self.passed_over.is_empty() && !self.excluded && self.files.iter().all(is_source)
    }

    /// Whether the directories are as they were: none of the files has gone, and none has come.
    pub(crate) fn is_as_it_was(&self, project: &Project) -> bool {
        let mut directories = self.looked_at.iter();
        let mut ways = self.ways.iter();
        directories.all(|(path, then, looked)| {
            let now = Stamp::followed(&project.disk_path(path));
            then.is_settled(*looked) && now.is_ok_and(|now| now == *then)
        }) && ways.all(|(path, then)| {
            let now = fs::symlink_metadata(project.disk_path(path));
            now.map(|now| Some(file_kind(now.file_type())))
                .or_else(none)
                == Ok(*then)
        })
    }
}

/// Nothing is there, if that is what is the matter.
fn none(error: io::Error) -> Result<Option<FileKind>, io::ErrorKind> {
    match error.kind() {
        // A name that there can't be is not there either.
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidInput => Ok(None),
        other => Err(other),
    }
}

/// Lists what patterns choose.
pub(crate) fn list(project: &Project, files: &SourceFiles) -> Result<Listing, PlanError> {
    let patterns = project.compiled().patterns(files)?;
    let mut walk = Walk {
        project,
        patterns: &patterns,
        found: Listing::default(),
    };
    walk.begin(&files.root)?;
    let mut found = walk.found;
    found.files.sort();
    found.directories.sort();
    Ok(found)
}

/// A walk through the directories that patterns reach.
struct Walk<'a> {
    project: &'a Project,
    patterns: &'a Patterns,
    found: Listing,
}

impl Walk<'_> {
    fn begin(&mut self, root: &ProjectPath) -> Result<(), PlanError> {
        let include = self.patterns.include.clone();
        let reach = include.as_ref().and_then(|include| include.reach.narrow());
        let Some(reach) = reach else {
            return self.read(root, "");
        };
        let disk = self.project.disk_path(root);
        let metadata = fs::symlink_metadata(&disk).map_err(|error| plan_error(root, &error))?;
        // A link may lead elsewhere tomorrow.
        if !metadata.is_dir() {
            return self.read(root, "");
        }
        let way = (root.clone(), Some(FileKind::Directory));
        self.found.ways.push(way);
        self.step(root, "", reach)
    }

    /// Looks below a directory at what patterns name, and at nothing else.
    fn step(
        &mut self,
        directory: &ProjectPath,
        below: &str,
        reach: &Reach,
    ) -> Result<(), PlanError> {
        for (name, reach) in reach.below() {
            // What can't be a name is none.
            let Ok(path) = directory.join(name) else {
                continue;
            };
            let metadata = fs::symlink_metadata(self.project.disk_path(&path));
            let kind = metadata
                .map(|metadata| Some(file_kind(metadata.file_type())))
                .or_else(|error| none(error).map_err(io::Error::from))
                .map_err(|error| plan_error(&path, &error))?;
            self.found.ways.push((path, kind));
            if let Some(kind) = kind {
                self.entry(directory, below, name, kind, Some(reach))?;
            }
        }
        Ok(())
    }

    /// Reads a directory, all of which patterns may mean.
    fn read(&mut self, directory: &ProjectPath, below: &str) -> Result<(), PlanError> {
        let disk = self.project.disk_path(directory);
        let looked = file_clock();
        let stamp = Stamp::followed(&disk).map_err(|error| plan_error(directory, &error))?;
        self.found
            .looked_at
            .push((directory.clone(), stamp, looked));
        let entries = fs::read_dir(disk).map_err(|error| plan_error(directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| plan_error(directory, &error))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                if self.leaves_out(&format!("{below}{}", name.display())) {
                    continue;
                }
                return Err(not_utf8(directory, &format!("the name {name:?} in it")));
            };
            let kind = entry.file_type();
            let kind = kind.map_err(|error| plan_error(directory, &error))?;
            self.entry(directory, below, name, file_kind(kind), None)?;
        }
        Ok(())
    }

    /// Takes what is in a directory, and of what is a directory itself what patterns reach.
    fn entry(
        &mut self,
        directory: &ProjectPath,
        below: &str,
        name: &str,
        kind: FileKind,
        reach: Option<&Reach>,
    ) -> Result<(), PlanError> {
        let relative = format!("{below}{name}");
        if kind != FileKind::Directory {
            let path = match directory.as_str() {
                "" => name.to_owned(),
                directory => format!("{directory}/{name}"),
            };
            if self.project.in_place().is_output(&path) {
                self.found.passed_over.push(relative);
                return Ok(());
            }
        }
        if self.leaves_out(&relative) || NEVER_SOURCES.contains(&name) || is_staging(name) {
            return Ok(());
        }
        match kind {
            FileKind::Directory => {
                let path = below_directory(directory, name)?;
                self.directory(&path, relative, reach.and_then(Reach::narrow))?;
            }
            FileKind::File | FileKind::Symlink if self.patterns.includes(&relative) => {
                self.found.files.push(relative);
            }
            _ => {}
        }
        Ok(())
    }

    fn directory(
        &mut self,
        path: &ProjectPath,
        relative: String,
        reach: Option<&Reach>,
    ) -> Result<(), PlanError> {
        if !self.project.may_hold_sources(path) {
            return Ok(());
        }
        let (before, outputs) = (self.found.len(), self.found.passed_over.len());
        let below = format!("{relative}/");
        match reach {
            Some(reach) => self.step(path, &below, reach)?,
            None => self.read(path, &below)?,
        }
        // A directory that is there for outputs alone is none of the sources.
        let for_outputs = self.found.len() == before
            && (self.found.passed_over.len() > outputs || self.project.is_for_outputs(path));
        if self.patterns.includes(&relative) && !for_outputs {
            self.found.directories.push(relative);
        }
        Ok(())
    }

    fn leaves_out(&mut self, relative: &str) -> bool {
        let excluded = self.patterns.exclude.paths.is_match(relative);
        self.found.excluded |= excluded;
        excluded
    }
}

fn below_directory(directory: &ProjectPath, name: &str) -> Result<ProjectPath, PlanError> {
    directory.join(name).map_err(|error| PlanError::Io {
        path: directory.clone(),
        reason: error.to_string(),
    })
}

/// The patterns of a [`SourceFiles`], compiled.
pub(crate) struct Patterns {
    include: Option<Arc<Compiled>>,
    exclude: Arc<Compiled>,
}

impl Patterns {
    fn includes(&self, path: &str) -> bool {
        let include = self.include.as_ref();
        include.is_none_or(|include| include.paths.is_match(path))
    }
}

/// Patterns with what they can mean.
#[derive(Debug)]
struct Compiled {
    paths: PathPatterns,
    reach: Reach,
}

/// Patterns that were compiled in this build, which most targets have in common.
#[derive(Debug, Default)]
pub(crate) struct KnownPatterns(Mutex<HashMap<Vec<String>, Arc<Compiled>>>);

impl KnownPatterns {
    /// How many are kept: where each target has its own, they are not worth their memory.
    const MOST: usize = 64;

    pub(crate) fn patterns(&self, files: &SourceFiles) -> Result<Patterns, PlanError> {
        let include = &files.include;
        let include = (!include.is_empty()).then(|| self.compiled(include));
        Ok(Patterns {
            include: include.transpose()?,
            exclude: self.compiled(&files.exclude)?,
        })
    }

    fn compiled(&self, patterns: &[String]) -> Result<Arc<Compiled>, PlanError> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = known().get(patterns) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(Compiled {
            paths: PathPatterns::new(patterns)?,
            reach: Reach::of(patterns),
        });
        let mut known = known();
        if known.len() < Self::MOST {
            known.insert(patterns.to_vec(), Arc::clone(&compiled));
        }
        Ok(compiled)
    }
}

/// What patterns chose, each looked at once, and again when all is planned.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    pub(crate) planned: HashMap<SourceFiles, Arc<Listing>>,
    pub(crate) now: HashMap<SourceFiles, Arc<Listing>>,
}

/// The store's directory as it is found among the sources: links followed.
pub(crate) fn real_store(store: &std::path::Path) -> PathBuf {
    // A store that is not there yet is not found among the sources either.
    fs::canonicalize(store).unwrap_or_else(|_| store.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> ProjectPath {
        ProjectPath::parse(path).unwrap()
    }

    /// Files and directories below a new directory; those that end in `/` are directories.
    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for path in paths {
            let path = directory.path().join(path);
            if path.to_string_lossy().ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
        }
        directory
    }

    fn project(directory: &tempfile::TempDir) -> Arc<Project> {
        Project::at(fs::canonicalize(directory.path()).unwrap())
    }

    #[test]
    fn only_what_patterns_can_mean_is_read() {
        let directory = tree(&["p/src/a/b.c", "p/src/c.c", "p/out/o.c", "p/x.c", "p/empty/"]);
        let project = project(&directory);
        for (include, files, directories, read, ways) in [
            (vec!["src/*.c"], "src/c.c", "", "p/src p/src/a", "p p/src"),
            (
                vec!["src"],
                "src/a/b.c src/c.c",
                "src src/a",
                "p/src p/src/a",
                "p p/src",
            ),
            (
                vec!["./src/a/**", "x.c"],
                "src/a/b.c x.c",
                "",
                "p/src/a",
                "p p/src p/src/a p/x.c",
            ),
            (
                vec!["src/a/*.c", "src/?.c"],
                "src/a/b.c src/c.c",
                "",
                "p/src p/src/a",
                "p p/src",
            ),
            (vec!["*.c"], "x.c", "", "p p/empty p/out p/src p/src/a", ""),
            (vec!["gone/*.c"], "", "", "", "p p/gone"),
            (vec!["x.c/y"], "", "", "", "p p/x.c"),
            (vec!["empty"], "", "empty", "p/empty", "p p/empty"),
        ] {
            let files_below = SourceFiles::below(parse("p")).include(include.clone());
            let found = list(&project, &files_below).unwrap();
            let mut looked_at: Vec<&str> =
                found.looked_at.iter().map(|(p, ..)| p.as_str()).collect();
            looked_at.sort_unstable();
            let on_way: Vec<&str> = found.ways.iter().map(|(p, _)| p.as_str()).collect();
            assert_eq!(
                (found.files.join(" "), found.directories.join(" ")),
                (files.to_owned(), directories.to_owned()),
                "{include:?}"
            );
            assert_eq!(
                (looked_at.join(" "), on_way.join(" ")),
                (read.to_owned(), ways.to_owned()),
                "{include:?}"
            );
        }
    }

    /// What patterns choose where every directory is read.
    fn list_all(project: &Project, files: &SourceFiles) -> Listing {
        let patterns = project.compiled().patterns(files).unwrap();
        let mut walk = Walk {
            project,
            patterns: &patterns,
            found: Listing::default(),
        };
        walk.read(&files.root, "").unwrap();
        let mut found = walk.found;
        found.files.sort();
        found.directories.sort();
        found
    }

    #[test]
    fn nothing_is_missed_where_not_all_is_read() {
        let directory = tree(&[
            "p/src/a/b.c",
            "p/src/a/.git/b.c",
            "p/src/{a}/b.c",
            "p/src/c.c",
            "p/dist/d.c",
            "p/x.c",
            "p/empty/",
            "elsewhere/e.c",
        ]);
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(to, directory.path().join(at)).unwrap();
        };
        link("../elsewhere", "p/away");
        link("p", "q");
        link("nowhere", "p/src/broken");
        let project = project(&directory);
        let long = "n".repeat(300);
        let includes = [
            "src",
            "src/",
            "./src/a",
            "src/**",
            "src/*",
            "src/*.c",
            "src/a/b.c",
            "src/{a,x}/b.c",
            "{src,away}/*.c",
            "src/[a]/b.c",
            "src/\\{a\\}/b.c",
            "src/a/../c.c",
            "src//c.c",
            "/src/c.c",
            "..",
            ".",
            "",
            "**/b.c",
            "*.c",
            "away",
            "away/e.c",
            "x.c",
            "x.c/y",
            "empty",
            "empty/*",
            "gone/*.c",
            "src/broken",
            "src/a/.git/b.c",
            "SRC/c.c",
            "a\0b/c.c",
            &long,
            "!src",
        ];
        let excludes: [&[&str]; 4] = [&[], &["src"], &["src/a/b.c", "x.*"], &["**/a"]];
        for root in ["p", "q", "p/src", ""] {
            for exclude in excludes {
                for pair in includes
                    .iter()
                    .flat_map(|one| [vec![*one], vec![*one, "src/a/*"]])
                {
                    let files = SourceFiles::below(parse(root));
                    let files = files.include(pair.clone()).exclude(exclude.to_vec());
                    let Ok(found) = list(&project, &files) else {
                        panic!("{root} {pair:?} {exclude:?}");
                    };
                    let all = list_all(&project, &files);
                    assert_eq!(found.files, all.files, "{root} {pair:?} {exclude:?}");
                    assert_eq!(
                        found.directories, all.directories,
                        "{root} {pair:?} {exclude:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_root_that_is_not_there_is_an_error_whatever_the_patterns() {
        let directory = tree(&["a"]);
        for pattern in ["src/*.c", "*.c"] {
            let files = SourceFiles::below(parse("gone")).include([pattern]);
            assert!(list(&project(&directory), &files).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_listing_is_as_it_was_until_something_comes_goes_or_takes_a_place() {
        type Change = fn(&std::path::Path);
        let changes: [(&str, Change, bool); 7] = [
            ("nothing", |_| {}, true),
            ("elsewhere", |p| fs::write(p.join("x"), "").unwrap(), true),
            (
                "content",
                |p| fs::write(p.join("src/a.c"), "new").unwrap(),
                true,
            ),
            ("come", |p| fs::write(p.join("src/b.c"), "").unwrap(), false),
            (
                "gone",
                |p| fs::remove_file(p.join("src/a.c")).unwrap(),
                false,
            ),
            ("way", |p| fs::write(p.join("late.c"), "").unwrap(), false),
            (
                "link",
                |p| {
                    fs::rename(p.join("src"), p.join("elsewhere")).unwrap();
                    std::os::unix::fs::symlink("elsewhere", p.join("src")).unwrap();
                },
                false,
            ),
        ];
        for (name, change, expected) in changes {
            let directory = tree(&["p/src/a.c"]);
            let project = project(&directory);
            crate::index::stamp::wait_for_the_next_tick();
            let files = SourceFiles::below(parse("p")).include(["src/*.c", "late.c"]);
            let found = list(&project, &files).unwrap();
            change(&directory.path().join("p"));
            assert_eq!(found.is_as_it_was(&project), expected, "{name}");
        }
    }
}
