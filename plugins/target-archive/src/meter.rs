//! Tells how far an archive is, and ends the work when it is to stop.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::time::{Duration, Instant};

use synth_core::RunContext;

/// How often at the most the engine is told and asked: each time may be a message to another
/// process.
const INTERVAL: Duration = Duration::from_millis(100);

/// Progress of one archive.
pub(crate) struct Meter<'a> {
    context: &'a dyn RunContext,
    label: String,
    total: u64,
    done: Cell<u64>,
    last: RefCell<Option<Instant>>,
}

impl<'a> Meter<'a> {
    /// Begins an archive of `total` bytes.
    pub(crate) fn new(context: &'a dyn RunContext, label: impl Into<String>, total: u64) -> Self {
        Self {
            context,
            label: label.into(),
            total,
            done: Cell::new(0),
            last: RefCell::new(None),
        }
    }

    /// To be called between entries.
    ///
    /// # Errors
    /// When the work is to stop.
    pub(crate) fn check(&self) -> io::Result<()> {
        let now = Instant::now();
        let mut last = self.last.borrow_mut();
        if last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            return Ok(());
        }
        *last = Some(now);
        if self.context.is_cancelled() {
            return Err(io::Error::other(Cancelled));
        }
        let percent = match self.total {
            0 => 100,
            total => u128::from(self.done.get()) * 100 / u128::from(total),
        };
        self.context
            .progress(&format!("{}: {percent} %", self.label));
        Ok(())
    }

    /// A reader whose bytes count.
    pub(crate) fn read<R: Read>(&self, from: R) -> Metered<'_, 'a, R> {
        Metered { meter: self, from }
    }
}

/// See [`Meter::read`].
pub(crate) struct Metered<'m, 'a, R> {
    meter: &'m Meter<'a>,
    from: R,
}

impl<R: Read> Read for Metered<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.meter.check()?;
        let count = self.from.read(buffer)?;
        let done = self.meter.done.get();
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        self.meter.done.set(done.saturating_add(more));
        Ok(count)
    }
}

/// The work was to stop.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl std::fmt::Display for Cancelled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("it was to stop")
    }
}

impl std::error::Error for Cancelled {}
