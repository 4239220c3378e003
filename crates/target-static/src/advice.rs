//! What to do about failures that people meet with sites. Patterns of what package managers,
//! bundlers and generators print.

use synth_core::{Advice, Network};

/// The first that matches is told: what is more special comes first.
pub(crate) fn advice() -> Vec<Advice> {
    let mut all = installing();
    all.extend(building());
    all
}

fn installing() -> Vec<Advice> {
    vec![
        Advice::new(
            "static.lock.missing",
            r"`?npm ci`? (?:command )?can only install with an existing package-lock\.json|ERR_PNPM_NO_LOCKFILE|YN0028.*lockfile would have been created",
            "there is no lock file, without which the package manager chooses no versions",
        )
        .help("write it, and put it under version control: `npm install --package-lock-only`, or the like of your package manager")
        .help("if it is there, see that `install_inputs` and `include` name it"),
        Advice::new(
            "static.lock.stale",
            r"can only install packages when your package\.json and package-lock\.json .* are in sync|ERR_PNPM_OUTDATED_LOCKFILE|lockfile would have been modified|lockfile had changes, but lockfile is frozen|Missing: \S+ from lock file",
            "the lock file is not the one that belongs to package.json",
        )
        .help("bring it up to date and put it under version control: `npm install --package-lock-only`, or the like of your package manager"),
        Advice::new(
            "static.versions.conflict",
            r"(?:npm (?:ERR!|error) code )?ERESOLVE\b|unable to resolve dependency tree|ERR_PNPM_PEER_DEP_ISSUES",
            "packages want versions of one another that exclude each other",
        )
        .help("the log names them: change one of the versions in package.json; `npm install --legacy-peer-deps` writes a lock file in spite of it"),
        Advice::new(
            "static.registry.refused",
            r"npm (?:ERR!|error) code E40[13]|npm (?:ERR!|error) code ENEEDAUTH|ERR_PNPM_FETCH_40[13]",
            "the package registry does not let you in",
        )
        .help("log in again (`npm login`), or set the variable that `.npmrc` takes the token from, and name it in `pass_environment`"),
        Advice::new(
            "static.package.missing",
            r"npm (?:ERR!|error) 404 +'[^']+'|ERR_PNPM_FETCH_404|npm (?:ERR!|error) code (?:E404|ETARGET)",
            "the package registry has no such package, or no such version of it",
        )
        .help("look at the name and the version in package.json, and at `registry` of .npmrc"),
        Advice::new(
            "static.node.version",
            r"(?:npm (?:ERR!|error) code )?EBADENGINE|ERR_PNPM_UNSUPPORTED_ENGINE|The engine .node. is incompatible|requires? Node(?:\.js)? (?:version )?[>=v]",
            "this version of Node is not one that a package is for",
        )
        .help("`synth check` tells which Node is found; put the one that package.json asks for first on the `PATH`"),
        Advice::new(
            "static.network.none",
            r"(?i)getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|could not resolve host:? '?([\w.-]+)",
            "`build_command` has no network, and asks for `$1$2`",
        )
        .network(Network::None)
        .help("fetch it in `install_command`, which has one, and name where it is in `install_outputs`"),
    ]
}

fn building() -> Vec<Advice> {
    vec![
        Advice::new(
            "static.script.missing",
            r#"npm (?:ERR!|error) Missing script: "([^"]+)"|ERR_PNPM_NO_SCRIPT.*?: (\S+)|error Command "([^"]+)" not found"#,
            "package.json has no script `$1$2$3`",
        )
        .help("add it to `scripts`, or name another one in `build_command`: `npm run` lists them"),
        Advice::new(
            "static.memory",
            r"JavaScript heap out of memory",
            "Node has used up the memory that it gives itself",
        )
        .help("give it more: `environment = { NODE_OPTIONS = \"--max-old-space-size=4096\" }`"),
        Advice::new(
            "static.openssl",
            r"ERR_OSSL_EVP_UNSUPPORTED|error:0308010C:digital envelope routines",
            "the bundler is too old for this version of Node",
        )
        .help("update it; until then, `environment = { NODE_OPTIONS = \"--openssl-legacy-provider\" }`"),
        Advice::new(
            "static.module.missing",
            r#"(?:Cannot find (?:module|package)|Can't resolve|Could not resolve|Failed to resolve import) ['"]([^'"]+)['"]"#,
            "there is no module `$1`",
        )
        .help("add it to package.json and bring the lock file up to date (`npm install $1`); a file of your own has to be among `include`"),
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
                "npm error The `npm ci` command can only install with an existing package-lock.json or",
                "static.lock.missing",
            ),
            (
                "npm error `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in sync.",
                "static.lock.stale",
            ),
            ("npm error code ERESOLVE", "static.versions.conflict"),
            ("npm ERR! code E401", "static.registry.refused"),
            (
                "npm error 404  'left-pat@^1.0.0' is not in this registry.",
                "static.package.missing",
            ),
            ("npm error code EBADENGINE", "static.node.version"),
            (
                "Error: getaddrinfo ENOTFOUND fonts.example.com",
                "static.network.none",
            ),
            (
                "npm error Missing script: \"build\"",
                "static.script.missing",
            ),
            (
                "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory",
                "static.memory",
            ),
            ("Error: Cannot find module 'vite'", "static.module.missing"),
            ("vite v5.0.0 building for production...", ""),
        ] {
            assert_eq!(known(line), code, "{line}");
        }
    }
}
