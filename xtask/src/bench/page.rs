//! The page with the figures: what is between two marks is measured, everything else is written by
//! hand.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::Shell;

/// A page of figures, and the task that writes them.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) task: &'static str,
}

const BENCHMARKS: Page = Page {
    path: "docs/benchmarks.md",
    task: "bench",
};

/// Puts figures between the marks of a benchmark.
pub(crate) fn write(shell: &Shell, benchmark: &str, figures: &str) -> Result<()> {
    BENCHMARKS.write(shell, benchmark, figures)
}

impl Page {
    /// Puts figures between their marks.
    pub(crate) fn write(&self, shell: &Shell, name: &str, figures: &str) -> Result<()> {
        let page = self.path;
        let path = shell.root().join(page);
        let text = fs::read_to_string(&path).with_context(|| format!("{page} can't be read"))?;
        let text = replaced(&text, self.task, name, figures)
            .with_context(|| format!("{page} has no marks for `{name}`"))?;
        fs::write(&path, text)?;
        eprintln!("wrote {page}");
        Ok(())
    }
}

fn replaced(text: &str, task: &str, name: &str, figures: &str) -> Option<String> {
    let begin = format!("<!-- {name}: written by cargo xtask {task} -->\n");
    let end = format!("<!-- {name}: end -->");
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
        let once = replaced(&page("old\n"), "bench", "a", "new").unwrap();
        assert_eq!(once, page("\nnew\n"));
        assert_eq!(replaced(&once, "bench", "a", "new").unwrap(), once);
        assert_eq!(replaced(&once, "bench", "b", "new"), None);
    }
}
