//! What to do about failures of commands, as far as a setting of this kind is the way out. All else
//! synth knows itself.

use synth_core::{Advice, Network};

/// The first that matches is told.
pub(crate) fn advice() -> Vec<Advice> {
    vec![
        Advice::new(
            "command.network.none",
            r"(?i)could not resolve (?:host|proxy)|temporary failure in name resolution|name or service not known|\bENOTFOUND\b|\bEAI_AGAIN\b|no such host|network is unreachable|failed to lookup address",
            "the command has no network, and asks for another machine",
        )
        .network(Network::None)
        .help("if it is to fetch something, say so: `network = true`; an access that hangs or breaks off is then tried again with `retry = { attempts = 3 }`"),
        Advice::new(
            "command.make.rule",
            r"No rule to make target [`']([^']+)'",
            "make has neither the file `$1` nor a rule for it",
        )
        .help("if it is a file of yours, name it in `inputs`: the command sees no other"),
        Advice::new(
            "command.read_only",
            r"(?i)read-only file system",
            "the command writes where it may not",
        )
        .help("let it write below its source directory, and name what it leaves in `outputs`, or in `scratch` if nobody needs it"),
        Advice::new(
            "command.git",
            r"(?i)not a git repository",
            "the command asks git, and data of version control is never an input",
        )
        .help("hand it what it asks for in another way: a file among `inputs`, or a variable of `environment`"),
    ]
}
