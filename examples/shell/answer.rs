//! What a command has to say, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};
use znode::Stat;

/// What a command has to say.
pub(crate) enum Answer {
    /// For people, and for programs.
    Told(String, Value),
    Quit,
}

impl Answer {
    pub(crate) fn print(&self, as_json: bool) {
        match self {
            Self::Told(_, value) if as_json => println!("{value}"),
            Self::Told(text, _) if !text.is_empty() => println!("{}", text.trim()),
            _ => {}
        }
    }

    pub(crate) fn done() -> Self {
        Self::Told(String::new(), json!({}))
    }

    pub(crate) fn text(text: impl Into<String>, key: &str) -> Self {
        let text = text.into();
        let value = json!({ key: &text });
        Self::Told(text, value)
    }

    pub(crate) fn names(mut names: Vec<String>) -> Self {
        names.sort_unstable();
        Self::Told(format!("[{}]", names.join(", ")), json!({ "names": names }))
    }

    /// With the metadata, if that was asked for.
    pub(crate) fn with(mut self, stat: Option<&Stat>) -> Self {
        if let (Self::Told(text, value), Some(stat)) = (&mut self, stat) {
            for (key, figure) in figures(stat) {
                _ = write!(text, "\n{key} = {}", figure.as_str().unwrap_or(&figure.to_string()));
                value[key] = figure;
            }
        }
        self
    }
}

fn figures(stat: &Stat) -> [(&'static str, Value); 11] {
    let hex = |zxid: i64| json!(format!("{zxid:#x}"));
    [
        ("cZxid", hex(stat.czxid.0)),
        ("ctime", json!(stat.ctime)),
        ("mZxid", hex(stat.mzxid.0)),
        ("mtime", json!(stat.mtime)),
        ("pZxid", hex(stat.pzxid.0)),
        ("cversion", json!(stat.cversion)),
        ("dataVersion", json!(stat.version.0)),
        ("aclVersion", json!(stat.aversion.0)),
        ("ephemeralOwner", hex(stat.ephemeral_owner.0)),
        ("dataLength", json!(stat.data_length)),
        ("numChildren", json!(stat.num_children)),
    ]
}
