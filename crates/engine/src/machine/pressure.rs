//! Whether the machine is pressed so hard that more work at once would only slow it down: pressure
//! stall information (Documentation/accounting/psi.rst of Linux).

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Machine;

/// Nothing starts beside something else while, in the last ten seconds, some process waited for
/// memory during more than so many hundredths of the time.
const MOST_MEMORY: f64 = 20.0;

/// The same for input and output, where a build that reads much is pressed without being slower for
/// it.
const MOST_IO: f64 = 80.0;

/// What was read is believed for so long. The kernel itself brings its averages up to date every two
/// seconds.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// The machine's pressure, looked at no more often than is of use, and only when somebody asks.
#[derive(Debug)]
pub(crate) struct Pressure {
    machine: Machine,
    /// The files, with what is too much; none when it is not known yet which there are.
    files: Option<Vec<(PathBuf, f64)>>,
    last: Option<(Instant, bool)>,
}

impl Pressure {
    pub(crate) fn new(machine: Machine) -> Self {
        Self {
            machine,
            files: None,
            last: None,
        }
    }

    /// Whether it is too much now. Where the kernel does not tell, it never is.
    pub(crate) fn is_high(&mut self, now: Instant) -> bool {
        if let Some((at, high)) = self.last
            && now.saturating_duration_since(at) < INTERVAL
        {
            return high;
        }
        let machine = &self.machine;
        let files = self.files.get_or_insert_with(|| files(machine));
        // One that can't be read now can't be later: the kernel is not configured for it.
        let mut high = false;
        files.retain(|(path, most)| {
            let average = fs::read_to_string(path)
                .ok()
                .and_then(|text| average(&text));
            high |= average.is_some_and(|average| average > *most);
            average.is_some()
        });
        self.last = Some((now, high));
        high
    }
}

/// Those of the machine, and of the control group that synth is in.
fn files(machine: &Machine) -> Vec<(PathBuf, f64)> {
    let mut files = vec![
        (machine.path("proc/pressure/memory"), MOST_MEMORY),
        (machine.path("proc/pressure/io"), MOST_IO),
    ];
    if let Some(group) = machine.groups().first() {
        files.push((group.join("memory.pressure"), MOST_MEMORY));
        files.push((group.join("io.pressure"), MOST_IO));
    }
    files
}

/// `avg10` of the line `some`.
fn average(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let mut words = some.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::made_of;
    use super::*;

    fn line(average: &str) -> String {
        format!(
            "some avg10={average} avg60=99.00 avg300=99.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n"
        )
    }

    #[test]
    fn it_is_high_above_a_threshold() {
        const MEMORY: &str = "proc/pressure/memory";
        const IO: &str = "proc/pressure/io";
        const GROUP: &str = "sys/fs/cgroup/a/memory.pressure";
        for (path, average, expected) in [
            (MEMORY, "0.00", false),
            (MEMORY, "20.00", false),
            (MEMORY, "20.01", true),
            (MEMORY, "99.00", true),
            (MEMORY, "much", false),
            (IO, "60.00", false),
            (IO, "80.01", true),
            (GROUP, "0.00", false),
            (GROUP, "30.00", true),
        ] {
            let (_directory, machine) = made_of(&[
                ("proc/self/cgroup", "0::/a\n"),
                ("sys/fs/cgroup/cgroup.controllers", ""),
                (path, &line(average)),
            ]);
            let mut pressure = Pressure::new(machine);
            assert_eq!(
                pressure.is_high(Instant::now()),
                expected,
                "{path} {average}"
            );
        }
    }

    #[test]
    fn it_is_not_looked_at_again_before_it_may_be_another() {
        let (directory, machine) = made_of(&[("proc/pressure/memory", &line("50.00"))]);
        let mut pressure = Pressure::new(machine);
        let start = Instant::now();
        assert!(pressure.is_high(start));
        fs::write(directory.path().join("proc/pressure/memory"), line("1.00")).unwrap();
        assert!(pressure.is_high(start + INTERVAL / 2));
        assert!(!pressure.is_high(start + INTERVAL));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_not_asked_for_twice() {
        let (directory, machine) = made_of(&[]);
        let mut pressure = Pressure::new(machine);
        let start = Instant::now();
        assert!(!pressure.is_high(start));
        let path = directory.path().join("proc/pressure");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("memory"), line("50.00")).unwrap();
        assert!(!pressure.is_high(start + INTERVAL));
    }
}
