//! A plugin's library file, read without executing anything of it: its manifest, and whether this
//! synth can open it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use semver::Version;
use synth_core::{
    Concern, Diagnostic, INTERFACE_VERSION, MANIFEST_SECTION, MANIFEST_SECTION_MACH_O, Manifest,
};

/// More than any library has: 512 MiB.
pub(crate) const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// A library with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
}

/// Why a file can't be used as a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginFileError {
    /// The system does not let it be read.
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// No ELF or Mach-O file, or one that was cut off.
    #[error("it is no shared library, or was cut off: {0}")]
    NotALibrary(#[from] object::Error),
    /// A library without [`MANIFEST_SECTION`].
    #[error("it is a library without a synth manifest")]
    NoManifest,
    /// The section's contents are no manifest.
    #[error("its manifest can't be read: {0}")]
    Manifest(#[from] serde_json::Error),
    /// For another kind of machine.
    #[error("it was built for `{found}`, and this synth is for `{host}`")]
    Architecture {
        /// Its crate and version.
        plugin: String,
        /// The library's target triple.
        found: String,
        /// The host's.
        host: String,
    },
    /// Built with an interface of another major version.
    #[error("it was built with interface {found}, and this synth speaks {host}")]
    Major {
        /// Its crate and version.
        plugin: String,
        /// The library's interface.
        found: Version,
        /// The host's.
        host: Version,
    },
    /// Built with a newer minor version of the interface that it can't do without.
    #[error("it was built with interface {found} and needs {needed}, and this synth speaks {host}")]
    NeedsNewer {
        /// Its crate and version.
        plugin: String,
        /// The library's interface.
        found: Version,
        /// The oldest that it works with.
        needed: Version,
        /// The host's.
        host: Version,
    },
}

impl PluginFile {
    /// Reads a library's manifest and digest. Whether it can be opened here is another question:
    /// [`PluginFile::check`].
    ///
    /// # Errors
    /// When the file is no library with a manifest.
    pub fn read(path: &Path) -> Result<Self, PluginFileError> {
        let bytes = bytes_of(path)?;
        let manifest = manifest_of(&bytes)?;
        Ok(Self {
            path: path.to_owned(),
            manifest,
            sha256: crate::digest::digest_bytes(&bytes).sha256,
        })
    }

    /// Whether this synth can open it: machine and interface.
    ///
    /// # Errors
    /// The reason why not, with both sides named.
    pub fn check(&self) -> Result<(), PluginFileError> {
        let (manifest, plugin) = (&self.manifest, self.name());
        if manifest.triple != synth_core::HOST_TRIPLE {
            return Err(PluginFileError::Architecture {
                plugin,
                found: manifest.triple.clone(),
                host: synth_core::HOST_TRIPLE.into(),
            });
        }
        let (found, host) = (manifest.interface.clone(), INTERFACE_VERSION);
        if found.major != host.major {
            return Err(PluginFileError::Major {
                plugin,
                found,
                host,
            });
        }
        if manifest.needs_interface > host {
            return Err(PluginFileError::NeedsNewer {
                plugin,
                found,
                needed: manifest.needs_interface.clone(),
                host,
            });
        }
        Ok(())
    }

    /// The plugin as messages name it: `synth-target-greet 1.2.0`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.manifest.crate_name, self.manifest.version)
    }
}

impl PluginFileError {
    /// What a user is told of the file at `path`.
    #[must_use]
    pub fn diagnostic(&self, path: &Path) -> Diagnostic {
        let code = match self {
            Self::Unreadable(_) => "plugin.unreadable",
            Self::NotALibrary(_) => "plugin.not_a_library",
            Self::NoManifest => "plugin.no_manifest",
            Self::Manifest(_) => "plugin.manifest",
            Self::Architecture { .. } => "plugin.architecture",
            Self::Major { .. } | Self::NeedsNewer { .. } => "plugin.interface",
        };
        let help = match self {
            Self::Unreadable(_) => "check the file and its permissions",
            Self::NotALibrary(_) => "remove it, or install the plugin again",
            Self::NoManifest => {
                "a plugin is a `cdylib` with `synth_core::export_target!` in it; remove the file if it is none"
            }
            Self::Manifest(_) => "install the plugin again",
            Self::Architecture { .. } => "install it on this machine, from its sources",
            Self::Major { .. } => {
                "install a version of the plugin for this synth, or another synth"
            }
            Self::NeedsNewer { .. } => "update synth, or install an older version of the plugin",
        };
        let problem = match self {
            Self::Architecture { plugin, .. }
            | Self::Major { plugin, .. }
            | Self::NeedsNewer { plugin, .. } => {
                Diagnostic::error(code, format!("plugin `{plugin}` can't be used"))
                    .cause(self.to_string())
                    .cause(format!("its library is `{}`", path.display()))
            }
            _ => {
                let message = format!("`{}` can't be used as a plugin", path.display());
                Diagnostic::error(code, message).cause(self.to_string())
            }
        };
        problem.concerning(Concern::Environment).help(help)
    }
}

/// The bytes of a regular file: a pipe or a device might never end.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let size = usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size);
    let mut file = File::open(path)?.take(MOST_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    if file.limit() == 0 {
        let most = MOST_BYTES / (1024 * 1024);
        return Err(io::Error::other(format!("it has more than {most} MiB")));
    }
    Ok(bytes)
}

fn manifest_of(bytes: &[u8]) -> Result<Manifest, PluginFileError> {
    let file = object::File::parse(bytes)?;
    let section = file
        .section_by_name(MANIFEST_SECTION)
        .or_else(|| file.section_by_name(MANIFEST_SECTION_MACH_O))
        .ok_or(PluginFileError::NoManifest)?;
    Ok(serde_json::from_slice(section.data()?)?)
}
