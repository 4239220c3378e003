//! What to do about failures that people meet with images. Patterns of what Docker's client and
//! BuildKit print.

use synth_core::{Advice, Retry};

/// Images of registries that could not be fetched for a reason that passes by itself. What a `RUN`
/// says of a network is not tried again: it may be a test.
const FETCHING: &str = r"(?i)failed to (?:resolve source metadata|do request|fetch (?:anonymous|oauth) token|copy|authorize)\b.*(?:no such host|server misbehaving|temporary failure|time-?out|deadline exceeded|connection (?:refused|reset)|unreachable|\bEOF\b|unexpected status\b.*\s50[0234]\b)";

/// How an engine's build is tried again.
pub(crate) fn retry() -> Retry {
    Retry::attempts(Retry::ATTEMPTS).pattern(FETCHING)
}

/// The first that matches is told: what is more special comes first.
pub(crate) fn advice() -> Vec<Advice> {
    let mut all = engine();
    all.extend(images());
    all
}

fn engine() -> Vec<Advice> {
    vec![
        Advice::new(
            "docker.daemon.stopped",
            r"(?i)Cannot connect to the Docker daemon(?: at (\S+?)\.?)?(?: Is|$)|Is the docker daemon running",
            "no Docker engine answers",
        )
        .help("start it: `systemctl start docker`, or Docker Desktop; `DOCKER_HOST` says where another one is"),
        Advice::new(
            "docker.daemon.permission",
            r"(?i)permission denied while trying to connect to the docker",
            "you may not use the Docker engine of this machine",
        )
        .help("become a member of its group, which is as much as root: `sudo usermod -aG docker $$USER`, and log in again"),
    ]
}

fn images() -> Vec<Advice> {
    vec![
        Advice::new(
            "docker.registry.limit",
            r"(?i)toomanyrequests|pull rate limit",
            "the registry gives this machine no more images for now",
        )
        .help("log in, which raises the limit (`docker login`), or take the image from a mirror"),
        Advice::new(
            "docker.registry.refused",
            r"(?i)pull access denied|failed to authorize|authorization failed|unauthorized: |requested access to the resource is denied|no basic auth credentials|unexpected status[^:]*: 40[13]\b",
            "the registry does not give out the image: there is none of that name, or it wants credentials",
        )
        .help("look at the name in the Dockerfile, and log in: `docker login REGISTRY`"),
        Advice::new(
            "docker.image.missing",
            r"(?i)manifest (?:for \S+ )?(?:unknown|not found)|failed to resolve source metadata for .*: not found",
            "the registry has no such image, or no such tag of it",
        )
        .help("look at the tag in `FROM`; `docker manifest inspect NAME:TAG` asks the registry"),
        Advice::new(
            "docker.registry.unreachable",
            r"(?i)failed to (?:do request|resolve source metadata|fetch (?:anonymous|oauth) token).*(?:no such host|server misbehaving|i/o timeout|TLS handshake timeout|connection refused|unreachable)",
            "the registry of a base image can't be reached",
        )
        .help("look at the engine's own network and proxy (`docker info`), or begin with an OCI layout of `build_contexts`, which needs no registry"),
        Advice::new(
            "docker.platform",
            r"(?i)no match for platform in manifest|exec format error|does not match the (?:specified|expected) platform",
            "an image is for another kind of processor than the one that is built for",
        )
        .help("set `platform`, choose an image that is there for it, or install emulation: `docker run --privileged --rm tonistiigi/binfmt --install all`"),
        Advice::new(
            "docker.copy.missing",
            r#"(?i)failed to (?:compute cache key|calculate checksum of ref).*?"?([^"\s]+)"?: not found"#,
            "`$1`, which is to be copied, is not there",
        )
        .help("look at .dockerignore and at the path: it is relative to `source_path`, or to the outputs of the target that `--from` names"),
        Advice::new(
            "docker.run.failed",
            r"did not complete successfully: exit code: (\d+)",
            "a `RUN` ended with exit code $1",
        )
        .help("its own last lines are above and in the log; `docker run -it IMAGE sh` goes into the stage before it"),
    ]
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn what_the_engine_prints_is_known() {
        let known = |line: &str| {
            let all = advice().into_iter();
            let mut all = all.map(|one| (Regex::new(&one.pattern).unwrap(), one.code));
            let found = all.find(|(pattern, _)| pattern.is_match(line));
            found.map(|(_, code)| code).unwrap_or_default()
        };
        for (line, code) in [
            (
                "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "docker.daemon.stopped",
            ),
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                "docker.daemon.permission",
            ),
            (
                "ERROR: failed to solve: a: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                "docker.registry.refused",
            ),
            (
                "ERROR: failed to solve: python:9: failed to resolve source metadata for docker.io/library/python:9: docker.io/library/python:9: not found",
                "docker.image.missing",
            ),
            (
                "ERROR: failed to solve: failed to do request: Head \"https://r/v2/a\": dial tcp: lookup r: no such host",
                "docker.registry.unreachable",
            ),
            (
                "ERROR: failed to compute cache key: failed to calculate checksum of ref a::b: \"/missing\": not found",
                "docker.copy.missing",
            ),
            (
                "ERROR: failed to solve: process \"/bin/sh -c false\" did not complete successfully: exit code: 1",
                "docker.run.failed",
            ),
            ("#5 DONE 0.1s", ""),
        ] {
            assert_eq!(known(line), code, "{line}");
        }
    }

    #[test]
    fn only_fetching_is_tried_again() {
        let pattern = Regex::new(FETCHING).unwrap();
        for (line, expected) in [
            (
                "failed to do request: Head \"https://r/v2/a\": dial tcp: lookup r: no such host",
                true,
            ),
            (
                "failed to fetch anonymous token: Get \"https://a\": net/http: TLS handshake timeout",
                true,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://a: 503 Service Unavailable",
                true,
            ),
            (
                "#7 1.2 curl: (7) Failed to connect: Connection refused",
                false,
            ),
            ("failed to resolve source metadata for a: not found", false),
        ] {
            assert_eq!(pattern.is_match(line), expected, "{line}");
        }
    }
}
