//! The compiler and what goes with it.
//!
//! What is called `cargo` on the `PATH` is often rustup's stand-in, which looks up a toolchain in
//! the user's home, and chooses it by the directory it is called in. An action has neither, so the
//! real programs are found here: the stand-in is asked where they are.

use synth_core::{
    Concern, Diagnostic, PlanContext, ProjectPath, Requirement, TargetSpec, Tool, ToolError,
    ToolRequest,
};

use crate::document::Document;
use crate::settings::Settings;

/// The variable by which rustup is told which toolchain to take.
const TOOLCHAIN_VARIABLE: &str = "RUSTUP_TOOLCHAIN";

const HOW_TO_GET: &str = "install Rust with rustup (https://rustup.rs) or your system's packages";

/// The programs of a build.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) cargo: Tool,
    pub(crate) rustc: Tool,
    /// The linker's front, where there is one: some platforms are linked without.
    pub(crate) cc: Option<Tool>,
}

/// A toolchain that is asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    /// Only rustup can follow a setting; Cargo without rustup reads no rust-toolchain.toml.
    by_setting: bool,
}

impl Toolchain {
    /// Finds the programs.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn find(
        target: &TargetSpec,
        settings: &Settings,
        directory: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Self, Diagnostic> {
        let wanted = wanted(target, settings, directory, context)?;
        let arguments = selection(wanted.as_ref(), context)?;
        let sysroot = ToolRequest::named("rustc-sysroot")
            .program("rustc")
            .version_arguments(
                arguments
                    .into_iter()
                    .chain(["--print", "sysroot"].map(String::from)),
            );
        let sysroot = context
            .tool(&sysroot)
            .map_err(|error| unusable(&error, wanted.as_ref()))?
            .version_output;
        let inside = |name: &str| format!("{}/bin/{name}", sysroot.trim());
        let find = |name: &str, arguments: &[&str]| {
            let request = ToolRequest::named(name).version_arguments(arguments.iter().copied());
            match context.tool(&request.clone().program(inside(name))) {
                // Distributions may keep Cargo apart from the compiler.
                Err(ToolError::Missing { .. }) => context.tool(&request),
                found => found,
            }
            .map_err(|error| unusable(&error, None))
        };
        Ok(Self {
            cargo: find("cargo", &["--version", "--verbose"])?,
            rustc: find("rustc", &["--version", "--verbose"])?,
            cc: context.tool(&ToolRequest::named("cc")).ok(),
        })
    }
}

/// What a user is told to have installed.
pub(crate) fn requirements(settings: &Settings) -> Vec<Requirement> {
    let needed = |name: &str, purpose: &str, how_to_get: &str, optional| Requirement {
        tool: ToolRequest::named(name),
        minimum_version: None,
        purpose: purpose.into(),
        how_to_get: how_to_get.into(),
        optional,
    };
    let target = settings.target.as_deref().unwrap_or_default();
    let links_by_itself = target.starts_with("wasm") || target.contains("-none");
    vec![
        needed("cargo", "builds packages in Rust", HOW_TO_GET, false),
        needed("rustc", "compiles Rust", HOW_TO_GET, false),
        needed(
            "cc",
            "links programs",
            "install a C compiler: `apt-get install gcc`, `xcode-select --install`",
            links_by_itself,
        ),
    ]
}

/// The toolchain that the target, or a file in its directory or above, asks for.
fn wanted(
    target: &TargetSpec,
    settings: &Settings,
    directory: &ProjectPath,
    context: &dyn PlanContext,
) -> Result<Option<Wanted>, Diagnostic> {
    let said = settings.toolchain.as_ref();
    if let Some(name) = said.or_else(|| target.environment.get(TOOLCHAIN_VARIABLE)) {
        return Ok(Some(Wanted {
            name: name.clone(),
            by_setting: true,
        }));
    }
    let mut next = Some(directory.clone());
    while let Some(directory) = next {
        for name in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(path) = directory.join(name)
                && context.exists(&path)
            {
                return Ok(channel(&path, context)?.map(|name| Wanted {
                    name,
                    by_setting: false,
                }));
            }
        }
        next = directory.parent();
    }
    Ok(None)
}

/// What a toolchain file asks for: TOML, or in its older form the name alone.
fn channel(path: &ProjectPath, context: &dyn PlanContext) -> Result<Option<String>, Diagnostic> {
    if !path.as_str().ends_with(".toml")
        && let Ok(text) = context.read_text(path)
        && let [name] = text.split_whitespace().collect::<Vec<_>>().as_slice()
    {
        return Ok(Some((*name).to_owned()));
    }
    let document = Document::read_if_there(path, context)?;
    Ok(document.and_then(|document| {
        let keys = [["toolchain", "channel"], ["toolchain", "path"]];
        let name = keys.iter().find_map(|keys| document.text_at(keys));
        name.map(ToOwned::to_owned)
    }))
}

/// The arguments that have rustup's stand-in take a toolchain; none for the compiler itself, which
/// knows no such arguments.
fn selection(
    wanted: Option<&Wanted>,
    context: &dyn PlanContext,
) -> Result<Vec<String>, Diagnostic> {
    let Some(wanted) = wanted else {
        return Ok(Vec::new());
    };
    let program = |name: &str| {
        let request = ToolRequest::named(format!("{name}-file")).program(name);
        context.tool(&request.version_arguments(Vec::<String>::new()))
    };
    let is_stand_in = match (program("rustup"), program("rustc")) {
        (Ok(rustup), Ok(rustc)) => rustup.digest == rustc.digest,
        _ => false,
    };
    if is_stand_in {
        return Ok(vec![format!("+{}", wanted.name)]);
    }
    if !wanted.by_setting {
        return Ok(Vec::new());
    }
    let message = format!(
        "the toolchain `{}` is asked for, but the `rustc` on the PATH is not rustup's",
        wanted.name
    );
    Err(Diagnostic::error("cargo.toolchain.rustup", message)
        .concerning(Concern::Environment)
        .at_setting(["toolchain"])
        .help("install rustup (https://rustup.rs), or leave `toolchain` out"))
}

fn unusable(error: &ToolError, wanted: Option<&Wanted>) -> Diagnostic {
    let Some(wanted) = wanted else {
        return Diagnostic::error("cargo.toolchain", error.to_string())
            .concerning(Concern::Environment)
            .help(HOW_TO_GET);
    };
    let name = &wanted.name;
    let problem = Diagnostic::error(
        "cargo.toolchain",
        format!("the toolchain `{name}` can't be used"),
    )
    .concerning(Concern::Environment)
    .cause(error.to_string())
    .help(format!("`rustup toolchain install {name}`"));
    if wanted.by_setting {
        problem.at_setting(["toolchain"])
    } else {
        problem
    }
}
