//! A Docker engine for the tests: the developer's own when one answers, else a private one that
//! lives in namespaces and a directory of its own and ends with the tests.

use std::ffi::OsString;
use std::fs;
use std::io::{PipeWriter, pipe};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use duct::Handle;
use rustix::process::{geteuid, getgid};
use tempfile::TempDir;

use crate::setup::{Tools, link};
use crate::shell::{Program, Shell, programs};

/// The base image's name in the engine.
pub(crate) const BASE_IMAGE: &str = "synth-test/base:latest";

const START_LIMIT: Duration = Duration::from_secs(60);

/// An engine that answers, and a client that builds with it.
pub(crate) struct DockerEngine {
    client: Program,
    private: Option<PrivateEngine>,
}

/// Whether there is an engine, or one can be started.
pub(crate) fn is_available(shell: &Shell) -> bool {
    answers(shell) || (!programs("dockerd").is_empty() && !programs("docker").is_empty())
}

/// Whether the developer's own engine answers.
pub(crate) fn answers(shell: &Shell) -> bool {
    let clients = programs("docker");
    clients
        .iter()
        .any(|client| reaches_engine(shell, client, &[]))
}

fn reaches_engine(shell: &Shell, client: &Path, variables: &[(OsString, OsString)]) -> bool {
    let mut ask = Program::new(client, ["version", "--format", "{{.Server.Version}}"]);
    for (name, value) in variables {
        ask = ask.variable(name, value);
    }
    shell.ask(&ask).is_some()
}

impl DockerEngine {
    /// An engine with the base image in it, and `docker` among the tests' programs a client whose
    /// `docker build` works with BuildKit: a client without its buildx plugin does not.
    pub(crate) fn start(shell: &Shell, tools: &Tools) -> Result<Self> {
        let private = if answers(shell) {
            eprintln!("there: a Docker engine; the tests use it and remove their images");
            None
        } else {
            Some(PrivateEngine::start(shell)?)
        };
        let variables = private
            .as_ref()
            .map_or(Vec::new(), PrivateEngine::variables);
        let mut refused = String::new();
        for client in programs("docker") {
            let mut program = Program::new(&client, [] as [&str; 0]);
            for (name, value) in &variables {
                program = program.variable(name, value);
            }
            let build = program
                .clone()
                .variable("DOCKER_BUILDKIT", "1")
                .argument("build")
                .argument("--quiet")
                .argument("--tag")
                .argument(BASE_IMAGE)
                .argument(&tools.base_image);
            match shell.attempt(&build) {
                Ok(_) => {
                    eprintln!("the tests use the client {}", client.display());
                    link(&client, &tools.bin.join("docker"))?;
                    return Ok(Self {
                        client: program,
                        private,
                    });
                }
                Err(said) => refused += &format!("\n{}: {said}", client.display()),
            }
        }
        bail!(
            "no Docker client here builds an image with BuildKit; Debian's docker.io does, others \
             need their buildx plugin{refused}"
        )
    }

    /// What tells a client where the engine is.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        self.private
            .as_ref()
            .map_or(Vec::new(), PrivateEngine::variables)
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        if self.private.is_none() {
            let remove = self
                .client
                .clone()
                .argument("image")
                .argument("rm")
                .argument(BASE_IMAGE);
            // An image that stays is no reason to fail.
            let _ = remove
                .expression()
                .stdout_null()
                .stderr_null()
                .unchecked()
                .run();
        }
    }
}

/// A dockerd in namespaces of its own: its bridge, packet filter rules, mounts and processes are
/// nobody else's, and are gone with it.
struct PrivateEngine {
    directory: TempDir,
    /// Closed when this is dropped or the task dies, which ends the engine either way.
    life: Option<PipeWriter>,
    process: Handle,
}

/// Runs as the first process of its namespaces: when it ends, so does all below it.
const KEEPER: &str = r#"
directory=$1
group=$2
PATH=$PATH:/usr/sbin:/sbin
dockerd --host "unix://$directory/docker.sock" --group "$group" \
    --data-root "$directory/data" --exec-root "$directory/run" \
    --pidfile "$directory/docker.pid" >"$directory/log" 2>&1 &
read -r _
kill $!
wait
rm -rf "$directory"
"#;

impl PrivateEngine {
    fn start(shell: &Shell) -> Result<Self> {
        // Not below the repository: the path of a socket may have 107 bytes.
        let directory = tempfile::Builder::new().prefix("synth-docker-").tempdir()?;
        eprintln!(
            "starting a private dockerd in {}",
            directory.path().display()
        );
        if !geteuid().is_root() {
            // Asks for the password now: below, sudo has no terminal.
            shell.demand(&Program::new("sudo", ["--validate"]))?;
        }
        let keeper = Program::as_root(
            "unshare",
            [
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ],
        )?
        .argument("sh")
        .argument("-c")
        .argument(KEEPER)
        .argument("sh")
        .argument(directory.path())
        .argument(getgid().as_raw().to_string());
        let (ending, life) = pipe()?;
        let process = keeper
            .expression()
            .stdin_file(ending)
            .unchecked()
            // Ctrl-C ends the tests first, and the engine through the pipe after them.
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            })
            .start()
            .context("no program `unshare` to start dockerd with")?;
        let engine = Self {
            directory,
            life: Some(life),
            process,
        };
        engine.wait_until_it_answers(shell)?;
        Ok(engine)
    }

    fn wait_until_it_answers(&self, shell: &Shell) -> Result<()> {
        let started = Instant::now();
        let client = programs("docker").into_iter().next();
        let client = client.context("no Docker client after the set-up")?;
        while !reaches_engine(shell, &client, &self.variables()) {
            ensure!(
                self.process.try_wait()?.is_none() && started.elapsed() < START_LIMIT,
                "dockerd does not answer; it said:\n{}",
                fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut host = OsString::from("unix://");
        host.push(self.socket());
        vec![("DOCKER_HOST".into(), host)]
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        eprintln!("ending the private dockerd");
        drop(self.life.take());
        // How it ended changes nothing any more.
        let _ = self.process.wait();
    }
}
