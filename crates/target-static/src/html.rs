//! Pages as tokens that know their place in the text (WHATWG HTML, section 13.2.5). No tree is
//! built: what is done to pages here can be told from the tokens.

use std::ops::Range;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, State, Tokenizer, naive_next_state};

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Start(Tag),
    End {
        name: String,
        range: Range<usize>,
    },
    /// Text, or the content of a script, a style sheet, a title, ..
    Text {
        range: Range<usize>,
    },
    Comment {
        range: Range<usize>,
    },
    Doctype {
        range: Range<usize>,
    },
    Problem {
        error: html5gum::Error,
        at: usize,
    },
}

impl Token {
    /// Where it ends, unless it is no piece of the text.
    fn end(&self) -> Option<usize> {
        match self {
            Self::Start(tag) => Some(tag.range.end),
            Self::End { range, .. }
            | Self::Text { range }
            | Self::Comment { range }
            | Self::Doctype { range } => Some(range.end),
            Self::Problem { .. } => None,
        }
    }
}

/// A start tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) self_closing: bool,
    /// It is in an SVG image or a formula.
    pub(crate) is_foreign: bool,
    pub(crate) range: Range<usize>,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// In lower case.
    pub(crate) name: String,
    /// Character references replaced.
    pub(crate) value: String,
    pub(crate) name_range: Range<usize>,
    /// The value as it is written, without quotes; none when it is empty.
    pub(crate) value_range: Option<Range<usize>>,
}

impl Tag {
    /// The value of an attribute; of the first, when it is there twice.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Its value, empty when it is not there.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.attribute(name)
            .map_or("", |attribute| attribute.value.as_str())
    }
}

impl Attribute {
    /// Where its value is, or its name when it has none.
    pub(crate) fn range(&self) -> Range<usize> {
        self.value_range
            .clone()
            .unwrap_or_else(|| self.name_range.clone())
    }
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Html,
    /// Foreign from the beginning: an SVG file, a sitemap.
    Xml,
}

/// The tokens of a text.
pub(crate) fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    let mut open: Option<Tag> = None;
    let emitter = CallbackEmitter::new(
        move |event: CallbackEvent<'_>, span: Span<usize>| -> Option<Token> {
            on_event(&mut open, &event, span.start..span.end)
        },
    );
    let mut tokenizer = Tokenizer::new_with_emitter(text, emitter);
    let mut tokens = Vec::new();
    let mut foreign: Vec<String> = Vec::new();
    let mut end = 0;
    while let Some(Ok(mut token)) = tokenizer.next() {
        // A text after a change of state is said to begin with the tag before it.
        if let Token::Text { range } = &mut token {
            range.start = range.start.max(end);
        }
        end = token.end().unwrap_or(end);
        match &mut token {
            Token::Start(tag) => {
                let opens = matches!(tag.name.as_str(), "svg" | "math");
                tag.is_foreign = dialect == Dialect::Xml || !foreign.is_empty() || opens;
                // Inside of these, HTML goes on.
                let returns = matches!(tag.name.as_str(), "foreignobject" | "desc");
                if (opens || (returns && !foreign.is_empty())) && !tag.self_closing {
                    foreign.push(tag.name.clone());
                }
                let in_html = foreign
                    .last()
                    .is_none_or(|name| matches!(name.as_str(), "foreignobject" | "desc"));
                if dialect == Dialect::Html && in_html && !opens {
                    tag.is_foreign = false;
                    if let Some(state) = next_state(&tag.name) {
                        tokenizer.set_state(state);
                    }
                }
            }
            Token::End { name, .. } => {
                if let Some(position) = foreign.iter().rposition(|open| open == name) {
                    foreign.truncate(position);
                }
            }
            _ => {}
        }
        tokens.push(token);
    }
    tokens
}

/// `noscript` is read as what a browser without scripts sees, so that links in it are seen.
fn next_state(name: &str) -> Option<State> {
    match name {
        "noscript" => None,
        "noframes" => Some(State::RawText),
        _ => naive_next_state(name.as_bytes()),
    }
}

fn on_event(
    open: &mut Option<Tag>,
    event: &CallbackEvent<'_>,
    range: Range<usize>,
) -> Option<Token> {
    match event {
        CallbackEvent::OpenStartTag { name } => {
            *open = Some(Tag {
                name: lower(name),
                range,
                ..Tag::default()
            });
            None
        }
        CallbackEvent::AttributeName { name } => {
            if let Some(tag) = open {
                tag.attributes.push(Attribute {
                    name: lower(name),
                    name_range: range,
                    ..Attribute::default()
                });
            }
            None
        }
        CallbackEvent::AttributeValue { value } => {
            if let Some(attribute) = open.as_mut().and_then(|tag| tag.attributes.last_mut()) {
                attribute.value = String::from_utf8_lossy(value).into_owned();
                attribute.value_range = Some(range);
            }
            None
        }
        CallbackEvent::CloseStartTag { self_closing } => {
            let mut tag = open.take()?;
            tag.self_closing = *self_closing;
            tag.range.end = range.end;
            Some(Token::Start(tag))
        }
        CallbackEvent::EndTag { name } => {
            *open = None;
            Some(Token::End {
                name: lower(name),
                range,
            })
        }
        CallbackEvent::String { .. } => Some(Token::Text { range }),
        CallbackEvent::Comment { .. } => Some(Token::Comment { range }),
        CallbackEvent::Doctype { .. } => Some(Token::Doctype { range }),
        CallbackEvent::Error(error) => Some(Token::Problem {
            error: *error,
            at: range.start,
        }),
    }
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of each token, joined by `|`.
    fn pieces(text: &str) -> String {
        let pieces = tokens(text, Dialect::Html).into_iter().filter_map(|token| {
            let range = match token {
                Token::Start(tag) => tag.range,
                Token::End { range, .. }
                | Token::Text { range }
                | Token::Comment { range }
                | Token::Doctype { range } => range,
                Token::Problem { .. } => return None,
            };
            text.get(range)
        });
        pieces.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn tokens_cover_the_text() {
        for (text, expected) in [
            (
                "<!doctype html><p id=a>T&lt;x</p>",
                "<!doctype html>|<p id=a>|T&lt;x|</p>",
            ),
            ("<script>a<b</script >x", "<script>|a<b|</script >|x"),
            (
                "<svg><style/><path/></svg><b>é</b>",
                "<svg>|<style/>|<path/>|</svg>|<b>|é|</b>",
            ),
            (
                "<noscript><img src=a></noscript>",
                "<noscript>|<img src=a>|</noscript>",
            ),
            ("a<!-- c -->b<br/>", "a|<!-- c -->|b|<br/>"),
            ("<title>a<b></title>", "<title>|a<b>|</title>"),
            (
                "<svg><title>a</title><foreignObject><script>a<b</script></foreignObject></svg>",
                "<svg>|<title>|a|</title>|<foreignObject>|<script>|a<b|</script>|</foreignObject>|</svg>",
            ),
        ] {
            assert_eq!(pieces(text), expected);
        }
    }

    #[test]
    fn attributes_know_their_place() {
        let text = "<a HREF='x&amp;y' title='' hidden id=z>";
        let tokens = tokens(text, Dialect::Html);
        let Some(Token::Start(tag)) = tokens.first() else {
            panic!("no start tag: {tokens:?}");
        };
        let attributes: Vec<_> = tag
            .attributes
            .iter()
            .map(|a| (a.name.as_str(), a.value.as_str(), &text[a.range()]))
            .collect();
        let expected = [
            ("href", "x&y", "x&amp;y"),
            ("title", "", "title"),
            ("hidden", "", "hidden"),
            ("id", "z", "z"),
        ];
        assert_eq!(attributes, expected);
    }
}
