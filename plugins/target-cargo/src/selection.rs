//! What of a workspace Cargo is to build, as its arguments.

use serde::{Deserialize, Serialize};

/// Packages and features.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Selection {
    pub(crate) packages: Vec<String>,
    pub(crate) features: Vec<String>,
    pub(crate) all_features: bool,
    pub(crate) no_default_features: bool,
}

impl Selection {
    /// The arguments that `cargo build` and `cargo test` take for it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let packages = self.packages.iter();
        let features = self.features.iter();
        let switches = [
            (self.all_features, "--all-features"),
            (self.no_default_features, "--no-default-features"),
        ];
        packages
            .map(|package| format!("--package={package}"))
            .chain(features.map(|feature| format!("--features={feature}")))
            .chain(
                switches
                    .into_iter()
                    .filter(|(on, _)| *on)
                    .map(|(_, switch)| switch.to_owned()),
            )
            .collect()
    }
}
