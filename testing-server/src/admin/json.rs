//! JSON as Apache's admin server prints it: in its order, with its blanks.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// A number, as it is to be printed.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Map(Map),
}

/// Names and values, in the order in which they are printed.
pub(crate) type Map = Vec<(String, Json)>;

impl Json {
    /// A number that is whole.
    #[expect(clippy::needless_pass_by_value, reason = "numbers are as cheap as references")]
    pub(crate) fn whole(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The value as text. Maps are indented by two blanks for each map that they are in; lists
    /// stand in their line.
    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        self.put(0, &mut text);
        text
    }

    fn put(&self, depth: usize, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Flag(flag) => text.push_str(if *flag { "true" } else { "false" }),
            Self::Number(number) => text.push_str(number),
            Self::Text(value) => put_quoted(value, text),
            Self::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at == 0 { " " } else { ", " });
                    item.put(depth, text);
                }
                text.push_str(" ]");
            }
            Self::Map(entries) if entries.is_empty() => text.push_str("{ }"),
            Self::Map(entries) => {
                text.push('{');
                for (at, (name, value)) in entries.iter().enumerate() {
                    text.push_str(if at == 0 { "\n" } else { ",\n" });
                    indent(depth + 1, text);
                    put_quoted(name, text);
                    text.push_str(" : ");
                    value.put(depth + 1, text);
                }
                text.push('\n');
                indent(depth, text);
                text.push('}');
            }
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn put_quoted(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0'..' ' => _ = write!(text, "\\u{:04X}", u32::from(c)),
            _ => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_as_jackson_prints_them() {
        let inner = vec![("a".to_owned(), Json::whole(1)), ("b".to_owned(), Json::Null)];
        let value = Json::Map(vec![
            ("list".to_owned(), Json::List(vec![Json::Map(inner.clone()), Json::Map(inner)])),
            ("empty".to_owned(), Json::List(Vec::new())),
            ("none".to_owned(), Json::Map(Vec::new())),
            ("texts".to_owned(), Json::List(vec![Json::text("x"), Json::text("y")])),
            ("odd\"".to_owned(), Json::text("\\\n\u{1f}\u{e9}")),
            ("flag".to_owned(), Json::Flag(false)),
        ]);
        let expected = r#"{
  "list" : [ {
    "a" : 1,
    "b" : null
  }, {
    "a" : 1,
    "b" : null
  } ],
  "empty" : [ ],
  "none" : { },
  "texts" : [ "x", "y" ],
  "odd\"" : "\\\n\u001Fé",
  "flag" : false
}"#;
        assert_eq!(value.print(), expected);
    }
}
