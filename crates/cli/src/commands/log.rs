//! `synth log`: what the actions of a build have printed.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use synth_core::{Concern, Diagnostic};
use synth_engine::{ActionStatus, BuildLogs, LogFile};

use super::{Outcome, root};
use crate::arguments::{Global, LogArguments};
use crate::exit;
use crate::render::duration;

pub(crate) fn run(global: &Global, arguments: &LogArguments) -> Outcome {
    let root = root(global)?;
    let (target, action) = (arguments.target.as_deref(), arguments.action.as_deref());
    let logs = synth_engine::logs(&root, &arguments.build, target, action);
    let logs = logs.map_err(|problem| vec![problem])?;
    match show(&logs, &mut anstream::stdout().lock()) {
        Ok(()) => Ok(exit::SUCCESS),
        // A reader that has gone away (`| head`) has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::SUCCESS),
        Err(error) => Err(vec![
            Diagnostic::error("state.output", "the logs can't be printed")
                .concerning(Concern::State)
                .caused_by(&error),
        ]),
    }
}

fn show(logs: &BuildLogs, to: &mut impl Write) -> io::Result<()> {
    if logs.logs.is_empty() {
        return writeln!(to, "build {} executed nothing of that", logs.build);
    }
    for (position, log) in logs.logs.iter().enumerate() {
        if position > 0 {
            writeln!(to)?;
        }
        writeln!(to, "{}", head(log))?;
        let Some(path) = &log.path else {
            let kept = logs.kept_builds;
            writeln!(
                to,
                "(its log is gone: those of the last {kept} builds are kept)"
            )?;
            continue;
        };
        let mut file = File::open(path)?;
        let mut last = LastByte {
            to: &mut *to,
            last: None,
        };
        io::copy(&mut file, &mut last)?;
        match last.last {
            None => writeln!(to, "(it printed nothing)")?,
            Some(b'\n') => {}
            Some(_) => writeln!(to)?,
        }
    }
    Ok(())
}

/// `api: run the tests (test, failed with exit code 1 after 2.1 s)`.
fn head(log: &LogFile) -> String {
    let action = &log.action;
    let end = match (action.status, action.exit_code, action.signal) {
        (ActionStatus::Failed, Some(code), _) => format!("failed with exit code {code}"),
        (ActionStatus::Failed, None, Some(signal)) => format!("ended by signal {signal}"),
        (ActionStatus::Failed, None, None) => "failed".to_owned(),
        (ActionStatus::Cancelled, ..) => "cancelled".to_owned(),
        _ => "done".to_owned(),
    };
    let attempts = match action.attempts {
        Some(attempts) if attempts > 1 => format!(" at attempt {attempts}"),
        _ => String::new(),
    };
    let color = match action.status {
        ActionStatus::Failed => AnsiColor::Red,
        _ => AnsiColor::Green,
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    let took = duration(Duration::from_millis(action.duration_ms));
    let (target, id, description) = (&log.target, &action.id, &action.description);
    format!("{style}{target} {id}: {description}{style:#} ({end}{attempts} after {took})")
}

/// Remembers how what it passes on ended.
struct LastByte<'a, W> {
    to: &'a mut W,
    last: Option<u8>,
}

impl<W: Write> Write for LastByte<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        if let Some(last) = bytes.get(..count).and_then(<[u8]>::last) {
            self.last = Some(*last);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
