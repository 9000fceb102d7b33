//! The house rules that a machine can check, checked: see ARCHITECTURE.md for what they are for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every folder with Rust of our own.
const FOLDERS: [&str; 8] = [
    "src",
    "recipes/src",
    "testing-server/src",
    "testing-server/macros/src",
    "testing-server/fuzz/targets",
    "testing-server/tests",
    "examples",
    "tests",
];

/// The folders of crates that are published.
const PUBLISHED: [&str; 4] =
    ["src/", "recipes/src/", "testing-server/src/", "testing-server/macros/src/"];

/// Rooms in which nothing waits, reads a clock, or touches a socket or a file.
const PURE: [&str; 33] = [
    "src/sasl/",
    "src/session/",
    "src/proto/",
    "src/hosts/",
    "testing-server/src/node/",
    "testing-server/src/tree/",
    "testing-server/src/pipeline/",
    "testing-server/src/session/",
    "testing-server/src/auth/",
    "testing-server/src/log/",
    "testing-server/src/admin/",
    "testing-server/src/disk_model/",
    "testing-server/src/election/",
    "testing-server/src/zab/",
    "testing-server/src/quorum/",
    "testing-server/src/peer/",
    "recipes/src/sequence.rs",
    "recipes/src/layout.rs",
    "recipes/src/cache/mirror",
    "recipes/src/member/roll.rs",
    "recipes/src/partition/division.rs",
    "recipes/src/partition/ledger.rs",
    "recipes/src/queue/names.rs",
    "recipes/src/queue/payload.rs",
    "recipes/src/queue/shards.rs",
    "recipes/src/configuration/book.rs",
    "recipes/src/configuration/eye.rs",
    "recipes/src/configuration/format.rs",
    "recipes/src/configuration/settings.rs",
    "recipes/src/transaction/decision.rs",
    "recipes/src/transaction/limits.rs",
    "recipes/src/transaction/record.rs",
    "recipes/src/transaction/rules.rs",
];

/// What gives an impure room away.
const IMPURE: [&str; 6] =
    ["tokio::", "Instant", "SystemTime", "std::fs", "std::net::Tcp", ".await"];

/// What the product owner wants to be used, and how that shows.
const OWNERS_DEPENDENCIES: [(&str, &[&str]); 7] = [
    ("tokio", &["tokio::"]),
    ("bytes", &["bytes::"]),
    ("futures", &["futures::"]),
    ("backoff", &["backoff::"]),
    ("tracing", &["tracing::"]),
    ("thiserror", &["thiserror::"]),
    ("async-stream", &["async_stream::"]),
];

/// Where every public function says how it fails and what becomes of it when it is dropped, and
/// every public item is shown in an example.
const DOCUMENTED: [&str; 2] = ["src/", "recipes/src/"];

/// What of that needs no example, and why.
const UNSHOWN: [(&str, &str); 4] = [
    ("src/proto/", "mirrors the wire, for tools; what programs use is shown at the client"),
    ("src/session/", "hidden: the state machine behind the client"),
    ("src/sasl/challenge.rs", "hidden: for the server in testing-server"),
    ("src/sasl/digest.rs", "hidden: for the server in testing-server"),
];

const FILE_LINES_MAX: usize = 700;
/// A test may be longer: it has no reader who looks for one thing in it.
const TEST_FILE_LINES_MAX: usize = 900;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// How many crates the client may link with default features, itself not counted.
const CRATES_MAX: usize = 30;

/// A file of ours.
struct Source {
    /// From the root of the workspace.
    name: String,
    text: String,
    /// The same lines without what stands in comments and literals.
    code: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.name.starts_with("tests/")
            || self.name.ends_with("/tests.rs")
            || self.name.ends_with("_tests.rs")
            || self.name.contains("/tests/")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.name.starts_with(folder))
    }

    /// The lines of code, numbered from 1, with those of its tests left out.
    fn code_outside_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.lines().enumerate();
        lines
            .take_while(|(_, line)| !self.is_test() && line.trim() != "#[cfg(test)]")
            .map(|(i, line)| (i + 1, line))
    }
}

/// A public item and its documentation.
struct Item {
    line: usize,
    /// What stands before its name, as `pub async fn`.
    keyword: String,
    name: String,
    /// The code up to its body.
    signature: String,
    docs: String,
}

impl Item {
    /// Whether its docs have a section of this name.
    fn has_section(&self, name: &str) -> bool {
        self.docs.lines().any(|line| line.trim() == format!("/// # {name}"))
    }

    fn is_function(&self) -> bool {
        self.keyword.ends_with(" fn")
    }
}

/// The public types, traits and functions of a file.
fn public_items(source: &Source) -> Vec<Item> {
    let code: Vec<&str> = source.code_outside_tests().map(|(_, line)| line).collect();
    let text: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in code.iter().enumerate() {
        let Some((keyword, name)) = public_name(line) else { continue };
        let above = text[..at].iter().rev().map(|line| line.trim_start());
        let mut docs: Vec<&str> =
            above.take_while(|line| line.starts_with("///") || line.starts_with('#')).collect();
        docs.reverse();
        let rest = code[at..].join("\n");
        let signature = rest.split(['{', ';']).next().unwrap_or_default().to_owned();
        found.push(Item { line: at + 1, keyword, name, signature, docs: docs.join("\n") });
    }
    found
}

/// What kind of item a line declares for everybody, and its name.
fn public_name(line: &str) -> Option<(String, String)> {
    const KINDS: [&str; 5] = ["struct", "enum", "trait", "type", "fn"];

    let words: Vec<&str> = line.split_whitespace().take(5).collect();
    let kind = words.iter().position(|word| KINDS.contains(word))?;
    let modifiers = &words[..kind];
    let is_public = modifiers.first() == Some(&"pub")
        && modifiers[1..].iter().all(|word| ["async", "const"].contains(word));
    let name = words.get(kind + 1).filter(|_| is_public)?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    Some((words[..=kind].join(" "), name[..end].to_owned()))
}

/// The code of the examples in docs, without its own comments and literals.
fn examples(docs: &str) -> String {
    let mut shown = String::new();
    // What the fence says that was opened.
    let mut fence: Option<&str> = None;
    for line in docs.lines().map(str::trim_start) {
        let Some(line) = line.strip_prefix("///") else { continue };
        fence = match (line.trim_start().strip_prefix("```"), fence) {
            (Some(opened), None) => Some(opened),
            (Some(_), Some(_)) => None,
            (None, fence) => {
                if fence.is_some_and(|what| what != "text") {
                    shown.push_str(line);
                    shown.push('\n');
                }
                fence
            }
        };
    }
    code_only(&shown)
}

/// What was found wrong, told all at once.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, source: &Source, line: usize, what: &str) {
        self.0.push(format!("{}:{line}: {what}", source.name));
    }

    #[track_caller]
    fn assert_none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ has a parent").to_owned()
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root().join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 30, "only {} files were found", files.len());
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(root()).expect("it is below the root");
            let name = name.to_str().expect("names are UTF-8").to_owned();
            let text = fs::read_to_string(&file).expect("sources are UTF-8");
            let code = code_only(&text);
            Source { name, text, code }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Blanks what stands in comments and in literals; the lines stay where they are.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (len, kept) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (block_comment_len(rest), false),
            '"' => (string_len(rest), false),
            'r' if starts_raw_string(rest, &code) => (raw_string_len(rest), false),
            '\'' => match char_len(rest) {
                Some(len) => (len, false),
                None => (1, true),
            },
            _ => (first.len_utf8(), true),
        };
        let (taken, after) = rest.split_at(len);
        if kept {
            code.push_str(taken);
        } else {
            code.extend(taken.chars().filter(|c| *c == '\n'));
            code.push(' ');
        }
        rest = after;
    }
    code
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn starts_raw_string(text: &str, before: &str) -> bool {
    // An identifier may end with r; what makes a string raw stands alone, or after b.
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = before.strip_suffix('b').unwrap_or(before).chars();
    let after = text[1..].trim_start_matches('#');
    !before.next_back().is_some_and(word) && after.starts_with('"')
}

fn raw_string_len(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = 1 + hashes + 1;
    text[start..].find(&end).map_or(text.len(), |at| start + at + end.len())
}

/// The length of a character literal; `None` for a lifetime.
fn char_len(text: &str) -> Option<usize> {
    let body = &text[1..];
    if body.starts_with('\\') {
        return body[2..].find('\'').map(|at| 1 + 2 + at + 1);
    }
    let c = body.chars().next()?;
    body[c.len_utf8()..].starts_with('\'').then(|| 1 + c.len_utf8() + 1)
}

/// Each function of a file: the line on which it starts, and how many lines it has.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if !is_function(line) {
            continue;
        }
        let mut depth = 0;
        let mut opened = false;
        for (end, line) in lines.iter().enumerate().skip(start) {
            for c in line.chars() {
                depth += i32::from(c == '{') - i32::from(c == '}');
                opened |= c == '{';
            }
            if (opened && depth == 0) || (!opened && line.trim_end().ends_with(';')) {
                found.push((start + 1, end - start + 1));
                break;
            }
        }
    }
    found
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let before = words.by_ref().take_while(|word| *word != "fn");
    let modifiers = ["async", "const", "unsafe", "extern"];
    let plain = before
        .collect::<Vec<_>>()
        .iter()
        .all(|word| word.starts_with("pub") || word.ends_with(')') || modifiers.contains(word));
    plain && line.split_whitespace().any(|word| word == "fn")
}

/// Whether `needle` stands in `line` and is not the middle of a longer name.
fn has_word(line: &str, needle: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let inside = needle.ends_with(word);
    line.match_indices(needle).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(word);
        let after = line[at + needle.len()..].chars().next().is_some_and(word);
        !(needle.starts_with(word) && before || inside && after)
    })
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = Faults::default();
    for source in sources() {
        if !source.text.starts_with("//!") {
            faults.add(&source, 1, "does not start with //!");
        }
    }
    faults.assert_none();
}

#[test]
fn files_and_lines_and_functions_are_short() {
    let mut faults = Faults::default();
    for source in sources() {
        let limit = if source.is_test() { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
        let lines = source.text.lines().count();
        if lines > limit {
            faults.add(&source, lines, &format!("is longer than {limit} lines"));
        }
        for (i, line) in source.text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                faults.add(&source, i + 1, &format!("is wider than {COLUMNS_MAX}"));
            }
        }
        let code: Vec<&str> = source.code_outside_tests().map(|(_, line)| line).collect();
        for (line, len) in functions(&code.join("\n")) {
            if len > FUNCTION_LINES_MAX {
                let what = format!("is a function of {len} lines");
                faults.add(&source, line, &what);
            }
        }
    }
    faults.assert_none();
}

#[test]
fn nothing_is_left_undone() {
    let mut faults = Faults::default();
    for source in sources() {
        for (i, line) in source.code.lines().enumerate() {
            for undone in ["todo!(", "unimplemented!(", "#[ignore", "dbg!("] {
                if line.contains(undone) {
                    faults.add(&source, i + 1, undone);
                }
            }
        }
    }
    faults.assert_none();
}

#[test]
fn published_crates_do_not_unwrap() {
    let mut faults = Faults::default();
    for source in sources() {
        if !source.is_in(&PUBLISHED) {
            continue;
        }
        for (line, code) in source.code_outside_tests() {
            if code.contains(".unwrap()") {
                faults.add(&source, line, "unwraps; expect(\"why\") or return an error");
            }
        }
    }
    faults.assert_none();
}

#[test]
fn pure_rooms_are_pure() {
    let mut faults = Faults::default();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let Some(room) = PURE.iter().find(|room| source.is_in(&[**room])) else {
            continue;
        };
        seen.insert(*room);
        for (i, line) in source.code.lines().enumerate() {
            for impure in IMPURE {
                if has_word(line, impure) {
                    faults.add(&source, i + 1, &format!("{impure} in a pure room"));
                }
            }
        }
    }
    for room in PURE {
        if !seen.contains(&room) {
            faults.0.push(format!("{room} is not there"));
        }
    }
    faults.assert_none();
}

#[test]
fn tests_do_not_sleep() {
    let mut faults = Faults::default();
    for source in sources() {
        let outside = source.code_outside_tests().count();
        let code = source.code.lines().zip(source.text.lines()).enumerate();
        for (i, (code, text)) in code.skip(outside) {
            let reason = text.contains("// ");
            if has_word(code, "sleep(") && !reason {
                faults.add(&source, i + 1, "sleeps, and does not say why it may");
            }
        }
    }
    faults.assert_none();
}

/// A type has an example of its own; a function is called in that or another of the same file, as
/// several short ones are shown together.
#[test]
fn every_public_item_is_shown_in_an_example() {
    let mut faults = Faults::default();
    let mut passed_over = BTreeSet::new();
    let mut seen = 0;
    for source in sources() {
        if !source.is_in(&DOCUMENTED) {
            continue;
        }
        if let Some(place) = UNSHOWN.iter().find(|(place, _)| source.is_in(&[place])) {
            passed_over.insert(place);
            continue;
        }
        let shown_nearby = examples(&source.text);
        for item in public_items(&source) {
            let is_shown = match item.is_function() {
                true => has_word(&shown_nearby, &item.name),
                false => !examples(&item.docs).is_empty(),
            };
            if !is_shown {
                faults.add(&source, item.line, &format!("no example shows {}", item.name));
            }
            seen += 1;
        }
    }
    assert!(seen > 300, "only {seen} items were found");
    assert_eq!(passed_over.len(), UNSHOWN.len(), "of UNSHOWN only {passed_over:?} are there");
    faults.assert_none();
}

#[test]
fn public_functions_say_how_they_fail_and_what_a_drop_does() {
    let mut faults = Faults::default();
    for source in sources() {
        if !source.is_in(&DOCUMENTED) {
            continue;
        }
        for item in public_items(&source).iter().filter(|item| item.is_function()) {
            let (_, returned) = item.signature.split_once("->").unwrap_or_default();
            let fails = has_word(returned, "Result") || has_word(returned, "Reply");
            if fails && !item.has_section("Errors") {
                faults.add(&source, item.line, &format!("{} has no # Errors", item.name));
            }
            let waits = item.keyword.contains("async") || has_word(returned, "Future");
            if waits && !item.has_section("Cancel safety") {
                let what = format!("{} has no # Cancel safety", item.name);
                faults.add(&source, item.line, &what);
            }
        }
    }
    faults.assert_none();
}

#[test]
fn the_owners_dependencies_are_used() {
    let code: String = sources()
        .iter()
        .filter(|source| source.is_in(&["src/"]))
        .map(|source| &source.code[..])
        .collect();
    for (dependency, signs) in OWNERS_DEPENDENCIES {
        let used = signs.iter().any(|sign| has_word(&code, sign));
        assert!(used, "{dependency} is not used by name in src/");
    }
}

#[test]
fn the_client_links_few_crates() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "znode", "--edges"])
        .args(["normal,no-proc-macro", "--prefix", "none", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let crates: BTreeSet<String> = listed
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .filter(|name| !name.is_empty() && !name.starts_with("znode "))
        .collect();
    assert!(!crates.is_empty(), "cargo tree has listed nothing");
    assert!(crates.len() <= CRATES_MAX, "{}: {crates:?}", crates.len());
}

#[test]
fn the_version_of_every_published_crate_is_told() {
    for file in ["CHANGELOG.md", "README.md"] {
        let told = fs::read_to_string(root().join(file)).expect("the file is there");
        for name in ["znode", "znode-recipes", "znode-testing", "znode-testing-macros"] {
            let wanted = format!("`{name}` {}", env!("CARGO_PKG_VERSION"));
            assert!(told.contains(&wanted), "{file} does not mention {wanted}");
        }
    }
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text = r##"
let a = "// no {"; // yes { "
/* { /* { */ { */ let b = '{'; let c: &'static str = r#"{ " {"#;
let d = b'\''; let e = "\"{"; let var"##;
    let code = code_only(text);
    assert_eq!(code.matches('{').count(), 0, "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    for kept in ["let a =", "let b =", "let c: &'static str", "let e", "let var"] {
        assert!(code.contains(kept), "{kept}: {code}");
    }
    let code = "fn a() {\n}\n    pub(crate) async fn b(\n) {\n {\n }\n}\ntype F = fn();\n";
    assert_eq!(functions(code), [(1, 2), (3, 5)]);
    assert!(has_word("let x = Instant::now()", "Instant"));
    assert!(!has_word("let x = InstantNoodles", "Instant"));
    assert!(!has_word("my_tokio::x", "tokio::"));
}

#[test]
fn examples_are_told_from_other_docs() {
    let text = "/// What it is.\n///\n/// ```text\n/// drawn\n/// ```\n///\n/// ```no_run\n\
         /// shown(\"told\"); // said\n/// ```\n#[derive(Debug)]\npub struct Thing<T>(T);\n\n\
         impl<T> Thing<T> {\n    /// Works.\n    ///\n    /// # Errors\n    /// Always.\n\
         \x20   pub const async fn work(\n    ) -> Result<(), T> {\n    }\n\n\
         \x20   pub(crate) fn hidden() {}\n}\n\n#[cfg(test)]\npub struct Untold;\n";
    let source = Source { name: "a.rs".into(), code: code_only(text), text: text.into() };
    let [thing, work] = &public_items(&source)[..] else { panic!("two items are public") };
    assert_eq!((thing.line, &thing.name[..], &work.name[..]), (11, "Thing", "work"));
    assert_eq!(examples(&thing.docs).trim(), "shown( );");
    assert!(!thing.is_function() && work.is_function() && work.keyword.contains("async"));
    assert!(work.has_section("Errors") && !work.has_section("Cancel safety"));
    assert!(has_word(&work.signature, "Result") && examples(&work.docs).is_empty());
}

/// The README proves its table by tests; each of them must be there.
#[test]
fn what_the_guides_point_at_exists() {
    let root = root();
    for guide in ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root.join(guide)).expect("the guide is there");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            assert!(root.join(target).exists(), "{guide} points at {target}");
        }
    }
}
