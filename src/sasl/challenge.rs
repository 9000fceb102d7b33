//! Challenges of DIGEST-MD5, and responses to them: `name=value` lists, as RFC 2831, section 7.1
//! has them. Shared with the server, outside semver.

use super::SaslError;

/// How many bytes a challenge may have (RFC 2831, section 2.1.1); a response may have more, and has
/// not.
const LEN_MAX: usize = 2048;

/// What one side says: each directive with its value, unquoted, in order.
pub struct Challenge(Vec<(String, Vec<u8>)>);

impl Challenge {
    /// Reads a token. Spaces and empty items between the directives are passed over.
    ///
    /// # Errors
    /// What cannot be a list, said without its values.
    pub fn parse(token: &[u8]) -> Result<Self, SaslError> {
        if token.len() > LEN_MAX {
            return Err(SaslError::new("the token is too long"));
        }
        let mut directives = Vec::new();
        let mut rest = skip(token);
        while !rest.is_empty() {
            let equals = rest.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or_else(|| SaslError::new("a directive has no value"))?;
            let name = String::from_utf8_lossy(&rest[..equals]).trim().to_ascii_lowercase();
            let (value, after) = value(rest[equals + 1..].trim_ascii_start())?;
            directives.push((name, value));
            let after = after.trim_ascii_start();
            if !after.is_empty() && after[0] != b',' {
                return Err(SaslError::new("directives are not separated by a comma"));
            }
            rest = skip(after);
        }
        Ok(Self(directives))
    }

    /// The value of a directive, the first one if there are several.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..])
    }

    /// Whether one of a directive's comma-separated values is this one.
    pub fn offers(&self, name: &str, wanted: &str) -> bool {
        let values = self.get(name).unwrap_or_default().split(|byte| *byte == b',');
        values.map(<[u8]>::trim_ascii).any(|value| value.eq_ignore_ascii_case(wanted.as_bytes()))
    }
}

fn skip(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b',' && !byte.is_ascii_whitespace());
    &text[start.unwrap_or(text.len())..]
}

/// A value, quoted or not, and what comes after it.
fn value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), SaslError> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
        return Ok((text[..end].trim_ascii_end().to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, &quoted[at + 1..])),
            b'\\' => value.extend(bytes.next().map(|(_, escaped)| *escaped)),
            _ => value.push(*byte),
        }
    }
    Err(SaslError::new("a quoted value does not end"))
}

/// Puts quotes around a value.
pub fn quoted(value: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_they_are_spaced_and_quoted() {
        let token = br#"realm="a\"b",, nonce="x,y" , qop="auth,auth-int",charset=utf-8"#;
        let challenge = Challenge::parse(token).unwrap();
        assert_eq!(challenge.get("realm"), Some(&b"a\"b"[..]));
        assert_eq!(challenge.get("nonce"), Some(&b"x,y"[..]));
        assert_eq!(challenge.get("charset"), Some(&b"utf-8"[..]));
        assert_eq!(challenge.get("cipher"), None);
        assert!(challenge.offers("qop", "auth") && challenge.offers("qop", "auth-int"));
        assert!(!challenge.offers("qop", "auth-conf"));
        assert_eq!(quoted(br#"a"b\"#), br#""a\"b\\""#);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for token in [&b"nonce"[..], b"nonce=\"a", b"nonce=\"a\"realm=b", &[b'a'; LEN_MAX + 1]] {
            assert!(Challenge::parse(token).is_err());
        }
        assert!(Challenge::parse(b"").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_token_is_too_odd_to_be_looked_at(
            token in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)
        ) {
            let _ = Challenge::parse(&token);
        }

        #[test]
        fn a_quoted_value_reads_back(
            value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)
        ) {
            let token = [b"v=", &quoted(&value)[..]].concat();
            let challenge = Challenge::parse(&token).unwrap();
            proptest::prop_assert_eq!(challenge.get("v"), Some(&value[..]));
        }
    }
}
