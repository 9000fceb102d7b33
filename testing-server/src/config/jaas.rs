//! JAAS login files: who may come by SASL, as `java.security.auth.login.config` names them.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The module whose options `user_NAME="PASSWORD"` are logins.
const MODULE: &str = "org.apache.zookeeper.server.auth.DigestLoginModule";
/// What stands before a user's name.
const USER: &str = "user_";

/// The users in one section of a file, each with its password.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn users(text: &str, section: &str) -> Result<BTreeMap<String, String>, String> {
    let mut tokens = Tokens { rest: text.chars().peekable() };
    let mut found = None;
    while let Some(name) = tokens.next()? {
        let users = read_section(&mut tokens, name.word()?)?;
        found = found.or_else(|| (name.word().is_ok_and(|name| name == section)).then_some(users));
    }
    let modules = found.ok_or_else(|| format!("there is no section {section} in it"))?;
    let mut users = BTreeMap::new();
    for (module, options) in modules {
        if module != MODULE {
            return Err(format!("{section} names {module}; only {MODULE} is supported"));
        }
        let user =
            |(key, value): (String, String)| Some((key.strip_prefix(USER)?.to_owned(), value));
        users.extend(options.into_iter().filter_map(user));
    }
    if users.is_empty() {
        return Err(format!("{section} names no user; each is an option {USER}NAME=\"PASSWORD\""));
    }
    Ok(users)
}

/// A login module, and its options.
type Module = (String, Vec<(String, String)>);

/// `{ module flag key=value…; … };`
fn read_section(tokens: &mut Tokens<'_>, name: &str) -> Result<Vec<Module>, String> {
    let ended = || format!("section {name} does not end");
    tokens.expect('{', name)?;
    let mut modules = Vec::new();
    loop {
        let token = tokens.next()?.ok_or_else(ended)?;
        if token == Token::Symbol('}') {
            tokens.expect(';', name)?;
            return Ok(modules);
        }
        let module = token.word()?.to_owned();
        let flag = tokens.next()?.ok_or_else(ended)?;
        let flags = ["required", "requisite", "sufficient", "optional"];
        if !flags.iter().any(|known| flag.word().is_ok_and(|word| word.eq_ignore_ascii_case(known)))
        {
            return Err(format!("{module} must be followed by one of {}", flags.join(", ")));
        }
        let mut options = Vec::new();
        loop {
            match tokens.next()?.ok_or_else(ended)? {
                Token::Symbol(';') => break,
                key => {
                    let key = key.word()?.to_owned();
                    tokens.expect('=', &key)?;
                    let value = tokens.next()?.ok_or_else(ended)?;
                    options.push((key, value.word()?.to_owned()));
                }
            }
        }
        modules.push((module, options));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(char),
}

impl Token {
    fn word(&self) -> Result<&str, String> {
        match self {
            Self::Word(word) => Ok(word),
            Self::Symbol(symbol) => Err(format!("there is a {symbol} where a word must be")),
        }
    }
}

struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, String> {
        loop {
            match self.rest.next() {
                None => return Ok(None),
                Some(blank) if blank.is_whitespace() => {}
                Some('/') if self.rest.peek() == Some(&'/') => self.skip_line(),
                Some('/') if self.rest.peek() == Some(&'*') => self.skip_comment()?,
                Some(symbol @ ('{' | '}' | ';' | '=')) => return Ok(Some(Token::Symbol(symbol))),
                Some('"') => return self.quoted().map(Some),
                Some(first) => {
                    let mut word = String::from(first);
                    let ends = |c: &char| !c.is_whitespace() && !"{};=\"".contains(*c);
                    while let Some(c) = self.rest.next_if(ends) {
                        word.push(c);
                    }
                    return Ok(Some(Token::Word(word)));
                }
            }
        }
    }

    fn expect(&mut self, symbol: char, behind: &str) -> Result<(), String> {
        match self.next()? {
            Some(Token::Symbol(found)) if found == symbol => Ok(()),
            _ => Err(format!("{behind} must be followed by a {symbol}")),
        }
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        let mut before = ' ';
        self.rest.next();
        for c in self.rest.by_ref() {
            if before == '*' && c == '/' {
                return Ok(());
            }
            before = c;
        }
        Err("a comment does not end".to_owned())
    }

    fn quoted(&mut self) -> Result<Token, String> {
        let mut word = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' => return Ok(Token::Word(word)),
                '\\' => word.extend(self.rest.next()),
                _ => word.push(c),
            }
        }
        Err("a quoted value does not end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_section_are_found() {
        let text = r#"
            // who may come
            Client { org.example.Other optional a=b; };
            Server { /* two * of them */
                org.apache.zookeeper.server.auth.DigestLoginModule required
                    user_bob="sec\"ret; }" debug=true user_alice=simple ;
            };"#;
        let users = users(text, "Server").unwrap();
        let users: Vec<_> = users.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(users, [("alice", "simple"), ("bob", "sec\"ret; }")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let module = MODULE;
        for (text, said) in [
            (String::new(), "no section Server"),
            (format!("Client {{ {module} required user_a=b; }};"), "no section Server"),
            (format!("Server {{ {module} required debug=true; }};"), "names no user"),
            (format!("Server {{ {module} user_a=b; }};"), "must be followed by one of"),
            ("Server { com.sun.Krb5LoginModule required; };".to_owned(), "Krb5LoginModule"),
            (format!("Server {{ {module} required user_a=b"), "does not end"),
            (format!("Server {{ {module} required user_a; }};"), "followed by a ="),
            (format!("Server {{ {module} required user_a=\"b"), "does not end"),
            ("Server; /* ".to_owned(), "followed by a {"),
        ] {
            let error = users(&text, "Server").unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd_to_be_looked_at(text in "[a-z{};=\"/* \n]{0,60}") {
            let _ = users(&text, "Server");
        }
    }
}
