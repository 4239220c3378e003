//! How long it takes to start and end a program in the sandbox, compared with one outside. What is
//! asserted leaves room for a machine at work; `SYNTH_MEASURE=1` prints the figures.

use std::fs::File;
use std::time::{Duration, Instant};

use synth_engine::sandbox::Request;

use crate::machine::Machine;

pub(crate) const TESTS: &[(&str, fn())] = &[(
    "starting_costs_little_more_than_outside",
    starting_costs_little_more_than_outside,
)];

fn starting_costs_little_more_than_outside() {
    const ROUNDS: usize = 200;
    let (machine, open) = (Machine::new(), Machine::open());
    let mut request = machine.script("");
    request.program = "/bin/true".into();
    request.arguments.clear();
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let open_request = Request {
        working_directory: "/".into(),
        ..request.clone()
    };
    let (mut inside, mut together, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let log = File::options().write(true).open("/dev/null").unwrap();
        let started = Instant::now();
        machine
            .finish(&request, log, Duration::from_secs(300))
            .unwrap();
        inside.push(started.elapsed());
        let log = File::options().write(true).open("/dev/null").unwrap();
        let started = Instant::now();
        open.finish(&open_request, log, Duration::from_secs(300))
            .unwrap();
        together.push(started.elapsed());
        let started = Instant::now();
        #[expect(
            clippy::disallowed_types,
            reason = "the test compares with a bare process"
        )]
        let status = std::process::Command::new("/bin/true").env_clear().status();
        assert!(status.unwrap().success());
        outside.push(started.elapsed());
    }
    let (inside, together, outside) = (median(inside), median(together), median(outside));
    if std::env::var_os("SYNTH_MEASURE").is_some() {
        eprintln!("in the sandbox {inside:?}, open {together:?}, outside {outside:?}");
    }
    for held in [inside, together] {
        assert!(
            held < outside + Duration::from_millis(100),
            "{inside:?} {together:?} {outside:?}"
        );
    }
}
