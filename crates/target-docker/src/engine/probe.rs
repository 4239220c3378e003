//! Finding a Docker client that has BuildKit and whose engine answers.

use std::fmt;

use synth_core::{PlanContext, Tool, ToolError, ToolRequest};

/// Several clients may be installed, one of them without BuildKit: all of these are tried.
const CLIENTS: [&str; 4] = [
    "docker",
    "/usr/bin/docker",
    "/usr/local/bin/docker",
    "/opt/homebrew/bin/docker",
];
/// From this version on, the client leaves BuildKit to its plugin `buildx`.
const FIRST_WITH_BUILDX: u32 = 23;

/// Why no engine can build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DockerProblem {
    /// There is no client.
    Missing,
    /// The client is there, but no engine answers it.
    Silent { client: String, reason: String },
    /// The client can't speak to BuildKit.
    NoBuildKit { client: String, version: String },
}

impl DockerProblem {
    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Missing => {
                "install Docker and start it: `apt-get install docker.io`, or https://docs.docker.com/engine/install/"
            }
            Self::Silent { .. } => {
                "start the engine (`systemctl start docker`), or set DOCKER_HOST to one that runs"
            }
            Self::NoBuildKit { .. } => {
                "install the plugin: the package `docker-buildx-plugin` or `docker-buildx`"
            }
        }
    }
}

impl fmt::Display for DockerProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("`docker` is not installed"),
            Self::Silent { client, reason } => {
                write!(formatter, "no engine answers `{client}`: {reason}")
            }
            Self::NoBuildKit { client, version } => write!(
                formatter,
                "`{client}` {version} lacks its plugin `buildx`, which BuildKit needs"
            ),
        }
    }
}

/// Asks a client and its engine for their versions.
pub(crate) fn request(program: &str) -> ToolRequest {
    ToolRequest::named("docker")
        .program(program)
        .version_arguments([
            "version",
            "--format",
            "client {{.Client.Version}}, engine {{.Server.Version}}",
        ])
}

/// The first client that can have an image built.
///
/// # Errors
/// What is wrong with the first client that is there, or that there is none.
pub(crate) fn find(context: &dyn PlanContext) -> Result<Tool, DockerProblem> {
    let mut problem = DockerProblem::Missing;
    for client in CLIENTS {
        let found = match context.tool(&request(client)) {
            Ok(tool) if speaks_buildkit(&tool, context) => return Ok(tool),
            Ok(tool) => DockerProblem::NoBuildKit {
                client: tool.path.display().to_string(),
                version: tool.version().unwrap_or_default().to_owned(),
            },
            Err(ToolError::Missing { .. }) => continue,
            Err(ToolError::Broken { program, reason }) => DockerProblem::Silent {
                client: program,
                reason,
            },
            Err(other) => DockerProblem::Silent {
                client: client.to_owned(),
                reason: other.to_string(),
            },
        };
        if problem == DockerProblem::Missing {
            problem = found;
        }
    }
    Err(problem)
}

fn speaks_buildkit(tool: &Tool, context: &dyn PlanContext) -> bool {
    let major = tool.version().and_then(|version| version.split('.').next());
    let major = major.and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < FIRST_WITH_BUILDX) {
        return true;
    }
    let plugin = ToolRequest::named("docker-buildx")
        .program(tool.path.display().to_string())
        .version_arguments(["buildx", "version"]);
    context.tool(&plugin).is_ok()
}
