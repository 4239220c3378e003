//! Trouble with programs, files and tests: what is said when nothing else is known. What is more
//! special comes first.

use super::Trouble;

pub(crate) const PROGRAMS: &[Trouble] = &[
    Trouble::new(
        "disk.read_only",
        r"(?i)read-only file system|\bEROFS\b",
        "it writes where it may not: what it reads, and the system, can't be changed by an action",
        &[
            "let it write below its own directory, or to `$$TMPDIR`, and declare what it leaves",
            "what was written beside for nobody's use can be declared as scratch: docs/sandbox.md",
        ],
    ),
    Trouble::new(
        "port.taken",
        r"(?i)address already in use|\bEADDRINUSE\b|port is already allocated|only one usage of each socket address",
        "another program has the port that it wants",
        &[
            "`ss -ltnp` tells which; a test does best with port 0, for which the system chooses a free one",
        ],
    ),
    Trouble::new(
        "compiler.missing",
        r"(?:^|[\s:`'])(cc|gcc|g\+\+|c\+\+|clang|clang\+\+|c99|ld|ar|make|cmake|ninja|pkg-config)[`']?: (?:command )?not found|unable to execute '([^']+)': No such file|command '([^']+)' failed: No such file or directory|linker `([^`]+)` not found|(No CMAKE_C(?:XX)?_COMPILER) could be found|(no acceptable C compiler) found|^make(?:\[\d+\])?: (cc|gcc|g\+\+|c\+\+|clang): No such file",
        "a compiler or a tool beside it is missing: `$1$2$3$4$5$6$7`",
        &[
            "install one: `apt-get install build-essential`, `dnf group install development-tools`, or `xcode-select --install`",
        ],
    ),
    Trouble::new(
        "git.missing",
        r#"(?:^|[\s:])git: (?:command )?not found|No such file or directory: '(?:[^']*/)?git'|spawn git ENOENT|Git executable not found|Cannot find command 'git'|exec: "git": executable file not found"#,
        "git is not installed, or not found",
        &[
            "install it: `apt-get install git`; and let the action use it where its kind lets you (`tools`)",
        ],
    ),
    Trouble::new(
        "git.none",
        r"(?i)not a git repository|unable to detect version for|setuptools-scm was unable|fatal: No names found, cannot describe",
        "it asks git, and there is no repository where it runs: data of version control is never an input",
        &[
            "give it the version another way: a file, or a variable such as `SETUPTOOLS_SCM_PRETEND_VERSION` in the target's `environment`",
        ],
    ),
    Trouble::new(
        "git.owner",
        r"detected dubious ownership in repository at '([^']+)'",
        "git does not trust `$1`, which belongs to another user",
        &[
            "`git config --global --add safe.directory $1`, or give the directory to the user who builds",
        ],
    ),
    Trouble::new(
        "program.missing",
        r#"(?:^|: )(?:\d+: |line \d+: )?([\w.+-]+): (?:command )?not found$|^env: .?([\w.+-]+).?: No such file or directory|^make(?:\[\d+\])?: ([\w.+-]+): No such file or directory|spawn ([\w.+-]+) ENOENT|FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'|exec: "([^"]+)": executable file not found"#,
        "there is no program `$1$2$3$4$5$6` where it looks for one",
        &[
            "install it; if it is installed but not in a directory of the system, name it as a tool of the target, so that it is found (`tools` of the plugin `target-command`)",
        ],
    ),
    Trouble::new(
        "program.not_executable",
        r"(?:^|: )(?:\d+: |line \d+: )?(\S+): Permission denied$",
        "`$1` may not be executed",
        &["`chmod +x` it, and in a repository of git `git update-index --chmod=+x` too"],
    )
    .of_exit_code(126),
    Trouble::new(
        "program.interpreter",
        r"(\S+): (?:\S+: )?bad interpreter: ",
        "the program that the first line of `$1` names is not there",
        &["begin it with `#!/usr/bin/env NAME`, and end its lines without a carriage return"],
    ),
    Trouble::new(
        "program.architecture",
        r"(?i)exec format error|cannot execute binary file|Bad CPU type in executable|wrong ELF class",
        "it is a program for another kind of processor, or none at all",
        &["build or fetch it for this machine (`uname -m`); a script begins with `#!`"],
    ),
    Trouble::new(
        "library.missing",
        r"error while loading shared libraries: ([^:]+): cannot open|ImportError: ([^:]+\.so[.\d]*): cannot open shared object file",
        "the library `$1$2` is not installed",
        &["`apt-file search $1$2`, or `dnf provides '*/$1$2'`, tells which package has it"],
    ),
    Trouble::new(
        "library.version",
        r"version `(GLIBC\w*_[\d.]+)' not found",
        "it was built for a newer system: it wants `$1`",
        &[
            "build it on a system as old as the oldest that it is to run on, or fetch a build for this one",
        ],
    ),
    Trouble::new(
        "library.linked",
        r"(?:cannot find|unable to find library|library not found for) -l([\w.+-]+)",
        "the library `$1` is not there to be linked",
        &[
            "install its development package, for Debian `lib$1-dev` or of a similar name, or say where it is with `-L`",
        ],
    ),
    Trouble::new(
        "header.missing",
        r"fatal error: '?([^\s':]+)'?:? (?:file not found|No such file or directory)",
        "the header `$1` is not there",
        &[
            "one of your own has to be an input of the action; that of a library comes with its development package: `apt-file search $1` tells which",
        ],
    ),
    Trouble::new(
        "python.module",
        r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)",
        "Python has no module `$1` there",
        &["declare the package that has it, or make its file an input of the action"],
    ),
    Trouble::new(
        "node.module",
        r"(?:Cannot find (?:module|package)|Can't resolve) '([^']+)'",
        "Node finds no module `$1`",
        &[
            "add it to package.json and bring the lock file up to date: `npm install $1`; a file of your own has to be an input",
        ],
    ),
    Trouble::new(
        "make.rule",
        r"No rule to make target [`']([^']+)'",
        "make has neither the file `$1` nor a rule for it",
        &["if it is a file of yours, it has to be an input of the action: it sees no other"],
    ),
    Trouble::new(
        "syntax",
        r"^(SyntaxError|IndentationError|TabError): (.*)",
        "the source is not understood: $2",
        &["the lines above tell file and line"],
    ),
    Trouble::new(
        "compile",
        r"^((?:[A-Za-z]:)?[^\s:()]+)[:(](\d+)[:,]\d+\)?:? (?:fatal )?error(?: TS\d+)?: ",
        "the compiler refuses `$1`, line $2",
        &["the first error of the log is the one to mend: others may only follow from it"],
    ),
    Trouble::new(
        "compile",
        r"^error\[E\d+\]: |^error: could not compile",
        "the compiler refuses the source",
        &["the first error of the log is the one to mend: others may only follow from it"],
    ),
    Trouble::new(
        "link",
        r"undefined reference to [`']([^']+)'|undefined symbols? for architecture|unresolved external symbol (\S+)",
        "the linker does not find what the program calls: `$1$2`",
        &["name the library (`-l`) or the object file that has it, after those that need it"],
    ),
    Trouble::new(
        "test",
        r"^=+ .*?(\d+ failed).* =+$|^Tests: +(\d+ failed)|^test result: FAILED\. .*?(\d+ failed)|^(\d+ failed)\b|^FAILED \(((?:failures|errors)=[^)]+)\)",
        "tests fail: $1$2$3$4$5",
        TESTS,
    ),
    Trouble::new(
        "test",
        r"^--- FAIL: |^# fail [1-9]|^FAILED \S+::",
        "tests fail",
        TESTS,
    ),
    Trouble::new(
        "file.locked",
        r"(?i)could not get lock|database is locked|blocking waiting for file lock|unable to acquire .*lock",
        "another program holds a lock that it wants",
        &[
            "wait until that is done, or end it; if there is none, the lock was left behind by one that crashed",
        ],
    ),
    Trouble::new(
        "file.permission",
        r"(?i)permission denied|\bEACCES\b|\bEPERM\b|operation not permitted",
        "it may not do that with a file, a directory or the system",
        &[
            "an action may write below its own directory and to `$$TMPDIR` only, and runs as the user who started synth: docs/sandbox.md",
        ],
    ),
    Trouble::new(
        "file.missing",
        r#"[\s'‘`"]([^\s'‘’`":]+)['’`"]?: No such file or directory|No such file or directory: '([^']+)'|'([^']+)': \[Errno 2\] No such file"#,
        "there is no `$1$2$3` where it runs",
        &[
            "an action sees only what it declares: make the file an input, or have an earlier step leave it",
        ],
    ),
    Trouble::new(
        "crash",
        r"was ended by signal (?:4|6|7|8|11)$|Segmentation fault|\(core dumped\)",
        "the program itself crashed",
        &["run the command by itself to see whether it always does; a newer version may not"],
    ),
    Trouble::new(
        "ended",
        r"was ended by signal (?:1|2|15)$",
        "something outside of synth ended it",
        &[
            "look for who ends processes on this machine: a service manager, a container that was stopped",
        ],
    ),
    Trouble::new(
        "program.missing",
        "",
        "a program that it calls was not found: that is what exit code 127 of a shell means",
        &["its log names the program: install it, or name it as a tool of the target"],
    )
    .of_exit_code(127),
    Trouble::new(
        "program.not_executable",
        "",
        "a program that it calls can't be executed: that is what exit code 126 of a shell means",
        &["its log names the file: `chmod +x` it"],
    )
    .of_exit_code(126),
];

const TESTS: &[&str] =
    &["the log names each, with what it expected; no output is replaced while they fail"];
