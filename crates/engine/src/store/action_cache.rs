//! Action results by the digest of their action: `ActionResult` messages of the Remote Execution
//! API, one file each. A result is only used while every blob it names is in the store.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::protobuf;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use synth_core::{Digest, Message, NativeOutcome, Output};

use super::{Store, StoreError, io_error};
use crate::digest::{digest_bytes, from_message, to_message};
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// Marks the `Any` that holds a [`NativeOutcome`] in its JSON message.
const OUTCOME_TYPE: &str = "type.synth.build/synth.core.NativeOutcome";

/// Marks the `Any` that holds a small `Tree` of an output directory, by whose digest it is found.
const TREE_TYPE: &str = "type.googleapis.com/build.bazel.remote.execution.v2.Tree";

/// Trees that take no more are kept where they are named: a file of its own takes a block, and
/// longer to make.
const SMALL_TREE_BYTES: usize = 1024;

/// A tree that was kept, as its `Tree` message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum KeptTree {
    /// A blob of the store.
    Blob(Digest),
    /// The message itself.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
}

impl KeptTree {
    /// The tree of a directory of a result; none when its name is none.
    pub(super) fn of(
        message: &reapi::ActionResult,
        directory: &reapi::OutputDirectory,
    ) -> Option<Self> {
        let digest = from_message(directory.tree_digest.as_ref()?)?;
        let details = message.execution_metadata.iter();
        let inline = details
            .flat_map(|metadata| &metadata.auxiliary_metadata)
            .filter(|detail| detail.type_url == TREE_TYPE)
            .find(|detail| digest_bytes(&detail.value) == digest);
        Some(match inline {
            Some(detail) => Self::Inline(detail.value.clone()),
            None => Self::Blob(digest),
        })
    }

    pub(super) fn digest(&self) -> Digest {
        match self {
            Self::Blob(digest) => digest.clone(),
            Self::Inline(bytes) => digest_bytes(bytes),
        }
    }
}

/// An action's outputs by their names.
pub(crate) type ActionOutputs = BTreeMap<String, TreeEntry>;

/// What is known of an action that succeeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct CachedAction {
    pub(crate) outputs: ActionOutputs,
    pub(crate) outcome: NativeOutcome,
    /// How long it took when it ran.
    pub(crate) duration: Duration,
}

impl Store {
    fn action_path(&self, action: &Digest) -> PathBuf {
        let shard = action.sha256.get(..2).unwrap_or("00");
        self.root
            .join(super::ACTIONS)
            .join(shard)
            .join(&action.sha256)
    }

    /// Remembers the result of an action.
    pub(crate) fn put_action(
        &self,
        action: &Digest,
        declared: &[Output],
        result: &CachedAction,
    ) -> Result<(), StoreError> {
        let mut message = reapi::ActionResult::default();
        let mut trees = Vec::new();
        for output in declared {
            match result.outputs.get(&output.name) {
                Some(TreeEntry::File(file)) => message.output_files.push(reapi::OutputFile {
                    path: output.path.clone(),
                    digest: Some(to_message(&file.digest)),
                    is_executable: file.executable,
                    ..Default::default()
                }),
                Some(TreeEntry::Directory(tree)) => {
                    let kept = self.keep_tree(tree)?;
                    message.output_directories.push(reapi::OutputDirectory {
                        path: output.path.clone(),
                        tree_digest: Some(to_message(&kept.digest())),
                        ..Default::default()
                    });
                    if let KeptTree::Inline(bytes) = kept {
                        trees.push(protobuf::Any {
                            type_url: TREE_TYPE.into(),
                            value: bytes,
                        });
                    }
                }
                Some(TreeEntry::Symlink(_)) | None => {}
            }
        }
        let mut metadata = metadata(result);
        metadata.auxiliary_metadata.extend(trees);
        message.execution_metadata = Some(metadata);
        let bytes = message.encode_to_vec();
        self.write_whole(&self.action_path(action), &mut |file| {
            file.write_all(&bytes)
        })
    }

    /// The result of an action, if it is known and whole.
    pub(crate) fn get_action(
        &self,
        action: &Digest,
        declared: &[Output],
    ) -> Result<Option<CachedAction>, StoreError> {
        let path = self.action_path(action);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("reading", &path)(error)),
        };
        // A result that can't be read is as good as none: the action runs again.
        let Ok(message) = reapi::ActionResult::decode(bytes.as_slice()) else {
            return Ok(None);
        };
        let mut result = CachedAction::default();
        for output in declared {
            let Some(entry) = self.output(&message, &output.path) else {
                return Ok(None);
            };
            result.outputs.insert(output.name.clone(), entry);
        }
        let Some(metadata) = message.execution_metadata else {
            return Ok(None);
        };
        if let Ok(file) = fs::metadata(&path) {
            self.shared.marks.mark(&self.root, &path, &file);
        }
        result.duration = execution_time(&metadata);
        for detail in metadata.auxiliary_metadata {
            if detail.type_url == OUTCOME_TYPE {
                let text = String::from_utf8_lossy(&detail.value);
                let Ok(outcome) = Message::<NativeOutcome>::from_json(&text) else {
                    return Ok(None);
                };
                result.outcome = outcome.body;
            }
        }
        Ok(Some(result))
    }

    /// An output of a result; none when any of its blobs is not in the store.
    fn output(&self, message: &reapi::ActionResult, path: &str) -> Option<TreeEntry> {
        if let Some(file) = message.output_files.iter().find(|file| file.path == path) {
            let digest = from_message(file.digest.as_ref()?)?;
            return self.contains(&digest).then_some(TreeEntry::File(FileEntry {
                digest,
                executable: file.is_executable,
                origin: Origin::Store,
            }));
        }
        let directory = message
            .output_directories
            .iter()
            .find(|directory| directory.path == path)?;
        let kept = KeptTree::of(message, directory)?;
        self.tree(&kept).map(TreeEntry::Directory)
    }

    /// Keeps a tree whose files are in the store.
    pub(crate) fn keep_tree(&self, tree: &Tree) -> Result<KeptTree, StoreError> {
        let bytes = tree.to_message().encode_to_vec();
        match bytes.len() <= SMALL_TREE_BYTES {
            true => Ok(KeptTree::Inline(bytes)),
            false => self.put_bytes(&bytes).map(KeptTree::Blob),
        }
    }

    /// A tree that was kept; none when it, or any file of it, is not in the store.
    pub(crate) fn tree(&self, kept: &KeptTree) -> Option<Tree> {
        let bytes = match kept {
            KeptTree::Inline(bytes) => bytes.clone(),
            KeptTree::Blob(digest) => self.contains(digest).then(|| self.read(digest).ok())??,
        };
        let tree = Tree::from_message(&reapi::Tree::decode(bytes.as_slice()).ok()?)?;
        let whole = tree.leaves().iter().all(|(_, entry)| match entry {
            TreeEntry::File(file) => self.contains(&file.digest),
            _ => true,
        });
        whole.then_some(tree)
    }
}

fn metadata(result: &CachedAction) -> reapi::ExecutedActionMetadata {
    let mut metadata = reapi::ExecutedActionMetadata {
        virtual_execution_duration: Some(protobuf::Duration {
            seconds: i64::try_from(result.duration.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(result.duration.subsec_nanos()).unwrap_or_default(),
        }),
        ..Default::default()
    };
    if result.outcome != NativeOutcome::default()
        && let Ok(text) = Message::new(&result.outcome).to_json()
    {
        metadata.auxiliary_metadata.push(protobuf::Any {
            type_url: OUTCOME_TYPE.into(),
            value: text.into_bytes(),
        });
    }
    metadata
}

fn execution_time(metadata: &reapi::ExecutedActionMetadata) -> Duration {
    let duration = metadata.virtual_execution_duration.unwrap_or_default();
    Duration::new(
        u64::try_from(duration.seconds).unwrap_or_default(),
        u32::try_from(duration.nanos).unwrap_or_default(),
    )
}
