//! What to do about failures that people meet with Python projects. Patterns of what installers,
//! build backends and test runners print.

use synth_core::Advice;

/// The first that matches is told: what is more special comes first.
pub(crate) fn advice() -> Vec<Advice> {
    let mut all = installing();
    all.extend(building());
    all.extend(testing());
    all
}

fn installing() -> Vec<Advice> {
    vec![
        Advice::new(
            "python.index.certificate",
            r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|problem confirming the ssl certificate",
            "the certificate of the package index is none that the installer trusts",
        )
        .help("name the file of your own authority: `PIP_CERT` for pip; `SSL_CERT_FILE`, or `UV_SYSTEM_CERTS=1` for those of the system, for uv"),
        Advice::new(
            "python.index.unreachable",
            r"(?i)after connection broken by|Failed to establish a new connection|error sending request for url|Failed to fetch: .https?:|Max retries exceeded with url",
            "the package index can't be reached",
        )
        .help("look at `PIP_INDEX_URL`, `UV_DEFAULT_INDEX` and `HTTPS_PROXY`, which the installer gets from your environment")
        .help("without a network, name a directory with the wheels: `UV_FIND_LINKS` or `PIP_FIND_LINKS`"),
        Advice::new(
            "python.index.refused",
            r"(?i)(?:HTTP error |status client error \(|\bERROR: )40[13]\b|401 Error, Credentials not correct|User for [\w.:-]+:",
            "the package index refuses these credentials",
        )
        .help("put them in `~/.netrc`, in the URL of `PIP_INDEX_URL` or `UV_DEFAULT_INDEX`, or in `UV_INDEX_NAME_USERNAME` and `UV_INDEX_NAME_PASSWORD`"),
        Advice::new(
            "python.package.missing",
            r"No matching distribution found for (\S+)|[Bb]ecause (\S+) was not found in the (?:package registry|provided package locations)|there (?:is|are) no versions? of (\S+)",
            "the package index has no such package, or no such version of it: `$1$2$3`",
        )
        .help("look whether the name is spelled right, whether a version exists for this Python, and which index is asked (`PIP_INDEX_URL`, `UV_DEFAULT_INDEX`)"),
        Advice::new(
            "python.versions.conflict",
            r"ResolutionImpossible|these package versions have conflicting dependencies|we can conclude that .* (?:incompatible|unsatisfiable)|your requirements are unsatisfiable|And because .* depends on ",
            "the requirements exclude one another: no versions fit them all",
        )
        .help("the log names the two that clash: relax one of them, in `dependencies` of the target or of pyproject.toml"),
        Advice::new(
            "python.version",
            r"requires a different Python: (\S+) not in|current Python version \(([\d.]+)\) does not satisfy Python",
            "Python $1$2 is not one that a package, or the project, is for",
        )
        .help("choose another with `python` of the target (`python = \"3.12\"`), or change `requires-python`"),
        Advice::new(
            "python.hash",
            r"THESE PACKAGES DO NOT MATCH THE HASHES|Hash mismatch for `?(\S+?)`?$",
            "a package is not the one whose hash is in the lock file",
        )
        .help("if you trust its new contents, write the lock file anew (`uv lock`); else look at who serves it"),
    ]
}

fn building() -> Vec<Advice> {
    vec![
        Advice::new(
            "python.headers",
            r"fatal error: '?Python\.h'?",
            "the headers of Python itself are not installed, which a module in C needs",
        )
        .help("install them: `apt-get install python3-dev`, `dnf install python3-devel`"),
        Advice::new(
            "python.compiler.missing",
            r"error: command '([^']+)' failed: No such file or directory|unable to execute '([^']+)'|Unknown compiler\(s\): (.*)",
            "a module in C is to be compiled, and there is no compiler: `$1$2$3`",
        )
        .help("install one: `apt-get install build-essential`, `dnf group install development-tools`, or `xcode-select --install`")
        .help("or depend on a version of the package that has a wheel for this machine"),
        Advice::new(
            "python.backend.requires",
            r"error: invalid command 'bdist_wheel'|BackendUnavailable: Cannot import '([^']+)'",
            "the build backend is not there as a whole",
        )
        .help("name what it needs in `requires` of `[build-system]`, or in `build_dependencies` of the target"),
        Advice::new(
            "python.layout",
            r"Multiple top-level (?:packages|modules) discovered in a flat-layout",
            "setuptools does not know which of several directories is the package",
        )
        .help("say so in pyproject.toml, `[tool.setuptools] packages = [\"NAME\"]`, or put the package below `src`"),
    ]
}

fn testing() -> Vec<Advice> {
    vec![
        Advice::new(
            "python.module.missing",
            r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)",
            "there is no module `$1` where it runs",
        )
        .help("add the package that has it: to `dependencies` of pyproject.toml if the project imports it, to `test_dependencies` of the target if its tests do, to `build_dependencies` if its build does")
        .help("if it is a module of the project, it is missing in the wheel: look at what the build backend includes"),
        Advice::new(
            "python.tests.failed",
            r"^(?:=+ )?(\d+ (?:failed|errors?)\b[^=]*?)(?: in [\d.]+s.*)?(?: =+)?$|^FAILED \(((?:failures|errors)=\d+)",
            "tests of the project fail: $1$2",
        )
        .help("the log has each with what it expected; `tests = false` builds without them"),
        Advice::new(
            "python.tests.none",
            r"no tests ran in|^NO TESTS RAN|collected 0 items$",
            "no test was found",
        )
        .help("name what runs them in `test_command`, or set `tests = false`"),
    ]
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn what_tools_print_is_known() {
        let known = |line: &str| {
            let all = advice().into_iter();
            let mut all = all.map(|one| (Regex::new(&one.pattern).unwrap(), one.code));
            let found = all.find(|(pattern, _)| pattern.is_match(line));
            found.map(|(_, code)| code).unwrap_or_default()
        };
        for (line, code) in [
            (
                "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError'",
                "python.index.unreachable",
            ),
            (
                "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]",
                "python.index.certificate",
            ),
            (
                "ERROR: 401 Error, Credentials not correct for http://a/",
                "python.index.refused",
            ),
            (
                "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/",
                "python.versions.conflict",
            ),
            (
                "      we can conclude that your requirements are unsatisfiable.",
                "python.versions.conflict",
            ),
            (
                "Because a was not found in the package registry and you require a, we can conclude that your requirements are unsatisfiable.",
                "python.package.missing",
            ),
            (
                "ERROR: No matching distribution found for requets",
                "python.package.missing",
            ),
            (
                "ERROR: Package 'a' requires a different Python: 3.11.2 not in '>=3.13'",
                "python.version",
            ),
            (
                "a.c:1:10: fatal error: Python.h: No such file or directory",
                "python.headers",
            ),
            (
                "error: command 'gcc' failed: No such file or directory",
                "python.compiler.missing",
            ),
            (
                "error: invalid command 'bdist_wheel'",
                "python.backend.requires",
            ),
            (
                "ModuleNotFoundError: No module named 'yaml'",
                "python.module.missing",
            ),
            (
                "========= 1 failed, 2 passed in 0.12s =========",
                "python.tests.failed",
            ),
            ("1 failed in 0.02s", "python.tests.failed"),
            ("FAILED (failures=1, errors=2)", "python.tests.failed"),
            ("========= 3 passed in 0.12s =========", ""),
        ] {
            assert_eq!(known(line), code, "{line}");
        }
    }
}
