//! What to do about a failure: what its kind knows of it, and what is known of any.

use synth_core::{Advice, Concern, Diagnostic};

use super::Failure;
use super::troubles::{Found, LASTING, MACHINE, PASSING, PROGRAMS, Trouble, UNREACHABLE, matched};
use crate::kind::Kind;

/// Adds to what is said of a failure what it is, if that is known, and what to do. Gives its name.
/// May ask the kind, which may take a while.
pub(crate) fn advise(failure: &mut Failure, kind: &Kind) -> Option<String> {
    // A kind that crashed has nothing to say, and what is synth's own is told where it happens.
    if failure.is_not_its_own() {
        return None;
    }
    let (of_kind, faults) = match kind.advice() {
        Ok(advice) => {
            let faults = faults_of_kind(&advice);
            (advice, faults)
        }
        Err(problem) => (Vec::new(), vec![problem]),
    };
    let found = look_for(failure, &of_kind);
    let mut errors = failure
        .diagnostics
        .iter_mut()
        .filter(|said| said.is_error());
    let first = errors.next();
    let told = found.zip(first).map(|(found, first)| {
        first.causes.push(found.message);
        first.help.extend(found.help);
        found.code
    });
    failure.diagnostics.extend(faults);
    told
}

/// What a failure is, as far as that is known.
fn look_for(failure: &Failure, of_kind: &[Advice]) -> Option<Found> {
    let of_machine = first(MACHINE, failure);
    if of_machine.is_some() {
        return of_machine;
    }
    let mut errors = failure.diagnostics.iter().filter(|said| said.is_error());
    if errors.any(|said| !said.help.is_empty()) {
        // Whoever has told what to do knows better than a pattern.
        return None;
    }
    of_kind
        .iter()
        .find_map(|advice| matched(advice, failure).ok()?)
        .or_else(|| of_anything(failure))
}

/// The patterns of a kind that are none.
fn faults_of_kind(advice: &[Advice]) -> Vec<Diagnostic> {
    let faults = advice.iter().filter_map(|advice| {
        let reason = super::compile(&advice.pattern).err()?;
        let message = format!("the pattern of the advice `{}` is none", advice.code);
        Some(
            Diagnostic::warning("kind.advice", message)
                .concerning(Concern::Internal)
                .cause(reason)
                .help("this is a fault of the target kind: report it to its authors"),
        )
    });
    faults.collect()
}

fn of_anything(failure: &Failure) -> Option<Found> {
    first(LASTING, failure)
        .or_else(|| first(PASSING, failure).map(|found| or_without_network(found, failure)))
        .or_else(|| first(PROGRAMS, failure))
}

fn first(troubles: &[Trouble], failure: &Failure) -> Option<Found> {
    troubles
        .iter()
        .find_map(|trouble| matched(&trouble.advice(), failure).ok()?)
}

/// What can't be reached for want of a network is not away.
fn or_without_network(found: Found, failure: &Failure) -> Found {
    let (codes, instead) = &UNREACHABLE;
    if failure.has_network || !codes.contains(&found.code.as_str()) {
        return found;
    }
    let of = |text: &&str| (*text).to_owned();
    Found {
        code: instead.code.to_owned(),
        message: format!("{}; {}", found.message, instead.message),
        help: instead.help.iter().map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use synth_core::{Action, Exec, Network, Phase};

    use super::super::compile;
    use super::*;

    fn failure(exit_code: Option<i32>, output: &str) -> Failure {
        let message = match exit_code {
            Some(code) => format!("`run it` failed with exit code {code}"),
            None => "`run it` failed".to_owned(),
        };
        Failure {
            action: Action::new("run", Phase::Build, "run it", Exec::new(["it"])),
            has_network: true,
            exit_code,
            diagnostics: vec![Diagnostic::error("build.failed", message)],
            output: output.to_owned(),
        }
    }

    fn told(found: Option<Found>) -> String {
        found
            .map(|found| format!("{}: {}", found.code, found.message))
            .unwrap_or_default()
    }

    #[test]
    fn every_pattern_is_one_and_what_it_names_is_there() {
        let tables = [MACHINE, LASTING, PASSING, PROGRAMS];
        for trouble in tables.into_iter().flatten() {
            let pattern = compile(trouble.pattern)
                .unwrap_or_else(|error| panic!("{}: {error}", trouble.code));
            let texts = trouble.help.iter().chain([&trouble.message]);
            for text in texts {
                for group in 1..10 {
                    let named = text.contains(&format!("${group}"));
                    assert!(!named || group < pattern.captures_len(), "{text}");
                }
            }
            assert!(!trouble.help.is_empty(), "{}", trouble.code);
        }
    }

    #[test]
    fn what_programs_say_is_known() {
        for (exit_code, output, expected) in [
            (
                2,
                "sh: 1: cc: not found\nmake: *** [Makefile:2: app] Error 127",
                "compiler.missing: a compiler or a tool beside it is missing: `cc`",
            ),
            (
                1,
                "error: linker `cc` not found",
                "compiler.missing: a compiler or a tool beside it is missing: `cc`",
            ),
            (
                127,
                "sh: 3: hugo: not found",
                "program.missing: there is no program `hugo` where it looks for one",
            ),
            (
                127,
                "bash: line 1: hugo: command not found",
                "program.missing: there is no program `hugo` where it looks for one",
            ),
            (
                127,
                "",
                "program.missing: a program that it calls was not found: that is what exit code 127 of a shell means",
            ),
            (
                126,
                "sh: 1: ./tool.sh: Permission denied",
                "program.not_executable: `./tool.sh` may not be executed",
            ),
            (
                1,
                "FileNotFoundError: [Errno 2] No such file or directory: 'git'",
                "git.missing: git is not installed, or not found",
            ),
            (
                128,
                "fatal: not a git repository (or any of the parent directories): .git",
                "git.none: it asks git, and there is no repository where it runs: data of version control is never an input",
            ),
            (
                1,
                "a.c:3:5: error: expected ';' before '}' token",
                "compile: the compiler refuses `a.c`, line 3",
            ),
            (
                2,
                "src/app.ts(4,7): error TS2322: Type 'string' is not assignable",
                "compile: the compiler refuses `src/app.ts`, line 4",
            ),
            (
                1,
                "a.c:1:10: fatal error: zlib.h: No such file or directory\ncompilation terminated.",
                "header.missing: the header `zlib.h` is not there",
            ),
            (
                1,
                "/usr/bin/ld: cannot find -lfoo: No such file or directory",
                "library.linked: the library `foo` is not there to be linked",
            ),
            (
                1,
                "a.c:(.text+0xa): undefined reference to `deposit'",
                "link: the linker does not find what the program calls: `deposit`",
            ),
            (
                1,
                "./app: error while loading shared libraries: libfoo.so.1: cannot open shared object file",
                "library.missing: the library `libfoo.so.1` is not installed",
            ),
            (
                2,
                "make: *** No rule to make target 'a.h', needed by 'a.o'.  Stop.",
                "make.rule: make has neither the file `a.h` nor a rule for it",
            ),
            (
                1,
                "ModuleNotFoundError: No module named 'yaml'",
                "python.module: Python has no module `yaml` there",
            ),
            (
                1,
                "OSError: [Errno 98] Address already in use",
                "port.taken: another program has the port that it wants",
            ),
            (
                1,
                "cp: error writing 'b': No space left on device",
                "disk.full: there is no room left where it writes",
            ),
            (
                1,
                "OSError: [Errno 122] Disk quota exceeded",
                "disk.quota: the user's quota on the file system is used up",
            ),
            (
                1,
                "touch: cannot touch '/usr/x': Read-only file system",
                "disk.read_only: it writes where it may not: what it reads, and the system, can't be changed by an action",
            ),
            (
                137,
                "",
                "memory.killed: it was killed: most often by the system, for want of memory",
            ),
            (
                1,
                "OSError: [Errno 24] Too many open files: '/dev/null'",
                "files.too_many_open: it has more files open than it may",
            ),
            (
                22,
                "curl: (22) The requested URL returned error: 401",
                "auth.refused: the server does not let it in: there are no credentials, or they are wrong or out of date",
            ),
            (
                60,
                "curl: (60) SSL certificate problem: self-signed certificate",
                "network.certificate: the certificate of the server is none that this machine trusts",
            ),
            (
                7,
                "curl: (7) Failed to connect to 127.0.0.1 port 1: Connection refused",
                "network.refused: nothing answers there: the connection was refused",
            ),
            (
                1,
                "error: HTTP 503 Service Unavailable",
                "network.busy: the server is busy, or broken",
            ),
            (
                1,
                "git@a: Permission denied (publickey).",
                "auth.refused: the server does not let it in: there are no credentials, or they are wrong or out of date",
            ),
            (1, "FAILED (failures=1)", "test: tests fail: failures=1"),
            (
                101,
                "test result: FAILED. 3 passed; 1 failed; 0 ignored",
                "test: tests fail: 1 failed",
            ),
            (
                1,
                "cat: prices.txt: No such file or directory",
                "file.missing: there is no `prices.txt` where it runs",
            ),
            (1, "nothing that anybody knows", ""),
        ] {
            let found = look_for(&failure(Some(exit_code), output), &[]);
            assert_eq!(told(found), expected, "{output}");
        }
    }

    #[test]
    fn what_is_said_last_and_what_is_more_special_counts() {
        let both = failure(Some(1), "a.c:1:1: error: first\nb.c:2:2: error: last");
        assert_eq!(
            told(look_for(&both, &[])),
            "compile: the compiler refuses `b.c`, line 2"
        );
        let full = failure(
            Some(1),
            "cc1: error: No space left on device\na.c:1:1: error: it follows",
        );
        assert!(told(look_for(&full, &[])).starts_with("disk.full"));
    }

    #[test]
    fn a_kind_knows_better_but_not_of_the_machine() {
        let own = [
            Advice::new("own.none", "(", "never"),
            Advice::new("own.offline", "resolve", "it is offline").network(Network::None),
            Advice::new("own.price", r"price (\d+)", "$1 $$ is too much")
                .help("ask for less than $1"),
            Advice::new("own.code", "", "it costs $$").exit_code(9),
        ];
        for (exit_code, output, expected) in [
            (
                1,
                "price 12: No such file or directory",
                "own.price: 12 $ is too much",
            ),
            (9, "whatever", "own.code: it costs $"),
            (
                1,
                "price 12: No space left on device",
                "disk.full: there is no room left where it writes",
            ),
            (
                1,
                "could not resolve host: a.b",
                "network.name: the name `a.b` was not found",
            ),
        ] {
            let found = look_for(&failure(Some(exit_code), output), &own);
            assert_eq!(told(found), expected, "{output}");
        }
        let mut offline = failure(Some(1), "could not resolve host: a.b");
        offline.has_network = false;
        assert_eq!(told(look_for(&offline, &own)), "own.offline: it is offline");
        assert!(told(look_for(&offline, &[])).starts_with("network.none: the name `a.b`"));
        let faults = faults_of_kind(&own);
        let faults: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(faults, ["the pattern of the advice `own.none` is none"]);
    }

    #[test]
    fn who_has_told_what_to_do_is_not_corrected() {
        let mut helped = failure(Some(1), "a.c:1:1: error: no");
        for said in &mut helped.diagnostics {
            said.help.push("write it again".to_owned());
        }
        assert_eq!(look_for(&helped, &[]), None);
    }
}
