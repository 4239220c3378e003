//! How much memory a build may use: what the machine has left, and what its control groups allow.

use super::{Machine, number, number_of};

impl Machine {
    /// The bytes that are there for new processes; none where that is not told.
    ///
    /// `MemAvailable` of proc_meminfo(5), and the least of what the limits of the control groups leave
    /// (cgroup v2, "Memory Interface Files"): files that are only cached don't count as used.
    pub(crate) fn available_memory(&self) -> Option<u64> {
        let kibibytes = number_of(&self.path("proc/meminfo"), "MemAvailable:");
        let machine = kibibytes.and_then(|kibibytes| kibibytes.checked_mul(1024));
        let left = self.groups().into_iter().filter_map(|group| {
            let limits = ["memory.max", "memory.high"].map(|name| number(&group.join(name)));
            let limit = limits.into_iter().flatten().min()?;
            let used = number(&group.join("memory.current")).unwrap_or_default();
            let cached = number_of(&group.join("memory.stat"), "inactive_file");
            let used = used.saturating_sub(cached.unwrap_or_default());
            Some(limit.saturating_sub(used))
        });
        left.chain(machine).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_of;

    #[test]
    fn the_least_of_machine_and_groups_counts() {
        const MEMINFO: (&str, &str) = (
            "proc/meminfo",
            "MemTotal: 4000 kB\nMemAvailable:    3000 kB\n",
        );
        const GROUP: (&str, &str) = ("proc/self/cgroup", "1:name=x:/\n0::/outer/inner\n");
        const MOUNT: (&str, &str) = ("sys/fs/cgroup/cgroup.controllers", "memory");
        const OUTER: &str = "sys/fs/cgroup/outer/";
        let in_group = |name: &str| format!("{OUTER}{name}");
        let (max, current, stat) = (
            in_group("memory.max"),
            in_group("memory.current"),
            in_group("memory.stat"),
        );
        let high = in_group("inner/memory.high");
        for (what, files, expected) in [
            ("nothing is told", vec![], None),
            ("no limits", vec![MEMINFO], Some(3_072_000)),
            (
                "a group without a limit",
                vec![MEMINFO, GROUP, MOUNT, (&max, "max\n")],
                Some(3_072_000),
            ),
            (
                "a group above has one",
                vec![
                    MEMINFO,
                    GROUP,
                    MOUNT,
                    (&max, "1000000\n"),
                    (&current, "600000\n"),
                    (&stat, "anon 1\ninactive_file 200000\n"),
                ],
                Some(600_000),
            ),
            (
                "it is throttled before",
                vec![MEMINFO, GROUP, MOUNT, (&high, "5000"), (&max, "1000000")],
                Some(5000),
            ),
            (
                "more is used than allowed",
                vec![MEMINFO, GROUP, MOUNT, (&max, "5000"), (&current, "6000")],
                Some(0),
            ),
            (
                "a group out of sight",
                vec![
                    MEMINFO,
                    ("proc/self/cgroup", "0::/../x"),
                    MOUNT,
                    (&max, "5000"),
                ],
                Some(3_072_000),
            ),
            (
                "nonsense",
                vec![("proc/meminfo", "MemAvailable: much\n"), GROUP],
                None,
            ),
        ] {
            let (_directory, machine) = made_of(&files);
            assert_eq!(machine.available_memory(), expected, "{what}");
        }
    }
}
