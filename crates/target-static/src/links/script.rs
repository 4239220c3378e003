//! References of scripts that can be seen without running them: imports, `new URL(..,
//! import.meta.url)`, workers.

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    Argument, CallExpression, ExportAllDeclaration, ExportFromDeclaration, Expression,
    ImportDeclaration, ImportExpression, NewExpression, StringLiteral,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::SourceType;
use url::Url;

use super::reference::{Facts, Reference, Role};

/// Modules that Node has, and no browser.
const NODE_MODULES: [&str; 16] = [
    "assert",
    "buffer",
    "child_process",
    "crypto",
    "fs",
    "fs/promises",
    "http",
    "https",
    "module",
    "os",
    "path",
    "stream",
    "url",
    "util",
    "vm",
    "worker_threads",
];

/// Where a script is.
pub(crate) struct Place<'a> {
    /// The file it is in.
    pub(crate) file: &'a str,
    /// Where it begins in the file.
    pub(crate) offset: usize,
    /// What its imports are relative to.
    pub(crate) base: &'a Url,
    /// What a page's own addresses are relative to, when the page is known.
    pub(crate) page: Option<&'a Url>,
}

/// Collects from a script. One that can't be parsed has no references: it does not run.
pub(crate) fn collect(text: &str, place: &Place<'_>, facts: &mut Facts) {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::unambiguous()).parse();
    Collector { place, facts }.visit_program(&parsed.program);
}

struct Collector<'a> {
    place: &'a Place<'a>,
    facts: &'a mut Facts,
}

impl Collector<'_> {
    fn refer(&mut self, literal: &StringLiteral<'_>, base: &Url, role: Role) {
        let start = usize::try_from(literal.span.start).unwrap_or(usize::MAX);
        let end = usize::try_from(literal.span.end).unwrap_or(usize::MAX);
        self.facts.refer(Reference {
            file: self.place.file.to_owned(),
            range: self.place.offset.saturating_add(start)..self.place.offset.saturating_add(end),
            text: literal.value.to_string(),
            base: base.clone(),
            role,
            is_control: false,
        });
    }

    fn import(&mut self, literal: &StringLiteral<'_>) {
        self.refer(literal, self.place.base, Role::Import);
    }

    /// An address that is relative to the page: known for scripts in pages, and for addresses
    /// that begin at the root.
    fn page_address(&mut self, argument: Option<&Argument<'_>>) {
        let Some(Argument::StringLiteral(literal)) = argument else {
            return;
        };
        match self.place.page {
            Some(page) => self.refer(literal, page, Role::Script),
            None if literal.value.starts_with('/') => {
                self.refer(literal, self.place.base, Role::Script);
            }
            None => {}
        }
    }
}

impl<'a> Visit<'a> for Collector<'_> {
    fn visit_import_declaration(&mut self, declaration: &ImportDeclaration<'a>) {
        self.import(&declaration.source);
    }

    fn visit_export_all_declaration(&mut self, declaration: &ExportAllDeclaration<'a>) {
        self.import(&declaration.source);
    }

    fn visit_export_from_declaration(&mut self, declaration: &ExportFromDeclaration<'a>) {
        self.import(&declaration.source);
    }

    fn visit_import_expression(&mut self, expression: &ImportExpression<'a>) {
        // Glue code for browsers and Node alike asks where it runs before it imports these.
        if let Expression::StringLiteral(literal) = &expression.source
            && !NODE_MODULES.contains(&literal.value.as_str())
        {
            self.import(literal);
        }
        walk::walk_import_expression(self, expression);
    }

    fn visit_new_expression(&mut self, expression: &NewExpression<'a>) {
        if let Expression::Identifier(name) = &expression.callee {
            let first = expression.arguments.first();
            match name.name.as_str() {
                "URL" if is_import_meta_url(expression.arguments.get(1)) => {
                    if let Some(Argument::StringLiteral(literal)) = first
                        && !is_directory(&literal.value)
                    {
                        let is_script = literal.value.ends_with("js");
                        let role = if is_script { Role::Script } else { Role::Asset };
                        self.refer(literal, self.place.base, role);
                    }
                }
                "Worker" | "SharedWorker" => self.page_address(first),
                _ => {}
            }
        }
        walk::walk_new_expression(self, expression);
    }

    fn visit_call_expression(&mut self, expression: &CallExpression<'a>) {
        if let Expression::StaticMemberExpression(member) = &expression.callee
            && member.property.name == "register"
            && let Expression::StaticMemberExpression(object) = &member.object
            && object.property.name == "serviceWorker"
        {
            self.page_address(expression.arguments.first());
        }
        walk::walk_call_expression(self, expression);
    }
}

/// Whether an address is one that others are made from, not one that is fetched.
fn is_directory(address: &str) -> bool {
    address.ends_with('/') || matches!(address.rsplit('/').next(), Some("." | ".."))
}

/// `import.meta.url`.
fn is_import_meta_url(argument: Option<&Argument<'_>>) -> bool {
    match argument {
        Some(Argument::StaticMemberExpression(member)) => {
            member.property.name == "url" && matches!(member.object, Expression::ImportMeta(_))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_and_addresses_are_found() {
        let text = r#"import a from "./a.js"; export * from './b.js'; export { c } from "./c.js";
const d = await import("./d.js"); const no = await import("./" + name);
const image = new URL("./e.png", import.meta.url); new Worker(new URL("f.js", import.meta.url));
new Worker("no.js"); navigator.serviceWorker.register("/g.js"); new URL("no", base);
const root = new URL("..", import.meta.url), assets = new URL("./assets/", import.meta.url);
if (isNode) { const { createRequire } = await import("module"); }"#;
        let mut facts = Facts::default();
        let base = Url::parse("http://site.invalid/js/x.js").unwrap();
        let place = Place {
            file: "js/x.js",
            offset: 0,
            base: &base,
            page: None,
        };
        collect(text, &place, &mut facts);
        let found: Vec<(&str, Role)> = facts
            .references
            .iter()
            .map(|reference| (reference.text.as_str(), reference.role))
            .collect();
        assert_eq!(
            found,
            [
                ("./a.js", Role::Import),
                ("./b.js", Role::Import),
                ("./c.js", Role::Import),
                ("./d.js", Role::Import),
                ("./e.png", Role::Asset),
                ("f.js", Role::Script),
                ("/g.js", Role::Script),
            ]
        );
        for reference in &facts.references {
            assert!(text[reference.range.clone()].contains(&reference.text));
        }
    }
}
