//! Java's `.properties` files, in which `zoo.cfg` is written.

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// The line on which it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Every setting of a file, in its order. There is no text that is not such a file.
pub(crate) fn parse(text: &str) -> Vec<Property> {
    let mut properties = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(more.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        properties.push(Property { line: number + 1, key: unescape(key), value: unescape(value) });
    }
    properties
}

/// The text without the settings whose keys are to be dropped; everything else stays as it was
/// written.
pub(crate) fn without(text: &str, drops: impl Fn(&str) -> bool) -> String {
    let dropped = parse(text).into_iter().filter(|property| drops(property.key.trim()));
    let dropped: Vec<usize> = dropped.map(|property| property.line).collect();
    let mut kept = String::with_capacity(text.len());
    let (mut is_dropped, mut goes_on) = (false, false);
    for (number, line) in text.lines().enumerate() {
        if !goes_on {
            is_dropped = dropped.contains(&(number + 1));
        }
        let is_comment = !goes_on && line.trim_start_matches(BLANKS).starts_with(['#', '!']);
        goes_on = !is_comment && ends_in_continuation(line);
        if !is_dropped {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

/// Whether the line ends with a backslash that is not escaped itself.
fn ends_in_continuation(line: &str) -> bool {
    let slashes = line.chars().rev().take_while(|c| *c == '\\').count();
    slashes % 2 == 1
}

/// The key ends at the first `=`, `:` or blank that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || BLANKS.contains(&c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => {
                let hex: String = rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&hex, 16).ok();
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_java_reads_them() {
        let text =
            "# comment\n! another\n\n  a = 1\nb:2\nc  3\nd\\=e=f\\\n   g\nh=\\u0041\\tz\nlast";
        let read: Vec<_> = parse(text).into_iter().map(|p| (p.line, p.key, p.value)).collect();
        let expected = [
            (4, "a", "1"),
            (5, "b", "2"),
            (6, "c", "3"),
            (7, "d=e", "fg"),
            (9, "h", "A\tz"),
            (10, "last", ""),
        ];
        assert_eq!(read, expected.map(|(line, k, v)| (line, k.to_owned(), v.to_owned())));
    }
}
