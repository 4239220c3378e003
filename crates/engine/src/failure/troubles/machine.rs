//! Trouble with the machine that an action runs on. It is looked for first: whatever else an action
//! says follows from it.

use super::Trouble;

pub(crate) const MACHINE: &[Trouble] = &[
    Trouble::new(
        "disk.full",
        r"(?i)no space left on device|\bENOSPC\b|not enough space on the disk|not enough free space",
        "there is no room left where it writes",
        &[
            "`df -h` and `df -i` tell which file system is full, of bytes or of files",
            "`synth cache gc --max-size 5GB` makes room in synth's own cache",
        ],
    ),
    Trouble::new(
        "disk.quota",
        r"(?i)disk quota exceeded|\bEDQUOT\b",
        "the user's quota on the file system is used up",
        &[
            "`quota -s` tells how much there is; `synth cache gc --max-size 5GB` makes room in synth's own cache, and `XDG_CACHE_HOME` moves it elsewhere",
        ],
    ),
    Trouble::new(
        "memory.killed",
        r"was ended by signal 9$|(?i)signal: 9, SIGKILL|Killed signal terminated program|^Killed$|: line \d+: +\d+ Killed|\] Error 137$",
        "it was killed: most often by the system, for want of memory",
        &[
            "have fewer things done at once (`synth build -j 1`), or say how much memory it needs, so that synth waits until there is as much",
            "`dmesg | grep -i 'killed process'` tells whether the system did it",
        ],
    ),
    Trouble::new(
        "memory.killed",
        "",
        "it was killed: most often by the system, for want of memory",
        &[
            "have fewer things done at once (`synth build -j 1`), or say how much memory it needs, so that synth waits until there is as much",
        ],
    )
    .of_exit_code(137),
    Trouble::new(
        "memory.exhausted",
        r"(?i)cannot allocate memory|\bENOMEM\b|^MemoryError\b|std::bad_alloc|virtual memory exhausted|(?:^|[^p]\s)out of memory\b",
        "it wants more memory than it can have",
        &[
            "have fewer things done at once (`synth build -j 1`), or give the machine, or its control group, more memory",
            "`ulimit -v` tells of a limit of the shell that synth was started from",
        ],
    ),
    Trouble::new(
        "files.too_many_open",
        r"(?i)too many open files|\bEMFILE\b|\bENFILE\b",
        "it has more files open than it may",
        &["raise the limit before synth is started: `ulimit -n 65536`"],
    ),
    Trouble::new(
        "processes.too_many",
        r"(?i)fork: (retry: )?resource temporarily unavailable|can't start new thread|pthread_create failed|unable to create new native thread",
        "it has more processes or threads than it may",
        &[
            "have fewer things done at once (`synth build -j 1`), or raise the limit: `ulimit -u`, `pids.max` of the container",
        ],
    ),
    Trouble::new(
        "disk.damaged",
        r"(?i)\binput/output error\b|\bEIO\b",
        "the system could not read or write: the disk, or what holds it, is at fault",
        &["`dmesg` tells what the system says of the disk"],
    ),
    Trouble::new(
        "timeout",
        r"was ended after (\d+) s$",
        "it was not done after $1 s, and was taken for one that hangs",
        &[
            "the last lines of its log tell what it waited for; if it only needs longer, raise its time-out, as `timeout_seconds` of the plugin `target-command`",
        ],
    ),
];
