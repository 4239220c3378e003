//! The arguments of each instruction but `FROM`, `COPY` and `ADD`.

use super::instruction::{CommandLine, Healthcheck, Keyword, Mount, Run};
use super::words::{self, Flag};
use crate::nearest::nearest;

/// What is wrong with an instruction; its place is added by the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The diagnostic's code without `docker.`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A flag's value, which must be there.
pub(crate) fn flag_value(keyword: Keyword, flag: &Flag) -> Result<String, Wrong> {
    flag.value
        .clone()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            Wrong::new(
                "flag.value",
                format!("`{keyword} --{}` needs a value", flag.name),
            )
            .help(format!("write `--{}=VALUE`", flag.name))
        })
}

/// The value of a flag that is on or off.
pub(crate) fn flag_switch(keyword: Keyword, flag: &Flag) -> Result<bool, Wrong> {
    match flag.value.as_deref() {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(Wrong::new(
            "flag.value",
            format!(
                "`{keyword} --{}` is `true` or `false`, not `{other}`",
                flag.name
            ),
        )),
    }
}

pub(crate) fn unknown_flag(keyword: Keyword, flag: &Flag, known: &[&str]) -> Wrong {
    let wrong = Wrong::new(
        "flag.unknown",
        format!("`{keyword}` has no flag `--{}`", flag.name),
    );
    match nearest(&flag.name, known.iter().copied()) {
        Some(name) => wrong.help(format!("the nearest one is `--{name}`")),
        None if known.is_empty() => wrong.help(format!("`{keyword}` takes no flags")),
        None => wrong.help(format!("its flags are --{}", known.join(", --"))),
    }
}

/// `ARG name[=default]..`
pub(crate) fn build_arguments(
    rest: &str,
    escape: char,
) -> Result<Vec<(String, Option<String>)>, Wrong> {
    words::split(rest, escape)
        .into_iter()
        .map(|word| {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                None => (word, None),
            };
            if is_variable_name(&name) {
                Ok((name, default))
            } else {
                Err(
                    Wrong::new("arg.name", format!("`{name}` can't be an argument's name"))
                        .help("begin with a letter or `_`; then letters, digits and `_`"),
                )
            }
        })
        .collect()
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `ENV` and `LABEL`: `name=value..`, or the old `name value`.
pub(crate) fn pairs(
    keyword: Keyword,
    rest: &str,
    escape: char,
) -> Result<Vec<(String, String)>, Wrong> {
    let words = words::split(rest, escape);
    let first = words.first().map_or("", String::as_str);
    if !first.contains('=') {
        let (name, value) = words::first(rest);
        if value.is_empty() {
            return Err(
                Wrong::new("pair.value", format!("`{keyword} {name}` has no value"))
                    .help(format!("write `{keyword} {name}=value`")),
            );
        }
        return Ok(vec![(name.to_owned(), value.to_owned())]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(Wrong::new(
                "pair.name",
                format!("`{word}` has no name before `=`"),
            )),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(
                Wrong::new("pair.value", format!("`{word}` is not `name=value`"))
                    .help("put a value with spaces between quotes"),
            ),
        })
        .collect()
}

/// A command: a JSON list, or else text for the shell.
pub(crate) fn command(keyword: Keyword, rest: &str, warnings: &mut Vec<Wrong>) -> CommandLine {
    match words::json_list(rest) {
        Some(words) => CommandLine::Words(words),
        None => {
            warn_of_broken_list(keyword, rest, warnings);
            CommandLine::Shell(rest.to_owned())
        }
    }
}

/// Something that begins like a JSON list but is none is taken as plain text, as Docker does.
pub(crate) fn warn_of_broken_list(keyword: Keyword, rest: &str, warnings: &mut Vec<Wrong>) {
    let list = rest.starts_with('[') && rest.ends_with(']');
    // `[ -f x ]` is a command.
    if list && !rest.starts_with("[ ") {
        warnings.push(
            Wrong::new(
                "json.broken",
                format!("`{keyword}` looks like a JSON list but is none, so it is taken as text"),
            )
            .help("a JSON list needs double quotes around its items"),
        );
    }
}

pub(crate) fn volumes(rest: &str, warnings: &mut Vec<Wrong>) -> Result<Vec<String>, Wrong> {
    let volumes = match words::json_list(rest) {
        Some(volumes) => volumes,
        None => {
            warn_of_broken_list(Keyword::Volume, rest, warnings);
            rest.split_whitespace().map(str::to_owned).collect()
        }
    };
    if volumes.is_empty() || volumes.iter().any(String::is_empty) {
        return Err(Wrong::new(
            "volume.empty",
            "`VOLUME` needs the path of a directory",
        ));
    }
    Ok(volumes)
}

pub(crate) fn shell(rest: &str) -> Result<Vec<String>, Wrong> {
    words::json_list(rest)
        .filter(|words| !words.is_empty())
        .ok_or_else(|| {
            Wrong::new("shell.list", "`SHELL` needs a JSON list of texts")
                .help("write `SHELL [\"/bin/bash\", \"-c\"]`")
        })
}

pub(crate) fn on_build(rest: &str) -> Result<(), Wrong> {
    let (word, _) = words::first(rest);
    match Keyword::find(word) {
        Some(keyword @ (Keyword::Onbuild | Keyword::From | Keyword::Maintainer)) => {
            Err(Wrong::new(
                "onbuild.instruction",
                format!("`ONBUILD {keyword}` is not allowed"),
            ))
        }
        Some(_) => Ok(()),
        None => Err(Wrong::new(
            "instruction.unknown",
            format!("`{word}` after `ONBUILD` is not an instruction"),
        )),
    }
}

/// `RUN`: its flags are checked; what it runs is the engine's business.
pub(crate) fn run(rest: &str, warnings: &mut Vec<Wrong>) -> Result<Run, Wrong> {
    const FLAGS: [&str; 4] = ["mount", "network", "security", "device"];
    let (flags, command_text) = words::flags(rest);
    let mut run = Run::default();
    for flag in &flags {
        match flag.name.as_str() {
            "mount" => run.mounts.push(mount(&flag_value(Keyword::Run, flag)?)?),
            "network" | "security" | "device" => {
                flag_value(Keyword::Run, flag)?;
            }
            _ => return Err(unknown_flag(Keyword::Run, flag, &FLAGS)),
        }
    }
    if command_text.is_empty() {
        return Err(Wrong::new("arguments.missing", "`RUN` needs a command"));
    }
    command(Keyword::Run, command_text, warnings);
    Ok(run)
}

fn mount(value: &str) -> Result<Mount, Wrong> {
    const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];
    let mut mount = Mount {
        kind: "bind".into(),
        ..Mount::default()
    };
    for field in value.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key.to_ascii_lowercase().as_str() {
            "type" => mount.kind = value.to_ascii_lowercase(),
            "from" => mount.from = Some(value.to_owned()),
            "source" | "src" => mount.source = Some(value.to_owned()),
            _ => {}
        }
    }
    if KINDS.contains(&mount.kind.as_str()) {
        return Ok(mount);
    }
    let wrong = Wrong::new(
        "run.mount",
        format!("`{}` is not a type of mount", mount.kind),
    );
    Err(match nearest(&mount.kind, KINDS) {
        Some(kind) => wrong.help(format!("the nearest one is `{kind}`")),
        None => wrong.help(format!("the types are {}", KINDS.join(", "))),
    })
}

pub(crate) fn healthcheck(
    rest: &str,
    warnings: &mut Vec<Wrong>,
) -> Result<Option<Healthcheck>, Wrong> {
    const FLAGS: [&str; 5] = [
        "interval",
        "timeout",
        "start-period",
        "start-interval",
        "retries",
    ];
    let (flags, rest) = words::flags(rest);
    let (form, arguments) = words::first(rest);
    if form.eq_ignore_ascii_case("none") {
        return match flags.first() {
            Some(flag) => Err(unknown_flag(Keyword::Healthcheck, flag, &[])),
            None if arguments.is_empty() => Ok(None),
            None => Err(Wrong::new(
                "healthcheck.form",
                "`HEALTHCHECK NONE` takes no arguments",
            )),
        };
    }
    if !form.eq_ignore_ascii_case("cmd") || arguments.is_empty() {
        return Err(Wrong::new(
            "healthcheck.form",
            "`HEALTHCHECK` needs `NONE`, or `CMD` and a command",
        )
        .help("write `HEALTHCHECK CMD command`"));
    }
    let mut check = Healthcheck {
        interval: 0,
        timeout: 0,
        start_period: 0,
        start_interval: 0,
        retries: 0,
        command: command(Keyword::Healthcheck, arguments, warnings),
    };
    for flag in &flags {
        match flag.name.as_str() {
            "interval" => check.interval = flag_duration(flag)?,
            "timeout" => check.timeout = flag_duration(flag)?,
            "start-period" => check.start_period = flag_duration(flag)?,
            "start-interval" => check.start_interval = flag_duration(flag)?,
            "retries" => {
                let value = flag_value(Keyword::Healthcheck, flag)?;
                check.retries = value.parse().map_err(|_| {
                    Wrong::new(
                        "healthcheck.retries",
                        format!("`--retries={value}` is not a number"),
                    )
                })?;
            }
            _ => return Err(unknown_flag(Keyword::Healthcheck, flag, &FLAGS)),
        }
    }
    Ok(Some(check))
}

fn flag_duration(flag: &Flag) -> Result<u64, Wrong> {
    let value = flag_value(Keyword::Healthcheck, flag)?;
    duration(&value).ok_or_else(|| {
        Wrong::new(
            "healthcheck.duration",
            format!("`--{}={value}` is not a duration", flag.name),
        )
        .help("write a number and a unit: `500ms`, `30s`, `1m30s`")
    })
}

/// A duration as Docker writes them, `1m30s`, in nanoseconds; at least a millisecond, or 0.
fn duration(text: &str) -> Option<u64> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("µs", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
    ];
    if text == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += number.parse::<f64>().ok()? * nanoseconds;
        rest = after;
    }
    let exact = std::time::Duration::try_from_secs_f64(total / 1e9).ok()?;
    let nanoseconds = u64::try_from(exact.as_nanos()).ok()?;
    (nanoseconds == 0 || nanoseconds >= 1_000_000).then_some(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("5", None),
            ("5 s", None),
            ("10ns", None),
            ("", Some(0)),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn pairs_in_both_forms() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("A=1 B=\"2 3\"", vec![pair("A", "1"), pair("B", "\"2 3\"")]),
            ("A b c=d", vec![pair("A", "b c=d")]),
        ] {
            assert_eq!(pairs(Keyword::Env, text, '\\').unwrap(), expected, "{text}");
        }
    }
}
