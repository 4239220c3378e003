//! A command as a person can paste it into a shell.

use std::borrow::Cow;
use std::path::Path;

use synth_core::{Action, ActionKind, Exec, ROOT};

/// What names of variables contain that hold what nobody else is to see.
const SECRET: [&str; 10] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
];

/// Words of which such names consist.
const SECRET_WORDS: [&str; 4] = ["AUTH", "DSN", "PASS", "PAT"];

/// A longer command is nothing to be pasted.
const MOST_BYTES: usize = 128 * 1024;

/// The command of an action that is a process, to be pasted in its root. Variables that it is given
/// are in it, those that look like a secret as a reference to one's own.
pub(crate) fn of_action(action: &Action) -> Option<String> {
    let ActionKind::Exec(exec) = &action.kind else {
        return None;
    };
    let (first, rest) = exec.argv.split_first()?;
    let mut words = Vec::new();
    if !exec.environment.is_empty() {
        words.push("env".to_owned());
        let variables = exec.environment.iter();
        words.extend(variables.map(|(name, value)| variable(name, value)));
    }
    words.push(program(action, exec, first));
    words.extend(rest.iter().map(|argument| quoted(argument)));
    let mut line = words.join(" ");
    if !exec.working_directory.is_empty() {
        line = format!("cd {} && {line}", quoted(&exec.working_directory));
    }
    if line.contains("\"$ROOT\"") {
        line = format!("ROOT=$PWD; {line}");
    }
    (line.len() <= MOST_BYTES).then_some(line)
}

/// The command of a process that a function of a kind ran.
pub(crate) fn of_process<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a String>,
) -> String {
    let mut line = quoted(&program.to_string_lossy());
    for argument in arguments {
        line.push(' ');
        line.push_str(&quoted(argument));
    }
    line
}

/// The program, where it is found in a shell too.
fn program(action: &Action, exec: &Exec, name: &str) -> String {
    let tool = action.tools.iter().find(|tool| tool.name == name);
    match tool {
        Some(tool) => quoted(&tool.path.to_string_lossy()),
        // It is relative to the root, wherever the process starts.
        None if exec.working_directory.is_empty() && !name.starts_with(['/', '$']) => {
            quoted(&format!("./{}", name.trim_start_matches("./")))
        }
        None if name.starts_with(['/', '$']) => quoted(name),
        None => quoted(&format!("{ROOT}/{}", name.trim_start_matches("./"))),
    }
}

/// Whether a variable looks as if nobody else is to see its value.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|part| name.contains(part))
        || name.split('_').any(|word| SECRET_WORDS.contains(&word))
        || has_password(value)
}

/// Whether it is an address with a name and a password: `https://NAME:PASSWORD@host/`.
fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|address| {
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':'))
    })
}

fn variable(name: &str, value: &str) -> String {
    let is_identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_secret(name, value) {
        true if is_identifier => format!("{name}=\"${name}\""),
        true => quoted(&format!("{name}=.")),
        false => format!("{}={}", quoted(name), quoted(value)),
    }
}

/// A word for a shell: the root of the action is its variable `ROOT`.
fn quoted(text: &str) -> String {
    let quote = |part: &str| -> String {
        // No process is started with a NUL in its arguments.
        let part = part.replace('\0', "");
        shlex::try_quote(&part)
            .map(Cow::into_owned)
            .unwrap_or_default()
    };
    if !text.contains(ROOT) {
        return quote(text);
    }
    let parts = text.split(ROOT).map(|part| match part {
        "" => String::new(),
        part => quote(part),
    });
    parts.collect::<Vec<_>>().join("\"$ROOT\"")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use synth_core::{Digest, Native, Phase, Tool};

    use super::*;

    fn tool(name: &str) -> Tool {
        Tool {
            name: name.into(),
            path: PathBuf::from("/usr/bin").join(name),
            version_output: String::new(),
            digest: Digest::new("ab".repeat(32), 1).unwrap(),
        }
    }

    #[test]
    fn a_command_can_be_pasted() {
        let exec = |argv: &[&str]| Exec::new(argv.iter().copied());
        for (exec, expected) in [
            (exec(&["cc", "-o", "my app"]), "/usr/bin/cc -o 'my app'"),
            (
                exec(&["cc", "a"]).working_directory("project/web"),
                "cd project/web && /usr/bin/cc a",
            ),
            (exec(&["env/bin/python", "x.py"]), "./env/bin/python x.py"),
            (
                exec(&["env/bin/python", "x.py"]).working_directory("source"),
                "ROOT=$PWD; cd source && \"$ROOT\"/env/bin/python x.py",
            ),
            (
                exec(&["cc", &format!("-I{ROOT}/my include")])
                    .variable("FLAGS", "a b")
                    .variable("NPM_TOKEN", "hush"),
                "ROOT=$PWD; env FLAGS='a b' NPM_TOKEN=\"$NPM_TOKEN\" /usr/bin/cc -I\"$ROOT\"'/my include'",
            ),
            (
                exec(&["cc", "", "it's\n$HOME"]),
                "/usr/bin/cc '' \"it's\n\"'$HOME'",
            ),
        ] {
            let action = Action::new("a", Phase::Build, "a", exec).tool(tool("cc"));
            assert_eq!(of_action(&action).unwrap(), expected);
        }
        for (name, value, expected) in [
            ("NPM_TOKEN", "", true),
            ("aws_secret_access_key", "", true),
            ("SIGNING_PASSPHRASE", "", true),
            ("HTTP_AUTH", "", true),
            ("SENTRY_DSN", "", true),
            ("INDEX", "https://me:hush@example.org/simple", true),
            ("INDEX", "https://me@example.org/a:b@c", false),
            ("GIT_AUTHOR_NAME", "me", false),
            ("PATH", "/usr/bin", false),
        ] {
            assert_eq!(is_secret(name, value), expected, "{name}={value}");
        }
        let native = Action::new("a", Phase::Build, "a", Native::new("pack"));
        assert_eq!(of_action(&native), None);
    }
}
