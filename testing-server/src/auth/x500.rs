//! Distinguished names, as `X500Principal.getName()` of Java prints them and its constructor reads
//! them: RFC 2253, in Java's own way.

use std::fmt::Write as _;

use super::der::{Element, OBJECT_ID, SEQUENCE, SET};

/// The types that RFC 2253 has words for.
const PRINTED: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Words that Java reads beside those.
const READ: [&str; 11] = [
    "S",
    "T",
    "IP",
    "DNQ",
    "DNQUALIFIER",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAILADDRESS",
    "SERIALNUMBER",
];

/// The kinds of strings whose bytes are printed as UTF-8, whatever they are.
const STRINGS: [u8; 6] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1e];

/// Prints a name, its last part first; `None` if it is none.
pub(crate) fn print(name: &Element<'_>) -> Option<String> {
    let mut parts = Vec::new();
    for part in name.children_of(SEQUENCE)?.iter().rev() {
        let values: Option<Vec<String>> = part.children_of(SET)?.iter().map(print_value).collect();
        parts.push(values?.join("+"));
    }
    Some(parts.join(","))
}

fn print_value(value: &Element<'_>) -> Option<String> {
    let parts = value.children_of(SEQUENCE)?;
    let [object_id, value] = &parts[..] else { return None };
    let object_id = print_object_id(object_id)?;
    let word = PRINTED.iter().find(|(id, _)| **id == object_id).map(|(_, word)| *word);
    Some(match word {
        Some(word) if STRINGS.contains(&value.tag) => {
            format!("{word}={}", escaped(&String::from_utf8_lossy(value.content)))
        }
        word => {
            let mut text = format!("{}=#", word.unwrap_or(&object_id));
            for byte in value.whole {
                _ = write!(text, "{byte:02x}");
            }
            text
        }
    })
}

fn print_object_id(element: &Element<'_>) -> Option<String> {
    let (first, rest) = element.content.split_first()?;
    if element.tag != OBJECT_ID || element.content.last()? & 0x80 != 0 {
        return None;
    }
    let top = (first / 40).min(2);
    let mut text = format!("{top}.{}", first - 40 * top);
    let mut number = 0_u64;
    for byte in rest {
        number = number.checked_mul(128)? | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            _ = write!(text, ".{number}");
            number = 0;
        }
    }
    Some(text)
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\0' => text.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    let blank = [' ', '\r'];
    let lead = text.len() - text.trim_start_matches(blank).len();
    let trail = text.trim_end_matches(blank).len();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if at < lead || at >= trail {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether Java reads a text as a name.
pub(crate) fn is_valid(name: &str) -> bool {
    name.is_empty() || Scanner { rest: name }.is_name()
}

/// What is left of a name that is being read.
struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn is_name(&mut self) -> bool {
        loop {
            if !self.word() || !self.value() {
                return false;
            }
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                None => return true,
                Some(',' | ';' | '+') => self.rest = &self.rest[1..],
                Some(_) => return false,
            }
        }
    }

    /// What kind of value follows.
    fn word(&mut self) -> bool {
        let Some((word, rest)) = self.rest.split_once('=') else { return false };
        self.rest = rest.trim_start_matches([' ', '\n']);
        let word = word.trim().to_ascii_uppercase();
        let known = PRINTED.iter().any(|(_, printed)| *printed == word);
        known || READ.contains(&&*word) || is_object_id(word.strip_prefix("OID.").unwrap_or(&word))
    }

    fn value(&mut self) -> bool {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return self.quoted(quoted);
        }
        if let Some(hex) = self.rest.strip_prefix('#') {
            let end = hex.find([',', ';', '+', ' ']).unwrap_or(hex.len());
            self.rest = &hex[end..];
            return is_der(&hex[..end]);
        }
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                ',' | ';' | '+' => {
                    self.rest = &self.rest[at..];
                    return true;
                }
                '<' | '>' | '"' => return false,
                '\\' => match chars.next() {
                    Some((_, c)) if c.is_ascii_hexdigit() => {
                        if !chars.next().is_some_and(|(_, c)| c.is_ascii_hexdigit()) {
                            return false;
                        }
                    }
                    Some((_, ' ' | ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\')) => {}
                    _ => return false,
                },
                _ => {}
            }
        }
        self.rest = "";
        true
    }

    fn quoted(&mut self, text: &str) -> bool {
        let mut escaped = false;
        let end = text.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return false };
        let start = self.rest.len() - text.len();
        self.rest = &self.rest[start + end + 1..];
        true
    }
}

fn is_object_id(text: &str) -> bool {
    let mut numbers = text.split('.');
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let (Some(top), Some(second)) =
        (numbers.next().and_then(number), numbers.next().and_then(number))
    else {
        return false;
    };
    top <= 2 && (top == 2 || second < 40) && numbers.all(|text| number(text).is_some())
}

/// Whether a text is one DER element in hexadecimal digits.
fn is_der(hex: &str) -> bool {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let Some(digits) = digits.filter(|digits| digits.len() % 2 == 0) else { return false };
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Element::read(&bytes).is_some_and(|(_, behind)| behind.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// Pairs of a name in DER, and of what `X500Principal.getName()` of OpenJDK 17 prints.
    #[test]
    fn names_are_printed_as_java_prints_them() {
        let sd = "0c0173";
        for (der, printed) in [
            (
                "3035310b300906035504061302444531143012060355040a0c0b7a6e6f646520746573747331\
                 10300e06035504030c0762696c6c696e67",
                "CN=billing,O=znode tests,C=DE",
            ),
            (
                "302e310b300906035504040c02736e310b3009060355040513023432311230\
                 1006092a864886f70d0109011603614062",
                "1.2.840.113549.1.9.1=#1603614062,2.5.4.5=#13023432,2.5.4.4=#0c02736e",
            ),
            ("30163114300806035504030c01613008060355040b0c0162", "CN=a+OU=b"),
            (
                "3021311f301d06035504030c162023612c623d632b643c653e663b6722685c69232020",
                r#"CN=\ \#a\,b\=c\+d\<e\>f\;g\"h\\i\#\ \ "#,
            ),
            ("300d310b300906035504030c022020", r"CN=\ \ "),
            ("301a3118301606035504030c0f4ac3bc7267656e20cf8020f09f9880", "CN=Jürgen π 😀"),
            ("300d310b3009060355040314024afc", "CN=J\u{fffd}"),
            ("300f310d300b06035504031e0400610062", r"CN=\00a\00b"),
            ("300f310d300b06035504031c0400000061", "CN=#1c0400000061"),
            ("300f310d300b06035504030c040d61620d", "CN=\\\rab\\\r"),
            ("30123110300e06035504030c076100620d0a097f", "CN=a\\00b\r\n\t\u{7f}"),
            ("300b3109300706035504030c00", "CN="),
            ("300c310a30080603550403020105", "CN=#020105"),
            ("3000", ""),
        ] {
            let der = bytes(&der.replace(' ', ""));
            let (name, _) = Element::read(&der).unwrap();
            assert_eq!(print(&name).as_deref(), Some(printed));
        }
        let dc = format!("3013311130 0f060a0992268993f22c640119{sd}").replace(' ', "");
        assert_eq!(print(&Element::read(&bytes(&dc)).unwrap().0).unwrap(), "DC=s");
    }

    /// What the constructor of OpenJDK 17 takes, and what it refuses.
    #[test]
    fn names_are_read_as_java_reads_them() {
        for name in [
            "",
            "CN=a",
            "cn=a",
            "CN=a,O=b",
            "CN=a;O=b",
            "CN=a+O=b",
            "1.2.3=a",
            "OID.1.2.3=a",
            "1.2.3=#0c0161",
            "EMAILADDRESS=a",
            "CN=",
            r#"CN="a,b""#,
            r"CN=a\,b",
            " CN = a , O = b ",
            "SERIALNUMBER=1",
            "UID=a",
            "T=a",
            r"CN=a\41",
            "S=a",
            "GIVENNAME=a",
            "SURNAME=x",
            "CN=a=b",
            "CN=a#b",
            "1.2=a",
            "IP=1",
            "DNQ=a",
            "DNQUALIFIER=a",
            "GENERATION=a",
            "INITIALS=a",
            "STREET=a",
            "DC=ä",
            "CN= ",
            "CN=a\nb",
        ] {
            assert!(is_valid(name), "{name}");
        }
        for name in [
            "1.2.3=#zz",
            "E=a",
            "FOO=a",
            "CN",
            "=a",
            "CN=a,",
            "a,CN=b",
            r#"CN="a"#,
            "userid=a",
            r"CN=a\zz",
            "creator",
            "bob:secret",
            "CN=a<b",
            "1=a",
            "3.2=a",
            "1.40.1=a",
            "1.2.=a",
            r#"CN=a"b"#,
            "CN=a+b",
            "GENERATIONQUALIFIER=a",
            "TITLE=a",
            r"CN=\",
            ",",
            "CN=a,,O=b",
            "CN=#61",
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_is_too_odd_to_be_looked_at(name in ".{0,40}") {
            let _ = is_valid(&name);
        }
    }
}
