//! Scripts, made smaller by Oxc. Names at the top of a script that is no module stay, since
//! other scripts may use them; so do the names that functions and classes tell.

use oxc::allocator::Allocator;
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions, LegalComment};
use oxc::diagnostics::OxcDiagnostic;
use oxc::minifier::{
    CompressOptions, CompressOptionsKeepNames, MangleOptions, MangleOptionsKeepNames, Minifier,
    MinifierOptions,
};
use oxc::parser::{Parser, ParserReturn};
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc_compat::EngineTargets;
use synth_core::Diagnostic;

use super::{Minified, Problem};

/// The newest syntax that may be put in place of longer syntax. What the author wrote stays, as
/// new as it may be.
const NEWEST_SYNTAX: &str = "es2015";

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Module,
    Script,
    /// A module when it imports, exports or awaits.
    Either,
}

impl Goal {
    /// How a file is read.
    pub(crate) fn of_file(path: &str) -> Self {
        if path.ends_with(".mjs") {
            Self::Module
        } else {
            Self::Either
        }
    }

    fn source_type(self) -> SourceType {
        match self {
            Self::Module => SourceType::mjs(),
            Self::Script => SourceType::script(),
            Self::Either => SourceType::unambiguous(),
        }
    }
}

/// Minifies a script. One with a syntax error would not run in any browser.
pub(crate) fn minify(text: &str, goal: Goal) -> Minified {
    let allocator = Allocator::default();
    let ParserReturn {
        mut program,
        diagnostics,
        panicked,
        ..
    } = Parser::new(&allocator, text, goal.source_type()).parse();
    let mut errors = diagnostics.into_vec();
    if !panicked && errors.is_empty() {
        let semantic = SemanticBuilder::new().with_check_syntax_error(true);
        errors = semantic.build(&program).diagnostics.into_vec();
    }
    let problems: Vec<Problem> = errors.iter().map(problem).collect();
    if panicked || !problems.is_empty() {
        return Minified {
            text: None,
            problems,
        };
    }
    let renamed = Minifier::new(options()).minify(&allocator, &mut program);
    let printing = CodegenOptions {
        comments: CommentOptions {
            legal: LegalComment::Inline,
            ..CommentOptions::disabled()
        },
        ..CodegenOptions::minify()
    };
    let code = Codegen::new()
        .with_options(printing)
        .with_scoping(renamed.scoping)
        .build(&program)
        .code;
    Minified {
        text: Some(if text.is_ascii() {
            escape_non_ascii(&code)
        } else {
            code
        }),
        problems: Vec::new(),
    }
}

fn options() -> MinifierOptions {
    MinifierOptions {
        mangle: Some(MangleOptions {
            keep_names: MangleOptionsKeepNames::all_true(),
            ..MangleOptions::default()
        }),
        mangle_properties: None,
        compress: Some(CompressOptions {
            target: EngineTargets::from_target(NEWEST_SYNTAX).unwrap_or_default(),
            keep_names: CompressOptionsKeepNames::all_true(),
            ..CompressOptions::smallest()
        }),
    }
}

fn problem(error: &OxcDiagnostic) -> Problem {
    let range = error.labels.iter().next().map_or(0..0, |label| {
        let start = usize::try_from(label.offset()).unwrap_or(usize::MAX);
        start..start.saturating_add(usize::try_from(label.len()).unwrap_or(0))
    });
    let message = format!("the script has a syntax error: {}", error.message);
    let mut diagnostic = Diagnostic::error("static.js.syntax", message);
    if let Some(help) = &error.help {
        diagnostic = diagnostic.help(help.to_string());
    }
    Problem {
        diagnostic: diagnostic
            .help("if it is no script for a browser, leave it out with `exclude`"),
        range,
    }
}

/// A source without such characters gets none: whoever embeds it may have another encoding. The
/// printer puts them into strings alone, where an escape means the same.
fn escape_non_ascii(code: &str) -> String {
    let mut escaped = String::with_capacity(code.len());
    for character in code.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_become_smaller_and_do_the_same() {
        for (goal, text, expected) in [
            (
                Goal::Either,
                "function used(first) { return first + 1; }\nlet top = 2;",
                "function used(e){return e+1}let top=2;",
            ),
            (
                Goal::Either,
                "/*! license */\nimport { a } from './a.js'; // why\nexport const b = a + '\\u00e9';",
                "/*! license */import{a as e}from\"./a.js\";export const b=e+`\\u00e9`;",
            ),
            (
                Goal::Either,
                "function f(longName) { return eval('longName'); }",
                "function f(longName){return eval(`longName`)}",
            ),
            (
                Goal::Either,
                "var a = b === null || b === undefined ? c : b; x = Math.pow(a, 2);",
                "var a=b==null?c:b;x=Math.pow(a,2);",
            ),
            (
                Goal::Either,
                "(() => { class Basket {} console.log(Basket.name); })();\n//# sourceMappingURL=a.js.map",
                "(()=>{class Basket{}console.log(Basket.name)})();",
            ),
            (
                Goal::Script,
                "var await = 1; with (Math) { PI }",
                "var await=1;with(Math)PI;",
            ),
            (
                Goal::Either,
                "console.log(await fetch('x'));",
                "console.log(await fetch(`x`));",
            ),
        ] {
            let minified = minify(text, goal);
            assert!(
                minified.problems.is_empty(),
                "{text}: {:?}",
                minified.problems
            );
            assert_eq!(minified.text.unwrap().replace('\n', ""), expected, "{text}");
        }
    }

    #[test]
    fn every_syntax_error_is_told() {
        for (text, range) in [
            ("var a = ;", 8..9),
            ("let a;\nlet a;", 4..5),
            ("const {{ site.name }} = 1", 7..8),
        ] {
            let minified = minify(text, Goal::Either);
            assert_eq!(minified.text, None, "{text}");
            assert_eq!(minified.problems[0].range, range, "{text}");
        }
    }
}
