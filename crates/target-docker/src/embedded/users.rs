//! `--chown` and `USER`: names to numbers, by the /etc/passwd and /etc/group of the stage.

use super::tree::Tree;

/// Who owns a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// Reads `user`, `user:group`, `1000`, `1000:group`.
///
/// # Errors
/// When a name is not in the stage's files.
pub(crate) fn resolve(text: &str, tree: &Tree) -> Result<Owner, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let (uid, primary) = if user.is_empty() {
        (0, 0)
    } else if let Ok(uid) = user.parse::<u32>() {
        (uid, uid)
    } else {
        let fields = entry("etc/passwd", user, tree)?;
        match (field(&fields, 2), field(&fields, 3)) {
            (Some(uid), Some(gid)) => (uid, gid),
            _ => {
                return Err(format!(
                    "the line of `{user}` in /etc/passwd has no numbers"
                ));
            }
        }
    };
    let gid = match group {
        None => primary,
        Some(group) => match group.parse::<u32>() {
            Ok(gid) => gid,
            Err(_) => field(&entry("etc/group", group, tree)?, 2)
                .ok_or_else(|| format!("the line of `{group}` in /etc/group has no number"))?,
        },
    };
    Ok(Owner {
        uid: u64::from(uid),
        gid: u64::from(gid),
    })
}

fn entry(file: &str, name: &str, tree: &Tree) -> Result<Vec<String>, String> {
    let text = tree
        .read_text(file)
        .map_err(|error| format!("/{file} of the stage can't be read: {error}"))?
        .ok_or_else(|| format!("`{name}` can't be looked up: the stage has no /{file}"))?;
    text.lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
        .find(|fields| fields.first().is_some_and(|first| first == name))
        .ok_or_else(|| format!("/{file} of the stage has no `{name}`"))
}

fn field(fields: &[String], index: usize) -> Option<u32> {
    fields.get(index)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Content, Node, NodeKind};
    use super::*;

    #[test]
    fn names_and_numbers() {
        let mut tree = Tree::default();
        for (path, text) in [
            (
                "etc/passwd",
                "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n",
            ),
            ("etc/group", "root:x:0:\nweb:x:1002:\n"),
        ] {
            tree.insert(
                path,
                Node {
                    kind: NodeKind::File(Content::Bytes(text.as_bytes().into())),
                    ..Node::directory(0, 0, 0)
                },
            );
        }
        for (text, expected) in [
            ("app", Ok((1000, 1001))),
            ("app:web", Ok((1000, 1002))),
            ("app:5", Ok((1000, 5))),
            ("55", Ok((55, 55))),
            ("55:web", Ok((55, 1002))),
            (":web", Ok((0, 1002))),
            ("none", Err("/etc/passwd of the stage has no `none`")),
            ("app:none", Err("/etc/group of the stage has no `none`")),
        ] {
            let actual = resolve(text, &tree).map(|owner| (owner.uid, owner.gid));
            assert_eq!(
                actual.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{text}"
            );
        }
        assert!(resolve("app", &Tree::default()).is_err());
    }
}
