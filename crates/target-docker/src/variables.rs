//! `ARG`: the values given in the settings, those of Docker itself, and the global ones.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::Diagnostic;

use crate::dockerfile::{Dockerfile, Instruction, SourceText, Variables, expand};
use crate::nearest::nearest;
use crate::oci::Platform;
use crate::parameters::BuildParameters;

/// Arguments that need no `ARG`, for what `RUN` runs.
const PREDEFINED: [&str; 11] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
    "SOURCE_DATE_EPOCH",
];

/// What `ARG`s can take their values from.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    given: BTreeMap<String, String>,
    platform: Platform,
    /// The platform's own and those declared before the first `FROM`.
    global: BTreeMap<String, String>,
}

impl Arguments {
    /// Evaluates the `ARG`s before the first `FROM`.
    pub(crate) fn new(
        parameters: &BuildParameters,
        dockerfile: &Dockerfile,
        source: &SourceText,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let target = parameters.target.as_deref().unwrap_or("default");
        let mut arguments = Self {
            global: platform_arguments(&parameters.platform, target),
            given: parameters.build_args.clone(),
            platform: parameters.platform.clone(),
        };
        for (name, value) in arguments.given.clone() {
            if let Some(own) = arguments.global.get_mut(&name) {
                *own = value;
            }
        }
        for statement in &dockerfile.global_arguments {
            let Instruction::Arguments(declared) = &statement.instruction else {
                continue;
            };
            for (name, default) in declared {
                let given = arguments.given.get(name).cloned();
                let default = default.as_ref().map(|text| {
                    expand(text, &arguments, dockerfile.escape).map(|expanded| expanded.text)
                });
                let value = match (given, default) {
                    (Some(given), _) => given,
                    (None, Some(Ok(default))) => default,
                    (None, Some(Err(reason))) => {
                        problems.push(source.error(statement.line, "docker.substitution", reason));
                        continue;
                    }
                    (None, None) => continue,
                };
                arguments.global.insert(name.clone(), value);
            }
        }
        arguments
    }

    /// The platform that is built for.
    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// What an `ARG` of a stage is, `default` being its own default.
    pub(crate) fn in_stage(&self, name: &str, default: Option<String>) -> Option<String> {
        let given = self.given.get(name).cloned();
        given.or(default).or_else(|| self.global.get(name).cloned())
    }

    /// Warnings for given arguments that nothing declares.
    pub(crate) fn unused(&self, dockerfile: &Dockerfile) -> Vec<Diagnostic> {
        let in_stages = dockerfile.stages.iter().flat_map(|stage| &stage.statements);
        let declared: BTreeSet<&str> = dockerfile
            .global_arguments
            .iter()
            .chain(in_stages)
            .filter_map(|statement| match &statement.instruction {
                Instruction::Arguments(declared) => Some(declared),
                _ => None,
            })
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let unused = self.given.keys().filter(|name| {
            !declared.contains(name.as_str())
                && !PREDEFINED.contains(&name.as_str())
                && !name.starts_with("BUILDKIT_")
        });
        unused
            .map(|name| {
                let diagnostic = Diagnostic::warning(
                    "docker.build_args.unused",
                    format!("the Dockerfile has no `ARG {name}`"),
                )
                .at_setting(["build_args", name]);
                match nearest(name, declared.iter().copied()) {
                    Some(known) => diagnostic.help(format!("the nearest one is `{known}`")),
                    None => diagnostic.help(format!("add `ARG {name}` to the stage that uses it")),
                }
            })
            .collect()
    }
}

/// In `FROM` lines the global arguments are what there is.
impl Variables for Arguments {
    fn value(&self, name: &str) -> Option<String> {
        self.global.get(name).cloned()
    }
}

fn platform_arguments(platform: &Platform, target: &str) -> BTreeMap<String, String> {
    let mut arguments = BTreeMap::new();
    let host = Platform::host();
    for (prefix, platform) in [("BUILD", &host), ("TARGET", platform)] {
        for (name, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", platform.variant.clone().unwrap_or_default()),
        ] {
            arguments.insert(format!("{prefix}{name}"), value);
        }
    }
    arguments.insert("TARGETSTAGE".into(), target.to_owned());
    arguments
}
