//! The flags, sources and destination of `COPY` and `ADD`.

use super::arguments::{Wrong, flag_switch, flag_value, unknown_flag, warn_of_broken_list};
use super::instruction::{Copy, CopySource, Keyword};
use super::lines::{Heredoc, heredoc_name};
use super::words::{self, Flag};

const COPY_FLAGS: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
const ADD_FLAGS: [&str; 7] = [
    "chown",
    "chmod",
    "link",
    "exclude",
    "unpack",
    "checksum",
    "keep-git-dir",
];

pub(crate) fn parse(
    keyword: Keyword,
    rest: &str,
    heredocs: &[Heredoc],
    warnings: &mut Vec<Wrong>,
) -> Result<Copy, Wrong> {
    let (flags, rest) = words::flags(rest);
    let mut copy = Copy {
        add: keyword == Keyword::Add,
        ..Copy::default()
    };
    let mut seen: Vec<&str> = Vec::new();
    for flag in &flags {
        if seen.contains(&flag.name.as_str()) && flag.name != "exclude" {
            return Err(Wrong::new(
                "flag.duplicate",
                format!("`--{}` is there twice", flag.name),
            ));
        }
        seen.push(&flag.name);
        apply(keyword, flag, &mut copy)?;
    }
    let listed = words::json_list(rest);
    copy.listed = listed.is_some();
    let mut words = listed.unwrap_or_else(|| {
        warn_of_broken_list(keyword, rest, warnings);
        rest.split_whitespace().map(str::to_owned).collect()
    });
    let Some(destination) = words.pop().filter(|_| !words.is_empty()) else {
        return Err(Wrong::new(
            "copy.arguments",
            format!("`{keyword}` needs a source and a destination"),
        )
        .help(format!("write `{keyword} SOURCE.. DESTINATION`")));
    };
    copy.destination = destination;
    let mut heredocs = heredocs.iter();
    for word in words {
        copy.sources.push(match heredoc_name(&word) {
            // One without a body was reported where its end was looked for.
            Some(_) if !copy.listed => match heredocs.next() {
                Some(heredoc) => CopySource::Heredoc(heredoc.clone()),
                None => continue,
            },
            _ => CopySource::Path(word),
        });
    }
    Ok(copy)
}

fn apply(keyword: Keyword, flag: &Flag, copy: &mut Copy) -> Result<(), Wrong> {
    let known: &[&str] = if copy.add { &ADD_FLAGS } else { &COPY_FLAGS };
    if !known.contains(&flag.name.as_str()) {
        return Err(unknown_flag(keyword, flag, known));
    }
    match flag.name.as_str() {
        "from" => copy.from = Some(flag_value(keyword, flag)?),
        "chown" => copy.owner = Some(flag_value(keyword, flag)?),
        "chmod" => copy.mode = Some(flag_value(keyword, flag)?),
        "exclude" => copy.exclude.push(flag_value(keyword, flag)?),
        "link" => copy.link = flag_switch(keyword, flag)?,
        "parents" => copy.parents = flag_switch(keyword, flag)?,
        "unpack" => copy.unpack = Some(flag_switch(keyword, flag)?),
        // Only for sources on other machines, which are the engine's business.
        "checksum" => {
            flag_value(keyword, flag)?;
        }
        _ => {
            flag_switch(keyword, flag)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_destination() {
        let heredocs = [Heredoc {
            name: "EOF".into(),
            content: "x\n".into(),
            expand: true,
        }];
        let path = |text: &str| CopySource::Path(text.into());
        for (text, sources, destination) in [
            ("a b /c/", vec![path("a"), path("b")], "/c/"),
            (r#"["a b", "/c d"]"#, vec![path("a b")], "/c d"),
            (
                "--link <<EOF /x",
                vec![CopySource::Heredoc(heredocs[0].clone())],
                "/x",
            ),
        ] {
            let copy = parse(Keyword::Copy, text, &heredocs, &mut Vec::new()).unwrap();
            assert_eq!(
                (copy.sources, copy.destination.as_str()),
                (sources, destination)
            );
        }
    }
}
