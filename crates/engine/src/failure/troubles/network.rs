//! Trouble with the network: what passes by itself, so that an action may be tried again, and what
//! does not.

use super::Trouble;

/// Lasts until somebody does something about it. Looked for before what passes: a connection that
/// was refused for a wrong certificate was broken off as well.
pub(crate) const LASTING: &[Trouble] = &[
    Trouble::new(
        "network.certificate",
        r"(?i)CERTIFICATE_VERIFY_FAILED|certificate verify failed|self[- ]signed certificate|unable to get local issuer certificate|unable to verify the first certificate|x509: certificate|\bUnknownIssuer\b|invalid peer certificate|SSL certificate problem|certificate has expired|server certificate verification failed",
        "the certificate of the server is none that this machine trusts",
        &[
            "where the network has an authority of its own, install its certificate (`update-ca-certificates`), or name its file in `SSL_CERT_FILE`, `PIP_CERT` or `NODE_EXTRA_CA_CERTS`",
            "a clock that is wrong makes every certificate look out of date: `date`",
        ],
    ),
    Trouble::new(
        "network.proxy",
        r"(?i)\b407\b.{0,40}proxy|proxy authentication required",
        "the proxy wants a name and a password",
        &["put them in `HTTPS_PROXY`: `http://NAME:PASSWORD@proxy:3128`"],
    ),
    Trouble::new(
        "auth.host_key",
        r"(?i)host key verification failed",
        "the host is not known to ssh",
        &["after a look at its fingerprint, `ssh-keyscan HOST >> ~/.ssh/known_hosts`"],
    ),
    Trouble::new(
        "auth.refused",
        r"(?i)\b401\b[^\d]{0,30}unauthori[sz]ed|unauthori[sz]ed: |\b403\b[^\d]{0,30}forbidden|HTTP (?:error )?40[13]\b|returned error: 40[13]\b|status(?: code)?:? 40[13]\b|authentication (?:required|failed|is needed)|could not read (?:Username|Password)|invalid (?:credentials|username or password)|bad credentials|permission denied \(publickey|requested access to the resource is denied|no basic auth credentials|\bneed auth\b|\bE40[13]\b",
        "the server does not let it in: there are no credentials, or they are wrong or out of date",
        &[
            "log in again, or set the variable that has the token, and let the action see it: variables of your own are handed on only where a kind says so (`pass_environment`)",
        ],
    ),
];

/// Passes by itself.
pub(crate) const PASSING: &[Trouble] = &[
    Trouble::new(
        "network.name",
        r"(?i)could not resolve (?:host|proxy): '?([\w.-]+)|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ([\w.-]+)|lookup ([\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving|temporary failure)|unable to resolve host address .([\w.-]+).",
        "the name `$1$2$3$4` was not found",
        NAME,
    ),
    Trouble::new(
        "network.name",
        r"(?i)temporary failure in name resolution|name or service not known|nodename nor servname|no address associated with hostname|failed to lookup address information|\bEAI_AGAIN\b|\bENOTFOUND\b|dns error|name resolution failed|could not resolve",
        "the name of a server was not found",
        NAME,
    ),
    Trouble::new(
        "network.refused",
        r"(?i)connection refused|\bECONNREFUSED\b|actively refused|couldn't connect to server",
        "nothing answers there: the connection was refused",
        &[
            "look whether the server runs, at that address and port, and whether a firewall or proxy is between",
        ],
    ),
    Trouble::new(
        "network.unreachable",
        r"(?i)network is unreachable|no route to host|\bENETUNREACH\b|\bEHOSTUNREACH\b",
        "there is no way to the server",
        &["look whether this machine has a network (`ip route`), and a proxy where it needs one"],
    ),
    Trouble::new(
        "network.timeout",
        r"(?i)connection timed out|\bETIMEDOUT\b|\bERR_SOCKET_TIMEOUT\b|read ?timed ?out|ReadTimeout|connect ?timeout|operation timed out|timed out (?:after|while) .*(?:connect|fetch|download)|i/o timeout|TLS handshake timeout|context deadline exceeded|Client\.Timeout exceeded",
        "the server did not answer in time",
        SERVER,
    ),
    Trouble::new(
        "network.lost",
        r"(?i)connection (?:was )?(?:reset|closed|aborted|lost)|\bECONNRESET\b|\bEPIPE\b|socket hang up|remote end closed connection|IncompleteRead|IncompleteMessage|unexpected eof while reading|unexpected disconnect|remote end hung up|the remote hung up|early EOF|RPC failed|network (?:error|socket) (?:while|disconnected)|TLS connection was non-properly terminated|broken connection",
        "the connection was lost",
        SERVER,
    ),
    Trouble::new(
        "network.busy",
        r"(?i)\b(?:429|500|502|503|504)\b[^\d]{0,30}(?:too many requests|internal server error|bad gateway|service (?:temporarily )?unavailable|gateway time-?out)|HTTP (?:error )?(?:429|50[0234])\b|returned error: (?:429|50[0234])\b|status(?: code)?:? (?:429|50[0234])\b|too many requests",
        "the server is busy, or broken",
        SERVER,
    ),
];

/// Failures of programs that no network mends, whatever they said of one before: by name.
pub(crate) const FINAL: [&str; 7] = [
    "compile",
    "link",
    "syntax",
    "test",
    "header.missing",
    "library.linked",
    "compiler.missing",
];

/// Versions that do not go together, and what did not compile while it was installed.
pub(crate) const CONFLICT: &str = r"\bResolutionImpossible\b|conflicting dependencies|No solution found when resolving|\bERESOLVE\b|Failed building wheel for|gyp ERR! build error";

/// What is said instead, of an action that has no network, for what has one of these names.
pub(crate) const UNREACHABLE: (&[&str], Trouble) = (
    &["network.name", "network.refused", "network.unreachable"],
    Trouble::new(
        "network.none",
        "",
        "it has no network, that of this machine included: it does not say that it uses one",
        &[
            "say so where its kind lets you (`synth schema` lists the settings), or bring in what it needs in a step that may fetch",
            "a server that a test needs is to be started by the test itself",
        ],
    ),
);

const NAME: &[&str] = &[
    "look whether the name is right and this machine finds it: `getent hosts NAME`",
    "where there is a proxy, set `HTTPS_PROXY`",
];

const SERVER: &[&str] = &[
    "try again later, or from a mirror; `[retry]` in synth.toml says how often synth tries again",
];
