//! What a docker target's table in synth.toml says.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, ProjectPath, SettingAlias, TargetSpec};

use crate::oci::Platform;
use crate::reference;

/// The settings of a docker target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The Dockerfile, relative to `source_path`.
    pub(crate) dockerfile: String,
    /// Values for the Dockerfile's `ARG`s.
    pub(crate) build_args: BTreeMap<String, Scalar>,
    /// The stage to build, by name or number; the last one when left out.
    pub(crate) target: Option<String>,
    /// Who builds: `embedded` (in process, without a daemon and without root; no `RUN`), `docker`
    /// (a Docker engine with BuildKit), or `auto`: embedded where that does.
    pub(crate) engine: Engine,
    /// Names for the image, such as `storefront:1.0`; `NAME:latest` with the target's name when
    /// left out.
    pub(crate) tags: Option<Tags>,
    /// Labels for the image, beside those of the Dockerfile.
    pub(crate) labels: BTreeMap<String, String>,
    /// More directories for `COPY --from=NAME`, and images for `FROM NAME`, by name: a directory
    /// of the project (relative to synth.toml), or `oci-layout://PATH` for an OCI image layout in
    /// it.
    pub(crate) build_contexts: BTreeMap<String, String>,
    /// The platform to build for, `os/architecture[/variant]`; Linux on this machine's processor
    /// when left out.
    pub(crate) platform: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dockerfile: "Dockerfile".into(),
            build_args: BTreeMap::new(),
            target: None,
            engine: Engine::Auto,
            tags: None,
            labels: BTreeMap::new(),
            build_contexts: BTreeMap::new(),
            platform: None,
        }
    }
}

/// Who builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// The embedded builder where that does, else a Docker engine.
    #[default]
    Auto,
    /// In process, without a daemon and without root. It runs nothing, so there can be no `RUN`.
    Embedded,
    /// A Docker engine with BuildKit.
    Docker,
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Tags {
    /// One name.
    One(String),
    /// Several names.
    Several(Vec<String>),
}

/// A text, a number or a truth value; all of them are texts to a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// True or false.
    Truth(bool),
}

impl Scalar {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

/// Where a named context of `build_contexts` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NamedContext {
    /// A directory of files.
    Directory(ProjectPath),
    /// An OCI image layout.
    Layout {
        path: ProjectPath,
        /// The image in it, when it is named.
        image: Option<String>,
    },
}

impl Settings {
    pub(crate) fn aliases() -> Vec<SettingAlias> {
        [("dockerfile_path", "dockerfile"), ("image_tag", "tags")]
            .map(|(alias, setting)| SettingAlias {
                alias: alias.into(),
                setting: setting.into(),
            })
            .into()
    }

    /// The image's names.
    pub(crate) fn tags(&self, target: &TargetSpec) -> Vec<String> {
        match &self.tags {
            None => vec![format!("{}:latest", target.name.to_ascii_lowercase())],
            Some(Tags::One(tag)) => vec![tag.clone()],
            Some(Tags::Several(tags)) => tags.clone(),
        }
    }

    /// The build arguments as texts.
    pub(crate) fn arguments(&self) -> BTreeMap<String, String> {
        let arguments = self.build_args.iter();
        arguments
            .map(|(name, value)| (name.clone(), value.text()))
            .collect()
    }

    pub(crate) fn platform(&self, problems: &mut Vec<Diagnostic>) -> Platform {
        let Some(text) = &self.platform else {
            return Platform::host();
        };
        text.parse().unwrap_or_else(|reason: String| {
            problems.push(
                Diagnostic::error("docker.platform", reason)
                    .at_setting(["platform"])
                    .help("write `linux/amd64`, for example"),
            );
            Platform::host()
        })
    }

    /// The Dockerfile's path. `None` with a problem added when it leaves the project.
    pub(crate) fn dockerfile_path(
        &self,
        target: &TargetSpec,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<ProjectPath> {
        target
            .source_path
            .join(&self.dockerfile)
            .map_err(|error| {
                problems.push(
                    Diagnostic::error(
                        "docker.dockerfile.outside",
                        format!("the Dockerfile is not inside the project: {error}"),
                    )
                    .at_setting(["dockerfile"])
                    .help("it is relative to `source_path` and has to be below synth.toml"),
                );
            })
            .ok()
    }

    pub(crate) fn contexts(
        &self,
        problems: &mut Vec<Diagnostic>,
    ) -> BTreeMap<String, NamedContext> {
        let mut contexts = BTreeMap::new();
        for (name, text) in &self.build_contexts {
            let named = if is_context_name(name) {
                named_context(text)
            } else {
                Err("its name is not a name, or parts of one with `/` between them".into())
            };
            match named {
                Ok(context) => {
                    contexts.insert(name.to_ascii_lowercase(), context);
                }
                Err(reason) => problems.push(
                    Diagnostic::error(
                        "docker.context",
                        format!("the build context `{name}` can't be used: {reason}"),
                    )
                    .at_setting(["build_contexts", name])
                    .help("give a directory, or `oci-layout://PATH`, relative to synth.toml"),
                ),
            }
        }
        contexts
    }

    /// Problems of the settings that are seen without looking at any file.
    pub(crate) fn problems(&self, target: &TargetSpec) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for tag in self.tags(target) {
            if let Err(reason) = reference::check(&tag) {
                let at = if self.tags.is_some() { "tags" } else { "name" };
                problems.push(
                    Diagnostic::error(
                        "docker.tag",
                        format!("`{tag}` can't be an image's name: {reason}"),
                    )
                    .at_setting([at])
                    .help("write `name:tag`, with `registry/` before it if you like"),
                );
            }
        }
        problems
    }
}

/// Whether a name can be a place among an action's inputs.
fn is_context_name(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn named_context(text: &str) -> Result<NamedContext, String> {
    let parse = |path: &str| ProjectPath::parse(path).map_err(|error| error.to_string());
    if let Some(rest) = text.strip_prefix("oci-layout://") {
        let (path, image) = if let Some((path, digest)) = rest.split_once('@') {
            (path, Some(digest))
        } else {
            match reference::tag(rest) {
                Some(tag) => (&rest[..rest.len() - tag.len() - 1], Some(tag)),
                None => (rest, None),
            }
        };
        return Ok(NamedContext::Layout {
            path: parse(path)?,
            image: image.map(str::to_owned),
        });
    }
    match text.split_once("://") {
        Some((scheme, _)) => Err(format!("`{scheme}://` is not supported")),
        None => Ok(NamedContext::Directory(parse(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_names_stay_where_they_are_put() {
        for (name, expected) in [
            ("base", true),
            ("registry.example/base:1", true),
            ("", false),
            ("../x", false),
            ("a/../x", false),
            ("/x", false),
        ] {
            assert_eq!(is_context_name(name), expected, "{name}");
        }
    }

    #[test]
    fn named_contexts() {
        let path = |text| ProjectPath::parse(text).unwrap();
        let layout = |text, image: Option<&str>| NamedContext::Layout {
            path: path(text),
            image: image.map(Into::into),
        };
        for (text, expected) in [
            ("assets", Ok(NamedContext::Directory(path("assets")))),
            ("oci-layout://images/base", Ok(layout("images/base", None))),
            (
                "oci-layout://images/base:1",
                Ok(layout("images/base", Some("1"))),
            ),
            (
                "oci-layout://images/base@sha256:00",
                Ok(layout("images/base", Some("sha256:00"))),
            ),
            ("https://x/y", Err("`https://` is not supported")),
            ("../x", Err("`../x` leaves the project's directory")),
        ] {
            let actual = named_context(text);
            assert_eq!(
                actual.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|error| *error),
                "{text}"
            );
        }
    }
}
