//! Keys on elliptic curves as Java writes them: without their public halves, which the library
//! wants to see.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::auth::der::{self, Element, OBJECT_ID, SEQUENCE};

const INTEGER_1: [u8; 3] = [2, 1, 1];
const OCTET_STRING: u8 = 0x04;
/// Where a public key stands in a private one (RFC 5915).
const PUBLIC_KEY: u8 = 0xa1;
/// 1.2.840.10045.2.1
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// The key, with its public half out of the certificate if it is one that lacks it.
pub(super) fn completed(
    key: PrivateKeyDer<'static>,
    chain: &[CertificateDer<'_>],
) -> PrivateKeyDer<'static> {
    let PrivateKeyDer::Pkcs8(pkcs8) = &key else { return key };
    let whole = chain.first().and_then(|first| complete(pkcs8.secret_pkcs8_der(), first));
    whole.map_or(key, |whole| PrivateKeyDer::Pkcs8(whole.into()))
}

fn complete(pkcs8: &[u8], certificate: &[u8]) -> Option<Vec<u8>> {
    let parts = Element::read(pkcs8)?.0.children_of(SEQUENCE)?;
    let [version, algorithm, private, ..] = &parts[..] else { return None };
    let kind = *algorithm.children_of(SEQUENCE)?.first()?;
    if (kind.tag, kind.content) != (OBJECT_ID, &EC_PUBLIC_KEY) || private.tag != OCTET_STRING {
        return None;
    }
    let private = Element::read(private.content)?.0.children_of(SEQUENCE)?;
    if private.iter().any(|part| part.tag == PUBLIC_KEY) {
        return None;
    }
    let secret = private.get(1).filter(|secret| secret.tag == OCTET_STRING)?;
    let public = element(PUBLIC_KEY, &[der::public_key(certificate)?.whole]);
    let private = element(SEQUENCE, &[&INTEGER_1, secret.whole, &public]);
    let private = element(OCTET_STRING, &[&private]);
    Some(element(SEQUENCE, &[version.whole, algorithm.whole, &private]))
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(len) if len < 0x80 => out.push(len),
        Ok(len) => out.extend([0x81, len]),
        Err(_) => {
            // No key comes near the other limit: curves that are known have at most 521 bits.
            let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
            out.push(0x82);
            out.extend(len.to_be_bytes());
        }
    }
    out.extend(content);
    out
}
