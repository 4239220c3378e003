//! The page with the figures: what is between two marks is measured, everything else is written by
//! hand.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::Shell;

const PAGE: &str = "docs/benchmarks.md";

/// Puts figures between the marks of a benchmark.
pub(crate) fn write(shell: &Shell, benchmark: &str, figures: &str) -> Result<()> {
    let path = shell.root().join(PAGE);
    let text = fs::read_to_string(&path).with_context(|| format!("{PAGE} can't be read"))?;
    let text = replaced(&text, benchmark, figures)
        .with_context(|| format!("{PAGE} has no marks for `{benchmark}`"))?;
    fs::write(&path, text)?;
    eprintln!("wrote {PAGE}");
    Ok(())
}

fn replaced(text: &str, benchmark: &str, figures: &str) -> Option<String> {
    let begin = format!("<!-- {benchmark}: written by cargo xtask bench -->\n");
    let end = format!("<!-- {benchmark}: end -->");
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{figures}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = |figures: &str| {
            format!(
                "before\n<!-- a: written by cargo xtask bench -->\n{figures}<!-- a: end -->\nafter\n"
            )
        };
        let once = replaced(&page("old\n"), "a", "new").unwrap();
        assert_eq!(once, page("\nnew\n"));
        assert_eq!(replaced(&once, "a", "new").unwrap(), once);
        assert_eq!(replaced(&once, "b", "new"), None);
    }
}
