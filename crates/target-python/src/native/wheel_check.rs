//! The checks of a wheel: name, metadata, tags, RECORD, entry points (PEP 427, 440, 503, 376).

use std::collections::BTreeSet;
use std::fs;
use std::str::FromStr;

use pep440_rs::Version;
use serde::Deserialize;
use synth_core::{Diagnostic, NativeOutcome, RunContext};

use super::entry_points;
use super::metadata::{Fields, Metadata};
use super::modules::Modules;
use super::wheel::{Wheel, WheelName, expanded};
use super::{file_name, only_file, requirements, unwritable};
use crate::names;
use crate::pyproject::requirement_problem;

/// What the step is told.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// Modules to import in place of the top-level modules.
    imports: Option<Vec<String>>,
    /// Extras of the project to test with.
    test_extras: Vec<String>,
}

/// Runs the step: checks `wheel` (against `sdist`, when there is one), and leaves
/// `requirements` for the resolver and `contents` for the steps that use the wheel.
pub(super) fn validate(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    let one = |problem: Diagnostic| vec![problem];
    let path = only_file(&context.inputs().join("wheel"), ".whl", "wheel").map_err(one)?;
    let wheel = Wheel::read(&path).map_err(one)?;
    let (checked, problems) = Checked::of(&wheel);
    let mut problems: Vec<Diagnostic> = problems
        .into_iter()
        .map(|problem| problem.in_file(&wheel.file_name))
        .collect();
    if let Some(checked) = &checked {
        problems.extend(against_sdist(checked, context));
    }
    let Some(checked) = checked.filter(|_| !problems.iter().any(Diagnostic::is_error)) else {
        return Err(problems);
    };
    write_down(&checked, parameters, context).map_err(one)?;
    let metadata = &checked.metadata;
    context.log(&format!(
        "{}: {} files, metadata, tags and RECORD in order",
        wheel.file_name,
        wheel.members.len()
    ));
    let mut outcome = NativeOutcome::quiet()
        .attribute("python.wheel", "name", &metadata.name)
        .attribute("python.wheel", "version", &metadata.version_text);
    if let Some(specifiers) = &metadata.requires_python {
        outcome = outcome.attribute("python.wheel", "requires_python", specifiers);
    }
    outcome.diagnostics = problems;
    Ok(outcome)
}

/// A wheel whose parts could be read.
struct Checked {
    metadata: Metadata,
    modules: Modules,
    scripts: Vec<entry_points::Script>,
}

impl Checked {
    /// Reads the parts, with every problem found on the way.
    fn of(wheel: &Wheel) -> (Option<Self>, Vec<Diagnostic>) {
        let mut problems = check_paths(wheel);
        let Some(name) = WheelName::parse(&wheel.file_name) else {
            problems.push(error(
                "python.wheel.name",
                "the file name is not of the form `name-version(-build)-python-abi-platform.whl`",
            ));
            return (None, problems);
        };
        let mut directories = wheel.info_directories.iter();
        let (Some(directory), None) = (directories.next(), directories.next()) else {
            problems.push(error(
                "python.wheel.dist_info",
                format!(
                    "it has {} directories `*.dist-info`; one was expected",
                    wheel.info_directories.len()
                ),
            ));
            return (None, problems);
        };
        let modules = Modules::of(wheel.members.keys().map(String::as_str));
        let metadata = read(wheel, directory, "METADATA", &mut problems)
            .and_then(|bytes| keep(Metadata::parse(bytes, "METADATA"), &mut problems));
        if let Some(metadata) = &metadata {
            problems.extend(check_name(&name, directory, metadata));
            problems.extend(check_requirements(metadata));
        }
        if let Some(bytes) = read(wheel, directory, "WHEEL", &mut problems) {
            problems.extend(check_tags(&name, bytes, &modules));
        }
        if let Some(bytes) = read(wheel, directory, "RECORD", &mut problems) {
            problems.extend(check_record(wheel, directory, bytes));
        }
        let scripts = match wheel.info(directory, "entry_points.txt") {
            Some(bytes) => keep(
                entry_points::scripts(&String::from_utf8_lossy(bytes)),
                &mut problems,
            ),
            None => Some(Vec::new()),
        };
        let scripts = scripts.unwrap_or_default();
        problems.extend(check_modules(&modules, &scripts));
        let checked = metadata.map(|metadata| Self {
            metadata,
            modules,
            scripts,
        });
        (checked, problems)
    }
}

fn error(code: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, message)
}

fn keep<T>(result: Result<T, Vec<Diagnostic>>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(found) => {
            problems.extend(found);
            None
        }
    }
}

fn read<'a>(
    wheel: &'a Wheel,
    directory: &str,
    name: &str,
    problems: &mut Vec<Diagnostic>,
) -> Option<&'a [u8]> {
    let found = wheel.info(directory, name);
    if found.is_none() {
        let message = format!("it has no `{directory}/{name}`");
        problems.push(error("python.wheel.dist_info", message));
    }
    found
}

fn check_paths(wheel: &Wheel) -> Vec<Diagnostic> {
    let leaves = |path: &&String| {
        path.starts_with('/')
            || path.contains('\\')
            || path.split('/').any(|component| component == "..")
    };
    let out = wheel.members.keys().filter(leaves).map(|path| {
        let message = format!("`{path}` leads out of the directory it is installed in");
        error("python.wheel.path", message)
    });
    let twice = wheel.twice.iter().map(|path| {
        let message = format!("`{path}` is in the archive more than once");
        error("python.wheel.path", message)
    });
    out.chain(twice).collect()
}

fn check_name(name: &WheelName, directory: &str, metadata: &Metadata) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut compare = |place: &str, stated_name: &str, stated_version: &str| {
        let stated = format!("METADATA says {} {}", metadata.name, metadata.version_text);
        if names::normalized(stated_name) != names::normalized(&metadata.name) {
            let message = format!("{place} names `{stated_name}`");
            problems.push(error("python.wheel.name", message).cause(stated));
        } else if Version::from_str(stated_version).ok().as_ref() != Some(&metadata.version) {
            let message = format!("{place} states version `{stated_version}`");
            problems.push(error("python.wheel.version", message).cause(stated));
        }
    };
    compare("the file name", &name.name, &name.version);
    let stem = directory.strip_suffix(".dist-info").unwrap_or(directory);
    let (info_name, info_version) = stem.split_once('-').unwrap_or((stem, ""));
    compare("the `.dist-info` directory", info_name, info_version);
    let expected = names::in_file_name(&metadata.name);
    let version = metadata.version.to_string();
    if problems.is_empty() && (name.name != expected || name.version != version) {
        problems.push(
            Diagnostic::warning(
                "python.wheel.name",
                format!("the file name should begin with `{expected}-{version}-`"),
            )
            .help("a newer version of the build backend names it so"),
        );
    }
    problems
}

fn check_requirements(metadata: &Metadata) -> Vec<Diagnostic> {
    let problem = |text: &String| {
        let reason = requirement_problem(text)?;
        let message = format!("METADATA requires `{text}`, which is not a requirement: {reason}");
        Some(error("python.requirement.syntax", message))
    };
    metadata.requires.iter().filter_map(problem).collect()
}

fn check_tags(name: &WheelName, bytes: &[u8], modules: &Modules) -> Vec<Diagnostic> {
    let fields = match Fields::parse(bytes, "WHEEL") {
        Ok(fields) => fields,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    let format_version = fields.one("Wheel-Version").unwrap_or_default();
    if !format_version.starts_with("1.") {
        let message = format!("WHEEL states format version `{format_version}`; 1.x was expected");
        problems.push(error("python.wheel.format", message));
    }
    let tags = fields.all("Tag");
    let tags: BTreeSet<String> = tags.iter().flat_map(|tag| expanded(tag)).collect();
    if tags != name.tags {
        let show = |tags: &BTreeSet<String>| tags.iter().cloned().collect::<Vec<_>>().join(", ");
        problems.push(
            error(
                "python.wheel.tags",
                "the tags of the file name and of WHEEL differ",
            )
            .cause(format!("the file name says {}", show(&name.tags)))
            .cause(format!("WHEEL says {}", show(&tags))),
        );
    }
    if fields.one("Build") != name.build {
        problems.push(error(
            "python.wheel.tags",
            "the build tags of the file name and of WHEEL differ",
        ));
    }
    if modules.has_extensions() && name.tags.iter().any(|tag| tag.ends_with("-any")) {
        problems.push(error(
            "python.wheel.tags",
            "it holds compiled modules, but its tag says that it runs on any platform",
        ));
    }
    problems
}

/// PEP 376 and 427: every file with its SHA-256 and size, RECORD itself and signatures without.
fn check_record(wheel: &Wheel, directory: &str, bytes: &[u8]) -> Vec<Diagnostic> {
    let own = |name: &str| format!("{directory}/{name}");
    let unhashed = [own("RECORD"), own("RECORD.jws"), own("RECORD.p7s")];
    let mut problems = Vec::new();
    let mut wrong = |message: String| problems.push(error("python.wheel.record", message));
    let mut listed = BTreeSet::new();
    let mut rows = csv::ReaderBuilder::new();
    let mut rows = rows.has_headers(false).flexible(true).from_reader(bytes);
    for row in rows.records() {
        let Ok(row) = row else {
            wrong("RECORD is not in the form of comma-separated values".into());
            break;
        };
        let field = |index: usize| row.get(index).unwrap_or_default();
        let path = field(0).to_owned();
        let Some(member) = wheel.members.get(&path) else {
            wrong(format!("RECORD lists `{path}`, which is not there"));
            continue;
        };
        if !listed.insert(path.clone()) {
            wrong(format!("RECORD lists `{path}` more than once"));
        }
        if unhashed.contains(&path) {
            continue;
        }
        match field(1).split_once('=') {
            Some(("sha256", digest)) if digest.trim_end_matches('=') == member.sha256 => {}
            Some(("sha256", _)) => wrong(format!("RECORD has a wrong digest for `{path}`")),
            // Stronger ones of the same family are allowed; there is nothing to gain by them.
            Some(("sha384" | "sha512", _)) => {}
            _ => wrong(format!("RECORD has no SHA-256 digest for `{path}`")),
        }
        if !field(2).is_empty() && field(2) != member.size.to_string() {
            wrong(format!("RECORD has a wrong size for `{path}`"));
        }
    }
    for path in wheel.members.keys() {
        if !listed.contains(path) && !unhashed.contains(path) {
            wrong(format!("RECORD does not list `{path}`"));
        }
    }
    problems
}

fn check_modules(modules: &Modules, scripts: &[entry_points::Script]) -> Vec<Diagnostic> {
    let missing = scripts
        .iter()
        .filter(|script| modules.owns(&script.module) && !modules.has(&script.module))
        .map(|script| {
            error(
                "python.wheel.entry_points",
                format!(
                    "script `{}` calls module `{}`, which is not in the wheel",
                    script.name, script.module
                ),
            )
        });
    let stray = modules.stray().into_iter().map(|name| {
        let message = format!("the wheel installs a top-level module `{name}`");
        Diagnostic::warning("python.wheel.stray", message)
            .help("whoever installs it gets that module too: make the backend leave it out")
    });
    missing.chain(stray).collect()
}

fn against_sdist(checked: &Checked, context: &dyn RunContext) -> Vec<Diagnostic> {
    let directory = context.inputs().join("sdist");
    if !directory.is_dir() {
        return Vec::new();
    }
    let sdist = match only_file(&directory, ".tar.gz", "sdist") {
        Ok(path) => file_name(&path),
        Err(problem) => return vec![problem],
    };
    let stem = sdist.strip_suffix(".tar.gz").unwrap_or(&sdist);
    let (name, version) = stem.rsplit_once('-').unwrap_or((stem, ""));
    let metadata = &checked.metadata;
    if names::normalized(name) == names::normalized(&metadata.name)
        && Version::from_str(version).ok().as_ref() == Some(&metadata.version)
    {
        return Vec::new();
    }
    vec![
        error(
            "python.wheel.sdist",
            format!("the wheel built from `{sdist}` is another distribution or version"),
        )
        .cause(format!(
            "METADATA says {} {}",
            metadata.name, metadata.version_text
        )),
    ]
}

fn write_down(
    checked: &Checked,
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<(), Diagnostic> {
    let directory = context.outputs().join("requirements");
    let stub = requirements::write_stub(&checked.metadata, &directory)
        .map_err(|error| unwritable(&directory, &error))?;
    let extras = parameters.test_extras.join(",");
    let extras = if extras.is_empty() {
        extras
    } else {
        format!("[{extras}]")
    };
    let modules = match &parameters.imports {
        Some(imports) => imports.clone(),
        None => checked.modules.importable(),
    };
    let entries = checked
        .scripts
        .iter()
        .filter(|script| !checked.modules.has(&script.module))
        .map(|script| format!("{}\t{}\n", script.name, script.module));
    let listed = |names: &[String]| names.iter().map(|name| format!("{name}\n")).collect();
    for (path, text) in [
        ("requirements/runtime.txt", format!("./project/{stub}\n")),
        (
            "requirements/test.txt",
            format!("./project/{stub}{extras}\n"),
        ),
        ("contents/imports.txt", listed(&modules)),
        ("contents/modules.txt", listed(&checked.modules.top_level())),
        ("contents/entry-points.txt", entries.collect()),
    ] {
        let path = context.outputs().join(path);
        fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use sha2::{Digest as _, Sha256};
    use synth_core::testkit::TestRun;
    use zip::write::SimpleFileOptions;

    use super::*;

    const NAME: &str = "my_shop-1.0-py3-none-any.whl";
    const INFO: &str = "my_shop-1.0.dist-info";
    const METADATA: &str = "Metadata-Version: 2.1\nName: My.Shop\nVersion: 1.0\n\
        Requires-Python: >=3.8\nRequires-Dist: six>=1 ; extra == \"cli\"\n\
        Provides-Extra: cli\n\nThe shop.\n";
    const WHEEL: &str = "Wheel-Version: 1.0\nTag: py3-none-any\n";

    /// A good wheel whose files `change` may change, with a RECORD of what it had before
    /// `spoil` changed it once more.
    fn run_on(
        name: &str,
        change: impl FnOnce(&mut Vec<(String, String)>),
        spoil: impl FnOnce(&mut Vec<(String, String)>),
    ) -> (TestRun, Vec<String>) {
        let mut files: Vec<(String, String)> = [
            ("shop/__init__.py", "x = 1\n"),
            ("shop/cli.py", ""),
            ("my_shop-1.0.dist-info/METADATA", METADATA),
            ("my_shop-1.0.dist-info/WHEEL", WHEEL),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .to_vec();
        change(&mut files);
        let mut record: String = files
            .iter()
            .map(|(path, text)| {
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(text));
                format!("{path},sha256={digest},{}\n", text.len())
            })
            .collect();
        record.push_str(&format!("{INFO}/RECORD,,\n"));
        files.push((format!("{INFO}/RECORD"), record));
        spoil(&mut files);
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, text) in files {
            archive
                .start_file(path, SimpleFileOptions::default())
                .unwrap();
            archive.write_all(text.as_bytes()).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        let run = TestRun::new().unwrap();
        run.write(&format!("wheel/{name}"), bytes).unwrap();
        for directory in ["requirements", "contents"] {
            fs::create_dir_all(run.outputs().join(directory)).unwrap();
        }
        let parameters = Parameters {
            imports: None,
            test_extras: vec!["cli".into()],
        };
        let problems = match validate(&parameters, &run) {
            Ok(outcome) => outcome.diagnostics,
            Err(problems) => problems,
        };
        let show = |problem: Diagnostic| format!("{}: {}", problem.code, problem.message);
        (run, problems.into_iter().map(show).collect())
    }

    #[test]
    fn a_good_wheel_is_written_down_for_the_steps_after_it() {
        let entry_points = "[console_scripts]\nshop = shop.cli:main\nother = six:main\n";
        let (run, problems) = run_on(
            NAME,
            |files| files.push((format!("{INFO}/entry_points.txt"), entry_points.into())),
            |_| {},
        );
        assert_eq!(problems, [""; 0]);
        for (file, expected) in [
            (
                "requirements/runtime.txt",
                "./project/my_shop-1.0-py3-none-any.whl\n",
            ),
            (
                "requirements/test.txt",
                "./project/my_shop-1.0-py3-none-any.whl[cli]\n",
            ),
            ("contents/imports.txt", "shop\n"),
            ("contents/entry-points.txt", "other\tsix\n"),
        ] {
            let text = fs::read_to_string(run.outputs().join(file)).unwrap();
            assert_eq!(text, expected, "{file}");
        }
        let stub = Wheel::read(&run.outputs().join("requirements").join(NAME)).unwrap();
        let metadata = stub.info(INFO, "METADATA").unwrap();
        let metadata = Metadata::parse(metadata, "METADATA").unwrap();
        assert_eq!(metadata.requires, ["six>=1 ; extra == \"cli\""]);
    }

    type Change = fn(&mut Vec<(String, String)>);
    const NOTHING: Change = |_| {};

    #[test]
    fn names_and_tags_must_agree() {
        const COMPILED: Change = |files| files.push(("shop/_c.abi3.so".into(), String::new()));
        for (name, change, expected) in [
            (
                "shop.whl",
                NOTHING,
                "python.wheel.name: the file name is not of the form \
                 `name-version(-build)-python-abi-platform.whl`",
            ),
            (
                "other-1.0-py3-none-any.whl",
                NOTHING,
                "python.wheel.name: the file name names `other`",
            ),
            (
                "my_shop-1.1-py3-none-any.whl",
                NOTHING,
                "python.wheel.version: the file name states version `1.1`",
            ),
            (
                "My.Shop-1.0-py3-none-any.whl",
                NOTHING,
                "python.wheel.name: the file name should begin with `my_shop-1.0-`",
            ),
            (
                "my_shop-1.0-py2-none-any.whl",
                NOTHING,
                "python.wheel.tags: the tags of the file name and of WHEEL differ",
            ),
            (
                NAME,
                COMPILED,
                "python.wheel.tags: it holds compiled modules, but its tag says that it runs on \
                 any platform",
            ),
        ] {
            assert_eq!(run_on(name, change, NOTHING).1, [expected]);
        }
    }

    #[test]
    fn record_must_be_complete_and_right() {
        let cases: [(Change, &[&str]); 3] = [
            (
                |files| files[0].1.push('#'),
                &[
                    "RECORD has a wrong digest for `shop/__init__.py`",
                    "RECORD has a wrong size for `shop/__init__.py`",
                ],
            ),
            (
                |files| files.push(("shop/new.py".into(), String::new())),
                &["RECORD does not list `shop/new.py`"],
            ),
            (
                |files| drop(files.remove(1)),
                &["RECORD lists `shop/cli.py`, which is not there"],
            ),
        ];
        for (spoil, expected) in cases {
            let expected = expected
                .iter()
                .map(|text| format!("python.wheel.record: {text}"));
            assert_eq!(run_on(NAME, NOTHING, spoil).1, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn modules_must_be_those_of_the_project() {
        const SCRIPT: Change = |files| {
            let text = "[console_scripts]\na = shop.none:main";
            files.push((format!("{INFO}/entry_points.txt"), text.into()));
        };
        const STRAY: Change = |files| files.push(("tests/__init__.py".into(), String::new()));
        for (change, expected) in [
            (
                SCRIPT,
                "python.wheel.entry_points: script `a` calls module `shop.none`, which is not in \
                 the wheel",
            ),
            (
                STRAY,
                "python.wheel.stray: the wheel installs a top-level module `tests`",
            ),
        ] {
            assert_eq!(run_on(NAME, change, NOTHING).1, [expected]);
        }
    }
}
