//! The name of an action in the cache: the Remote Execution API's `Action` message, made from
//! everything that may change what the action leaves.

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use synth_core::{Action, ActionKind, Digest, INTERFACE_VERSION, Network, TargetDescription};

use crate::digest::{digest_bytes, to_message};
use crate::tree::Tree;

/// Everything that may change what an action leaves: the messages whose digest is its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Key {
    pub(crate) command: reapi::Command,
    pub(crate) platform: reapi::Platform,
    /// The directories of the input root, itself first.
    pub(crate) inputs: reapi::Tree,
}

impl Key {
    /// The key of an action on its inputs, in a sandbox of this identity: what an action may see is
    /// another thing there.
    pub(crate) fn of(
        action: &Action,
        inputs: &Tree,
        description: &TargetDescription,
        sandbox: &str,
    ) -> Self {
        Self {
            command: command(action),
            platform: platform(action, description, sandbox),
            inputs: inputs.to_message(),
        }
    }

    /// The action's name in the cache.
    pub(crate) fn digest(&self) -> Digest {
        let root = self.inputs.root.clone().unwrap_or_default();
        let message = reapi::Action {
            command_digest: Some(to_message(&digest_bytes(&self.command.encode_to_vec()))),
            input_root_digest: Some(to_message(&digest_bytes(&root.encode_to_vec()))),
            platform: Some(self.platform.clone()),
            ..Default::default()
        };
        digest_bytes(&message.encode_to_vec())
    }
}

fn command(action: &Action) -> reapi::Command {
    let mut command = match &action.kind {
        ActionKind::Exec(exec) => reapi::Command {
            arguments: exec.argv.clone(),
            working_directory: exec.working_directory.clone(),
            environment_variables: exec
                .environment
                .iter()
                .map(|(name, value)| reapi::command::EnvironmentVariable {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            ..Default::default()
        },
        ActionKind::Native(native) => reapi::Command {
            arguments: vec![
                "synth:native".into(),
                native.function.clone(),
                native.parameters.to_string(),
            ],
            ..Default::default()
        },
        _ => reapi::Command::default(),
    };
    command.output_paths = action
        .outputs
        .iter()
        .map(|output| output.path.clone())
        .collect();
    command.output_paths.sort();
    command
}

/// What the action runs on and by: properties sorted by name, as the API wants them.
fn platform(action: &Action, description: &TargetDescription, sandbox: &str) -> reapi::Platform {
    let mut properties = vec![
        ("ISA".to_owned(), std::env::consts::ARCH.to_owned()),
        ("OSFamily".to_owned(), std::env::consts::OS.to_owned()),
        (
            "synth.crate".to_owned(),
            format!("{}@{}", description.crate_name, description.version),
        ),
        ("synth.interface".to_owned(), INTERFACE_VERSION.to_string()),
        ("synth.sandbox".to_owned(), sandbox.to_owned()),
        (
            "synth.network".to_owned(),
            match action.network {
                Network::None => "none",
                Network::Allowed => "allowed",
            }
            .to_owned(),
        ),
    ];
    properties.extend(action.tools.iter().map(|tool| {
        let identity = format!(
            "{}\n{}\n{}",
            tool.path.display(),
            tool.digest,
            tool.version_output
        );
        (format!("synth.tool.{}", tool.name), identity)
    }));
    properties.extend(action.outputs.iter().map(|output| {
        let mut value = format!("{:?} {}", output.kind, output.path);
        if !output.patterns.is_empty() {
            value.push_str(&format!(" {:?}", output.patterns));
        }
        (format!("synth.output.{}", output.name), value)
    }));
    properties.sort();
    reapi::Platform {
        properties: properties
            .into_iter()
            .map(|(name, value)| reapi::platform::Property { name, value })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use semver::Version;
    use synth_core::{Exec, Phase, Tool};

    use super::*;

    fn digest_of(change: impl FnOnce(&mut Action, &mut Tree, &mut TargetDescription)) -> Digest {
        let mut action = Action::new("a", Phase::Build, "build", Exec::new(["cc", "-c"]));
        let mut inputs = Tree::default();
        let mut description = TargetDescription {
            kind: "any".into(),
            crate_name: "synth-target-any".into(),
            version: Version::new(1, 0, 0),
            description: String::new(),
            settings_schema: serde_json::Value::Null,
            setting_aliases: Vec::new(),
        };
        change(&mut action, &mut inputs, &mut description);
        Key::of(&action, &inputs, &description, "strict").digest()
    }

    fn exec(action: &mut Action) -> &mut Exec {
        match &mut action.kind {
            ActionKind::Exec(exec) => exec,
            _ => unreachable!("the action above is an Exec"),
        }
    }

    #[test]
    fn everything_that_may_matter_is_in_the_key() {
        let tool = Tool {
            name: "cc".into(),
            path: "/usr/bin/cc".into(),
            version_output: "12".into(),
            digest: digest_bytes(b"cc"),
        };
        let newer = Tool {
            digest: digest_bytes(b"newer"),
            ..tool.clone()
        };
        let mut digests = vec![
            digest_of(|_, _, _| ()),
            digest_of(|action, _, _| exec(action).argv.push("x".into())),
            digest_of(|action, _, _| {
                exec(action).environment.insert("A".into(), "b".into());
            }),
            digest_of(|action, _, _| exec(action).working_directory = "sub".into()),
            digest_of(|action, _, _| *action = action.clone().output_file("o", "o")),
            digest_of(|action, _, _| *action = action.clone().output_directory("o", "o")),
            digest_of(|action, _, _| *action = action.clone().output_files("o", "o", ["a"])),
            digest_of(|action, _, _| *action = action.clone().output_files("o", "o", ["b"])),
            digest_of(|action, _, _| action.network = Network::Allowed),
            digest_of(|action, _, _| action.tools.push(tool)),
            digest_of(|action, _, _| action.tools.push(newer)),
            digest_of(|_, tree, _| {
                tree.insert("a", crate::tree::TreeEntry::Symlink("b".into()))
                    .unwrap();
            }),
            digest_of(|_, _, description| description.version = Version::new(1, 0, 1)),
            digest_of(|_, _, description| description.crate_name = "other".into()),
        ];
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn what_people_read_and_what_is_passed_on_is_not() {
        let plain = digest_of(|_, _, _| ());
        assert_eq!(
            plain,
            digest_of(|action, _, _| action.description = "other".into())
        );
        assert_eq!(
            plain,
            digest_of(|action, _, _| exec(action).pass_environment.push("TOKEN".into()))
        );
    }
}
