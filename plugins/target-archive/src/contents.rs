//! What a target's archive holds and where, with every problem that can be seen before it is made.

use synth_core::{Diagnostic, PlanContext, PlanError, ProjectPath, SourceFiles, TargetSpec};

use crate::format::Format;
use crate::settings::Settings;

/// 1980-01-01 UTC: the first moment that a zip archive can tell, and the time of everything that
/// synth builds.
const FIRST_TIME: u64 = 315_532_800;

/// 2107-12-31T23:59:59 UTC: the last moment that a zip archive can tell.
const LAST_TIME: u64 = 4_354_819_199;

/// Bytes of the longest pattern: no path that a system knows is longer.
const LONGEST_PATTERN: usize = 4096;

/// Each pattern is looked for by itself, so that one that finds nothing is named.
const MOST_PATTERNS: usize = 200;

/// The variable that says the time of what is built (reproducible-builds.org).
const TIME_VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// What is archived.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    /// The file's name without extension.
    pub(crate) name: String,
    pub(crate) formats: Vec<Format>,
    pub(crate) level: Option<u8>,
    /// The directory inside the archive that holds everything; empty for none.
    pub(crate) root: ProjectPath,
    /// Each needed target with its place below `root`.
    pub(crate) needs: Vec<(String, ProjectPath)>,
    pub(crate) sources: Option<SourceFiles>,
    /// The time of every entry, in seconds since 1970 UTC.
    pub(crate) time: u64,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Contents {
    /// Reads a target's settings and looks for what they choose.
    ///
    /// # Errors
    /// All problems.
    pub(crate) fn read(
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Self, Vec<Diagnostic>> {
        let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut checked = |result: Result<(), Diagnostic>| problems.extend(result.err());
        checked(dependencies(target));
        let name = settings.name.clone().unwrap_or_else(|| target.name.clone());
        checked(file_name(&name));
        checked(formats(settings.format.all()));
        for format in settings.format.all() {
            checked(level(settings.level, *format));
        }
        let root = inside(&settings.root, &["root"]);
        checked(root.clone().map(drop));
        let time = time(target);
        checked(time.clone().map(drop));
        for place in settings.layout.keys() {
            checked(known_need(target, place));
        }
        let mut needs = Vec::new();
        for need in &target.needs {
            let place = settings.layout.get(need).unwrap_or(need);
            match inside(place, &["layout", need]) {
                Ok(place) => needs.push((need.clone(), place)),
                Err(problem) => checked(Err(problem)),
            }
        }
        let mut warnings = Vec::new();
        let sources = match sources(target, &settings, &needs, context) {
            Ok((sources, notes)) => {
                warnings.extend(notes);
                sources
            }
            Err(found) => {
                problems.extend(found);
                None
            }
        };
        match (root, time) {
            (Ok(root), Ok(time)) if problems.is_empty() => Ok(Self {
                name,
                formats: settings.format.all().to_vec(),
                level: settings.level,
                root,
                needs,
                sources,
                time,
                warnings,
            }),
            _ => Err(problems),
        }
    }
}

fn dependencies(target: &TargetSpec) -> Result<(), Diagnostic> {
    let Some(first) = target.dependencies.first() else {
        return Ok(());
    };
    Err(Diagnostic::error(
        "archive.dependencies",
        format!("an archive has no packages to depend on, but `dependencies` names `{first}`"),
    )
    .at_setting(["dependencies"])
    .help("targets whose outputs are archived are named in `needs`"))
}

/// The name is one path component on every system that an archive may be fetched to.
fn file_name(name: &str) -> Result<(), Diagnostic> {
    let wrong = |what: String| {
        Err(Diagnostic::error("archive.name", what)
            .at_setting(["name"])
            .help("give the file's name alone, without extension: `name = \"storefront-1.0\"`"))
    };
    if name.is_empty() || name == "." || name == ".." {
        return wrong(format!("`{name}` can't be the name of a file"));
    }
    match name
        .chars()
        .find(|c| matches!(c, '/' | '\\') || c.is_control())
    {
        Some(c) => wrong(format!("the name {name:?} holds {c:?}")),
        None => Ok(()),
    }
}

fn formats(formats: &[Format]) -> Result<(), Diagnostic> {
    if formats.is_empty() {
        return Err(
            Diagnostic::error("archive.format.none", "`format` names no format")
                .at_setting(["format"])
                .help("name one or more of `tar.gz`, `tar.zst` and `zip`"),
        );
    }
    let twice = formats
        .iter()
        .enumerate()
        .find(|(index, format)| formats.iter().take(*index).any(|other| other == *format));
    match twice {
        Some((index, format)) => Err(Diagnostic::error(
            "archive.format.twice",
            format!("`format` names `{format}` twice"),
        )
        .at_setting(["format".to_owned(), index.to_string()])
        .help("remove one of them")),
        None => Ok(()),
    }
}

fn level(level: Option<u8>, format: Format) -> Result<(), Diagnostic> {
    let levels = format.levels();
    match level {
        Some(level) if !levels.contains(&level) => Err(Diagnostic::error(
            "archive.level",
            format!(
                "`{format}` has no level {level}: it has {} to {}",
                levels.start(),
                levels.end()
            ),
        )
        .at_setting(["level"])
        .help(format!(
            "choose one of these, or leave `level` out for {}",
            format.default_level()
        ))),
        _ => Ok(()),
    }
}

/// A path inside the archive. `..` is no way to write one, even where it would stay inside.
fn inside(text: &str, setting: &[&str]) -> Result<ProjectPath, Diagnostic> {
    let wrong = |what: String| {
        Diagnostic::error("archive.path", what)
            .at_setting(setting.iter().copied())
            .help("give a path relative to the top of the archive, without `..`")
    };
    if text.starts_with('/') {
        return Err(wrong(format!("`{text}` starts at the root of a machine")));
    }
    if text.split('/').any(|component| component == "..") {
        return Err(wrong(format!("`{text}` holds `..`")));
    }
    if text.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(wrong(format!(
            "{text:?} can't be a path in an archive for every system"
        )));
    }
    ProjectPath::parse(text).map_err(|error| wrong(error.to_string()))
}

fn known_need(target: &TargetSpec, name: &str) -> Result<(), Diagnostic> {
    if target.needs.iter().any(|need| need == name) {
        return Ok(());
    }
    let problem = Diagnostic::error(
        "archive.layout.unknown",
        format!("`layout` says where `{name}` goes, but the target does not need `{name}`"),
    )
    .at_setting(["layout", name]);
    Err(if target.needs.is_empty() {
        problem.help(format!("add it: `needs = [\"{name}\"]`"))
    } else {
        let known = target.needs.join("`, `");
        problem.help(format!("it needs `{known}`; add `{name}` to `needs`"))
    })
}

/// The time of every entry: the user's `SOURCE_DATE_EPOCH`, or the first that all formats know.
fn time(target: &TargetSpec) -> Result<u64, Diagnostic> {
    let Some(text) = target.environment.get(TIME_VARIABLE) else {
        return Ok(FIRST_TIME);
    };
    match text.parse() {
        Ok(time) if (FIRST_TIME..=LAST_TIME).contains(&time) => Ok(time),
        _ => Err(Diagnostic::error(
            "archive.time",
            format!("`{TIME_VARIABLE}` is `{text}`, which is no time that every format knows"),
        )
        .at_setting(["environment", TIME_VARIABLE])
        .help(format!(
            "give seconds since 1970-01-01 UTC, from {FIRST_TIME} (1980) to {LAST_TIME} (2107)"
        ))),
    }
}

/// The files of the project that are archived; none when none are asked for.
fn sources(
    target: &TargetSpec,
    settings: &Settings,
    needs: &[(String, ProjectPath)],
    context: &dyn PlanContext,
) -> Result<(Option<SourceFiles>, Vec<Diagnostic>), Vec<Diagnostic>> {
    if settings.include.is_empty() {
        if !settings.exclude.is_empty() {
            return Err(vec![
                Diagnostic::error(
                    "archive.exclude.alone",
                    "`exclude` has nothing to choose from: no file is included",
                )
                .at_setting(["exclude"])
                .help("add `include = [\"**\"]` for everything below the source directory"),
            ]);
        }
        if target.needs.is_empty() {
            return Err(vec![nothing(target)]);
        }
        return Ok((None, Vec::new()));
    }
    let too_long = too_long(settings);
    if !too_long.is_empty() {
        return Err(too_long);
    }
    let chosen = SourceFiles::below(target.source_path.clone())
        .include(settings.include.clone())
        .exclude(settings.exclude.clone());
    let files = context
        .files(&chosen)
        .map_err(|error| vec![unreadable(&error, settings)])?;
    if files.is_empty() && target.needs.is_empty() {
        return Err(vec![
            Diagnostic::error(
                "archive.empty",
                format!("no file below `{}` is included", target.source_path),
            )
            .at_setting(["include"])
            .help("check the patterns; they are relative to the source directory"),
        ]);
    }
    let problems: Vec<Diagnostic> = needs
        .iter()
        .filter_map(|(need, place)| meeting(need, place, &files, target))
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let notes = unmatched(settings, &chosen, target, context);
    Ok((Some(chosen), notes))
}

fn too_long(settings: &Settings) -> Vec<Diagnostic> {
    let lists = [
        ("include", &settings.include),
        ("exclude", &settings.exclude),
    ];
    if let Some((key, patterns)) = lists.iter().find(|(_, list)| list.len() > MOST_PATTERNS) {
        return vec![
            Diagnostic::error(
                "archive.patterns.many",
                format!("`{key}` has {} patterns", patterns.len()),
            )
            .at_setting([key.to_string()])
            .help(format!(
                "say it in at most {MOST_PATTERNS}: `**` spans directories"
            )),
        ];
    }
    let patterns = lists.into_iter().flat_map(|(key, patterns)| {
        let patterns = patterns.iter().enumerate();
        patterns.map(move |(index, pattern)| (key, index, pattern))
    });
    patterns
        .filter(|(_, _, pattern)| pattern.len() > LONGEST_PATTERN)
        .map(|(key, index, pattern)| {
            let bytes = pattern.len();
            let what = format!("a pattern of {bytes} bytes is longer than any path");
            Diagnostic::error("archive.pattern.long", what)
                .at_setting([key.to_owned(), index.to_string()])
                .help(format!("use patterns of at most {LONGEST_PATTERN} bytes"))
        })
        .collect()
}

fn nothing(target: &TargetSpec) -> Diagnostic {
    Diagnostic::error(
        "archive.nothing",
        format!("`{}` has nothing to archive", target.name),
    )
    .at_setting(Vec::<String>::new())
    .help("name the targets whose outputs are archived: `needs = [\"api\"]`")
    .help("or the files: `include = [\"**\"]` is everything below the source directory")
}

/// A file of the sources in the way of a needed target.
fn meeting(
    need: &str,
    place: &ProjectPath,
    files: &[String],
    target: &TargetSpec,
) -> Option<Diagnostic> {
    let file = files.iter().find(|file| {
        !place.is_root()
            && ProjectPath::parse(file).is_ok_and(|file| place.strip_prefix(&file).is_some())
    })?;
    let shown = target
        .source_path
        .join(file)
        .map_or_else(|_| file.clone(), |path| path.to_string());
    Some(
        Diagnostic::error(
            "archive.place.taken",
            format!("the file `{shown}` and the outputs of `{need}` are both put at `{file}`"),
        )
        .at_setting(["layout", need])
        .help(format!(
            "put the target elsewhere (`layout = {{ {need} = \"..\" }}`), or exclude the file"
        )),
    )
}

/// A warning for each pattern that chooses nothing: most likely a slip of the pen.
fn unmatched(
    settings: &Settings,
    chosen: &SourceFiles,
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Vec<Diagnostic> {
    let finds_nothing = |pattern: &String| {
        let one = SourceFiles::below(chosen.root.clone()).include([pattern.clone()]);
        context.files(&one).is_ok_and(|files| files.is_empty())
    };
    let patterns = settings.include.iter().enumerate();
    patterns
        .filter(|(_, pattern)| finds_nothing(pattern))
        .map(|(index, pattern)| {
            Diagnostic::warning(
                "archive.include.unmatched",
                format!("no file below `{}` matches `{pattern}`", target.source_path),
            )
            .at_setting(["include".to_owned(), index.to_string()])
            .help("check the pattern; it is relative to the source directory")
        })
        .collect()
}

fn unreadable(error: &PlanError, settings: &Settings) -> Diagnostic {
    let problem = Diagnostic::error("archive.sources", error.to_string());
    let PlanError::Pattern { pattern, .. } = error else {
        return problem
            .at_setting(["source_path"])
            .help("check that the directory is there and can be read");
    };
    let lists = [
        ("include", &settings.include),
        ("exclude", &settings.exclude),
    ];
    let place = lists.into_iter().find_map(|(key, patterns)| {
        let index = patterns.iter().position(|known| known == pattern)?;
        Some([key.to_owned(), index.to_string()])
    });
    match place {
        Some(place) => problem.at_setting(place),
        None => problem.at_setting(["include"]),
    }
    .help("`*` and `?` stay within a name, `**` spans directories, `{a,b}` and `[a-z]` choose")
}
