//! Which files of the project a `COPY` takes, found out while planning: only those become inputs,
//! so a change anywhere else builds nothing again.

use std::collections::BTreeSet;

use synth_core::{Diagnostic, FileKind, PlanContext, PlanError, ProjectPath, SourceFiles};

use crate::ignore::Ignore;
use crate::paths;
use crate::pattern::{Pattern, is_pattern, literal_prefix, unescape};

/// A directory of the project that a Dockerfile copies from.
pub(crate) struct ContextFiles<'a> {
    context: &'a dyn PlanContext,
    pub(crate) root: ProjectPath,
    ignore: Ignore,
    /// The ignore file's path, for messages.
    ignore_path: String,
    /// Paths relative to the root: files and links, and directories that hold neither.
    pub(crate) selected: BTreeSet<String>,
}

/// Why a source can't be copied. Its place is added by whoever knows the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// A path with its links followed.
struct Followed {
    path: String,
    kind: Option<FileKind>,
    /// The links on the way.
    links: Vec<String>,
}

impl<'a> ContextFiles<'a> {
    /// Reads the ignore file of a context: the first of `ignore_files` that is there.
    pub(crate) fn new(
        context: &'a dyn PlanContext,
        root: ProjectPath,
        ignore_files: &[ProjectPath],
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut files = Self {
            context,
            root,
            ignore: Ignore::default(),
            ignore_path: String::new(),
            selected: BTreeSet::new(),
        };
        for path in ignore_files {
            let text = match context.read_text(path) {
                Ok(text) => text,
                Err(PlanError::NotFound { .. }) => continue,
                Err(error) => {
                    problems.push(
                        Diagnostic::error("docker.dockerignore.unreadable", error.to_string())
                            .in_file(path.to_string()),
                    );
                    break;
                }
            };
            let (ignore, wrong) = Ignore::parse(&text);
            for wrong in wrong {
                let index = usize::try_from(wrong.line.saturating_sub(1)).unwrap_or(0);
                let line = text.lines().nth(index).unwrap_or("");
                problems.push(
                    Diagnostic::error(
                        "docker.dockerignore.pattern",
                        format!("the pattern can't be read: {}", wrong.reason),
                    )
                    .at_line(path.to_string(), wrong.line, line),
                );
            }
            files.ignore = ignore;
            files.ignore_path = path.to_string();
            break;
        }
        files
    }

    /// Selects what a source means.
    ///
    /// # Errors
    /// When there is nothing, or it is not inside the context.
    pub(crate) fn select(
        &mut self,
        source: &str,
        exclude: &[String],
        deep: bool,
    ) -> Result<(), SourceError> {
        let clean = paths::relative(source).map_err(|()| self.outside(source, None))?;
        let exclude = Ignore::from_patterns(exclude).map_err(|reason| SourceError {
            code: "copy.exclude",
            message: format!("`--exclude` can't be read: {reason}"),
            help: "see the rules of .dockerignore".into(),
        })?;
        if !is_pattern(&clean) {
            return self.select_path(source, &unescape(&clean), &exclude);
        }
        let (prefix, rest) = literal_prefix(&clean);
        let pattern = Pattern::parse(&rest, deep).map_err(|reason| SourceError {
            code: "copy.pattern",
            message: format!("`{source}` can't be read: {reason}"),
            help: "`*`, `?` and `[a-z]` are wildcards; put `\\` before one that is meant as it is"
                .into(),
        })?;
        let directory = self.follow(source, &prefix)?;
        let mut found = false;
        for path in self.below(source, &directory.path)? {
            if pattern.matches(&path) {
                let whole = paths::join(&prefix, &path);
                // What is ignored is not there as far as patterns are concerned.
                if self.holds(source, &paths::join(&directory.path, &path))? {
                    found = true;
                    self.select_path(source, &whole, &exclude)?;
                }
            }
        }
        if found {
            Ok(())
        } else {
            Err(self.missing(source))
        }
    }

    /// Every path below a directory: files, links and directories, relative to it.
    fn below(&self, source: &str, directory: &str) -> Result<BTreeSet<String>, SourceError> {
        if !matches!(self.kind(source, directory)?, Some(FileKind::Directory)) {
            return Ok(BTreeSet::new());
        }
        let below = self.files(directory)?;
        let unreadable = |error: &PlanError| self.unreadable(source, error);
        let mut paths: BTreeSet<String> = below.iter().cloned().collect();
        let directories = self.context.directories(&self.source_files(directory)?);
        paths.extend(directories.map_err(|error| unreadable(&error))?);
        for path in &below {
            let mut directory = paths::split(path).0;
            while !directory.is_empty() && paths.insert(directory.to_owned()) {
                directory = paths::split(directory).0;
            }
        }
        Ok(paths)
    }

    fn source_files(&self, directory: &str) -> Result<SourceFiles, SourceError> {
        Ok(SourceFiles::below(self.join(directory)?))
    }

    fn join(&self, path: &str) -> Result<ProjectPath, SourceError> {
        self.root.join(path).map_err(|_| self.outside(path, None))
    }

    fn files(&self, directory: &str) -> Result<Vec<String>, SourceError> {
        let files = self.context.files(&self.source_files(directory)?);
        files.map_err(|error| self.unreadable(directory, &error))
    }

    fn kind(&self, source: &str, path: &str) -> Result<Option<FileKind>, SourceError> {
        if path.is_empty() && self.root.is_root() {
            return Ok(Some(FileKind::Directory));
        }
        let kind = self.context.kind(&self.join(path)?);
        kind.map_err(|error| self.unreadable(source, &error))
    }

    /// Whether a path is part of the context, or has something below it that is.
    fn holds(&self, source: &str, path: &str) -> Result<bool, SourceError> {
        if !self.ignore.excludes(path) {
            return Ok(true);
        }
        if self.kind(source, path)? != Some(FileKind::Directory) {
            return Ok(false);
        }
        let below = self.files(path)?;
        Ok(below
            .iter()
            .any(|file| !self.ignore.excludes(&paths::join(path, file))))
    }

    fn select_path(
        &mut self,
        source: &str,
        path: &str,
        exclude: &Ignore,
    ) -> Result<(), SourceError> {
        let followed = self.follow(source, path)?;
        let Some(kind) = followed.kind else {
            return Err(self.missing(source));
        };
        if !self.holds(source, &followed.path)? {
            return Err(self.ignored(source, &followed.path));
        }
        self.selected.extend(followed.links);
        match kind {
            FileKind::File => {
                self.selected.insert(followed.path);
            }
            FileKind::Directory => self.select_directory(source, &followed.path, exclude)?,
            FileKind::Symlink | FileKind::Other => {
                return Err(SourceError {
                    code: "copy.kind",
                    message: format!("`{source}` is neither a file nor a directory"),
                    help: "copy files and directories only".into(),
                });
            }
        }
        Ok(())
    }

    fn select_directory(
        &mut self,
        source: &str,
        directory: &str,
        exclude: &Ignore,
    ) -> Result<(), SourceError> {
        let files = self.files(directory)?;
        let directories = self.context.directories(&self.source_files(directory)?);
        let directories = directories.map_err(|error| self.unreadable(source, &error))?;
        // The directory itself, should nothing in it be taken.
        self.selected.insert(directory.to_owned());
        for path in files.iter().chain(&directories) {
            let whole = paths::join(directory, path);
            if !self.ignore.excludes(&whole) && !exclude.excludes(path) {
                self.selected.insert(whole);
            }
        }
        Ok(())
    }

    /// Follows the links in a path. Where they lead has to be inside the context.
    fn follow(&self, source: &str, path: &str) -> Result<Followed, SourceError> {
        let mut resolved = String::new();
        let mut open: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut links: Vec<String> = Vec::new();
        let mut kind = self.kind(source, "")?;
        while let Some(component) = open.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." if resolved.is_empty() => {
                    let link = links.last().map(String::as_str);
                    return Err(self.outside(source, link));
                }
                ".." => {
                    resolved = paths::split(&resolved).0.to_owned();
                    continue;
                }
                _ => {}
            }
            let next = paths::join(&resolved, &component);
            kind = self.kind(source, &next)?;
            if kind != Some(FileKind::Symlink) {
                resolved = next;
                continue;
            }
            if links.len() > 40 {
                return Err(SourceError {
                    code: "copy.link.loop",
                    message: format!("`{source}` is a symbolic link in a circle"),
                    help: "copy what the link should lead to".into(),
                });
            }
            let target = self.context.link(&self.join(&next)?);
            let target = target
                .map_err(|error| self.unreadable(source, &error))?
                .unwrap_or_default();
            links.push(next.clone());
            if target.starts_with('/') {
                return Err(self.outside(source, Some(&next)));
            }
            open.extend(target.rsplit('/').map(str::to_owned));
        }
        Ok(Followed {
            path: resolved,
            kind,
            links,
        })
    }

    fn missing(&self, source: &str) -> SourceError {
        let pattern = is_pattern(source);
        let written = paths::relative(source).unwrap_or_default();
        let near = crate::nearest::nearest(
            paths::split(&written).1,
            self.neighbours(&written).iter().map(String::as_str),
        )
        .map(str::to_owned);
        SourceError {
            code: "copy.missing",
            message: if pattern {
                format!("no file in `{}` matches `{source}`", self.root)
            } else {
                format!("there is no `{source}` in `{}`", self.root)
            },
            help: match near {
                Some(near) if !pattern => {
                    let near = paths::join(paths::split(&written).0, &near);
                    format!("the nearest one is `{near}`")
                }
                _ => format!(
                    "sources are relative to the build context, which is `{}`",
                    self.root
                ),
            },
        }
    }

    /// What is beside a path, for suggestions.
    fn neighbours(&self, path: &str) -> BTreeSet<String> {
        let below = self.below(path, paths::split(path).0).unwrap_or_default();
        below
            .into_iter()
            .filter(|name| !name.contains('/'))
            .collect()
    }

    fn ignored(&self, source: &str, path: &str) -> SourceError {
        let by = self.ignore.excluded_by(path);
        let (line, text) = by.unwrap_or((0, ""));
        SourceError {
            code: "copy.ignored",
            message: format!(
                "`{source}` is left out of the build context by `{text}` in {}:{line}",
                self.ignore_path
            ),
            help: format!("add a line `!{path}` after it, or remove it"),
        }
    }

    /// Something outside the context; `link` leads there.
    fn outside(&self, source: &str, link: Option<&str>) -> SourceError {
        let by = match link {
            Some(link) => format!(" through the symbolic link `{link}`"),
            None => String::new(),
        };
        SourceError {
            code: "copy.outside",
            message: format!("`{source}` leaves the build context `{}`{by}", self.root),
            help: "copy from below `source_path` only, or name the other directory in `build_contexts`".into(),
        }
    }

    fn unreadable(&self, source: &str, error: &PlanError) -> SourceError {
        SourceError {
            code: "copy.unreadable",
            message: format!("`{source}` can't be read: {error}"),
            help: "check what it is and who may read it".into(),
        }
    }

    /// What was selected, without the directories that something else in the selection implies.
    pub(crate) fn paths(&self) -> Vec<String> {
        let selected: Vec<&String> = self.selected.iter().collect();
        selected
            .iter()
            .filter(|path| {
                let inside = self.selected.range(format!("{path}/")..).next();
                inside.is_none_or(|next| paths::below(next, path).is_none())
            })
            .map(|path| (*path).clone())
            // The root is there in any case.
            .filter(|path| !path.is_empty())
            .collect()
    }
}
