//! The single values of an image's configuration: variables, ports, signals, health checks.

use std::collections::BTreeMap;

use crate::dockerfile::{CommandLine, HealthcheckArguments};
use crate::oci::{ContainerConfig, Healthcheck};

/// What Docker gives an image that says nothing about `PATH`.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of a variable in `Env`.
pub(crate) fn variable<'a>(config: &'a ContainerConfig, name: &str) -> Option<&'a str> {
    config
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Sets a variable in `Env`, at its old place if it had one.
pub(crate) fn set_variable(config: &mut ContainerConfig, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    let old = config
        .env
        .iter_mut()
        .find(|old| old.split_once('=').is_some_and(|(key, _)| key == name));
    match old {
        Some(old) => *old = entry,
        None => config.env.push(entry),
    }
}

/// Takes a variable out of `Env`.
pub(crate) fn remove_variable(config: &mut ContainerConfig, name: &str) {
    config
        .env
        .retain(|entry| entry.split_once('=').is_none_or(|(key, _)| key != name));
}

/// Sets the labels of the settings; what the image's history says about it, if there are any.
pub(crate) fn set_labels(
    config: &mut ContainerConfig,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let mut text = String::from("LABEL");
    for (name, value) in labels {
        config.labels.insert(name.clone(), value.clone());
        text.push_str(&format!(" {name}={value}"));
    }
    (!labels.is_empty()).then_some(text)
}

/// The shell that text commands run in.
pub(crate) fn shell(config: &ContainerConfig) -> Vec<String> {
    if config.shell.is_empty() {
        vec!["/bin/sh".into(), "-c".into()]
    } else {
        config.shell.clone()
    }
}

pub(crate) fn healthcheck(check: Option<&HealthcheckArguments>) -> Healthcheck {
    let Some(check) = check else {
        return Healthcheck {
            test: vec!["NONE".into()],
            ..Healthcheck::default()
        };
    };
    let mut test = Vec::new();
    match &check.command {
        CommandLine::Words(words) => {
            test.push("CMD".to_owned());
            test.extend(words.iter().cloned());
        }
        CommandLine::Shell(text) => test.extend(["CMD-SHELL".to_owned(), text.clone()]),
    }
    Healthcheck {
        test,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

/// The ports of one word of `EXPOSE`, as `80/tcp`.
pub(crate) fn ports(word: &str) -> Result<Vec<String>, String> {
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("`{protocol}` is not tcp, udp or sctp"));
    }
    let port = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| format!("`{text}` is not a port between 1 and 65535"))
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(range)?, port(range)?),
    };
    if first > last {
        return Err(format!("the range `{range}` is empty"));
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

/// Whether a text names a signal: a number, or a name with or without `SIG`.
pub(crate) fn is_signal(text: &str) -> bool {
    const NAMES: [&str; 34] = [
        "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT",
        "KILL", "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM",
        "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
    ];
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = ["RTMIN", "RTMAX"].iter().any(|base| {
        name.strip_prefix(base).is_some_and(|offset| {
            offset.is_empty()
                || offset
                    .strip_prefix(['+', '-'])
                    .is_some_and(|number| number.parse::<u8>().is_ok_and(|number| number <= 30))
        })
    });
    NAMES.contains(&name) || real_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges() {
        for (word, expected) in [
            ("80", Ok(vec!["80/tcp"])),
            ("53/UDP", Ok(vec!["53/udp"])),
            ("8000-8002", Ok(vec!["8000/tcp", "8001/tcp", "8002/tcp"])),
            ("0", Err("`0` is not a port between 1 and 65535")),
            ("http", Err("`http` is not a port between 1 and 65535")),
            ("80/xyz", Err("`xyz` is not tcp, udp or sctp")),
            ("9-8", Err("the range `9-8` is empty")),
        ] {
            let actual = ports(word);
            let expected = expected
                .map(|ports| ports.into_iter().map(str::to_owned).collect::<Vec<_>>())
                .map_err(str::to_owned);
            assert_eq!(actual, expected, "{word}");
        }
    }

    #[test]
    fn signals() {
        for (text, expected) in [
            ("SIGTERM", true),
            ("term", true),
            ("9", true),
            ("SIGRTMIN+3", true),
            ("0", false),
            ("65", false),
            ("SIGNOPE", false),
        ] {
            assert_eq!(is_signal(text), expected, "{text}");
        }
    }
}
