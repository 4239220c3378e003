//! entry_points.txt: the scripts that a wheel makes installers write.

use configparser::ini::Ini;
use synth_core::Diagnostic;

/// Groups of entry points that become scripts.
const SCRIPT_GROUPS: [&str; 2] = ["console_scripts", "gui_scripts"];

/// A script and what it calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) module: String,
}

/// The scripts in an entry_points.txt.
pub(super) fn scripts(text: &str) -> Result<Vec<Script>, Vec<Diagnostic>> {
    let mut ini = Ini::new_cs();
    ini.set_inline_comment_symbols(Some(&[]));
    let groups = ini.read(text.to_owned()).map_err(|reason| {
        let message = format!("`entry_points.txt` can't be read: {reason}");
        vec![Diagnostic::error("python.wheel.entry_points", message)]
    })?;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for group in SCRIPT_GROUPS {
        for (name, value) in groups.get(group).into_iter().flatten() {
            let value = value.as_deref().unwrap_or_default();
            match module(value) {
                Some(module) => found.push(Script {
                    name: name.clone(),
                    module,
                }),
                None => problems.push(
                    Diagnostic::error(
                        "python.wheel.entry_points",
                        format!(
                            "script `{name}` calls `{value}`, which is no function of a module"
                        ),
                    )
                    .help("write it as `package.module:function`"),
                ),
            }
        }
    }
    if problems.is_empty() {
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    } else {
        Err(problems)
    }
}

/// The module of `module:attribute [extras]`.
fn module(value: &str) -> Option<String> {
    let value = value.split('[').next().unwrap_or_default();
    let (module, attribute) = value.split_once(':')?;
    let dotted = |text: &str| {
        text.split('.').all(|part| {
            let mut characters = part.chars();
            characters
                .next()
                .is_some_and(|c| c == '_' || c.is_alphabetic())
                && characters.all(|c| c == '_' || c.is_alphanumeric())
        })
    };
    let (module, attribute) = (module.trim(), attribute.trim());
    (dotted(module) && dotted(attribute)).then(|| module.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_or_refused() {
        let show = |text: &str| match scripts(text) {
            Ok(scripts) => scripts
                .iter()
                .map(|script| format!("{}={}", script.name, script.module))
                .collect::<Vec<_>>()
                .join(" "),
            Err(problems) => problems[0].message.clone(),
        };
        for (text, expected) in [
            (
                "[console_scripts]\nShop = shop.cli:main\n[other]\na = b\n",
                "Shop=shop.cli",
            ),
            ("[gui_scripts]\na = b:C.d [x,y]\n", "a=b"),
            (
                "[console_scripts]\na = b\n",
                "script `a` calls `b`, which is no function of a module",
            ),
        ] {
            assert_eq!(show(text), expected, "{text}");
        }
    }
}
