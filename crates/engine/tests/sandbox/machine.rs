//! A sandbox with a directory for its actions, and shell scripts run in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use synth_engine::plugin::HostProgram;
use synth_engine::sandbox::{Client, End, Finished, Request, Root, Shown, Stop, Trouble};

/// A sandbox, and a directory of the machine outside of it.
pub(crate) struct Machine {
    pub(crate) directory: tempfile::TempDir,
    client: Client,
}

/// How a script ended, and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) end: End,
    pub(crate) said: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::with(Client::start)
    }

    /// One whose actions see all of it.
    pub(crate) fn open() -> Self {
        Self::with(Client::start_open)
    }

    fn with(start: impl FnOnce(&HostProgram) -> Result<Client, Trouble>) -> Self {
        // Not below /tmp, which is another one inside.
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        for name in ["root", "outputs", "scratch", "home", "tmp"] {
            std::fs::create_dir_all(directory.path().join("action").join(name)).unwrap();
        }
        let client = start(&HostProgram {
            program: std::env::current_exe().unwrap(),
            arguments: vec![crate::HOST.into()],
        });
        Self {
            directory,
            client: client.unwrap(),
        }
    }

    /// A path outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes a file outside, or inside by its path below `action`.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn script(&self, script: &str) -> Request {
        Request {
            root: Root::Host,
            directory: self.path("action"),
            program: "/bin/sh".into(),
            arguments: ["-c", script].map(Into::into).to_vec(),
            working_directory: "/synth/root".into(),
            environment: [
                ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin"),
                ("HOME", "/synth/home"),
            ]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
            ..Request::default()
        }
    }

    pub(crate) fn sh(&self, script: &str) -> Run {
        self.run(&self.script(script))
    }

    /// As [`Self::sh`], by an action that may use the network and sees this directory.
    pub(crate) fn sh_with_network(&self, script: &str, shown: &Path) -> Run {
        let shown = Shown {
            path: shown.to_owned(),
            writable: false,
        };
        self.run(&Request {
            network: true,
            shown: vec![shown],
            ..self.script(script)
        })
    }

    pub(crate) fn run(&self, request: &Request) -> Run {
        self.run_until(request, Duration::from_secs(300))
    }

    pub(crate) fn run_until(&self, request: &Request, time: Duration) -> Run {
        let log = tempfile::NamedTempFile::new().unwrap();
        let finished = self.finish(request, log.reopen().unwrap(), time);
        Run {
            end: finished.unwrap().end,
            said: std::fs::read_to_string(log.path()).unwrap(),
        }
    }

    pub(crate) fn finish(
        &self,
        request: &Request,
        log: File,
        time: Duration,
    ) -> std::io::Result<Finished> {
        let streams = [File::open("/dev/null")?, log.try_clone()?, log];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = Stop::default();
        runtime.block_on(
            self.client
                .run(request, streams, None, Instant::now() + time, &stop),
        )
    }
}

impl Run {
    /// It succeeded; what it said.
    pub(crate) fn succeeded(&self) -> &str {
        assert_eq!(self.end, End::Exited(0), "{}", self.said);
        self.said.trim()
    }
}
