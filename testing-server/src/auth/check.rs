//! The two questions about access control lists: may this be done, and may this list be set?

use std::borrow::Cow;

use znode::proto::{AclRecord, ErrorCode, Perms};

use super::{Identity, Scheme, Schemes};
use crate::tree::acl_cache::{Acl, AclCache, AclId};

/// Whether somebody known by `identities` may do, at a node with this list, any of what `wanted`
/// names.
///
/// # Errors
/// [`ErrorCode::NoAuth`].
pub(crate) fn check_acl(
    schemes: &Schemes,
    acls: &AclCache,
    acl: AclId,
    wanted: Perms,
    identities: &[Identity],
) -> Result<(), ErrorCode> {
    if acl == AclId::OPEN || schemes.skip_acl {
        return Ok(());
    }
    let list = acls.list(acl);
    if list.is_empty() || identities.iter().any(|identity| &*identity.scheme == "super") {
        return Ok(());
    }
    let granted = |entry: &Acl| entry.perms.intersects(wanted) && means(schemes, entry, identities);
    if list.iter().any(granted) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

/// Whether an entry names the world or one of `identities`.
fn means(schemes: &Schemes, entry: &Acl, identities: &[Identity]) -> bool {
    if (&*entry.scheme, &*entry.id) == ("world", "anyone") {
        return true;
    }
    let Some(scheme) = schemes.find(&entry.scheme) else {
        return false;
    };
    identities
        .iter()
        .any(|identity| identity.scheme == entry.scheme && scheme.matches(&identity.id, &entry.id))
}

/// The list as it will be kept: duplicates gone, `auth` replaced by who the client is. What it
/// takes as a record is taken off `room`.
///
/// # Errors
/// [`ErrorCode::InvalidAcl`], or [`ErrorCode::MarshallingError`] where Apache stumbles over a null,
/// or where there is not so much room: every `auth` stands for every identity.
pub(crate) fn fixup_acl<'a>(
    schemes: &Schemes,
    identities: &'a [Identity],
    wanted: Option<&[AclRecord<'a>]>,
    room: &mut usize,
) -> Result<Vec<AclRecord<'a>>, ErrorCode> {
    let wanted = wanted.unwrap_or_default();
    if wanted.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    let mut unique: Vec<&AclRecord<'a>> = Vec::with_capacity(wanted.len());
    for entry in wanted {
        if !stands_among(entry, &unique)? {
            unique.push(entry);
        }
    }
    let mut fixed = Fixed { list: Vec::with_capacity(unique.len()), room };
    for entry in unique {
        fixup_entry(schemes, identities, entry, &mut fixed)?;
    }
    Ok(fixed.list)
}

/// A list in the making, and how many bytes more it may take.
struct Fixed<'a, 'r> {
    list: Vec<AclRecord<'a>>,
    room: &'r mut usize,
}

impl<'a> Fixed<'a, '_> {
    fn push(&mut self, entry: AclRecord<'a>) -> Result<(), ErrorCode> {
        let len = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len());
        let taken = ENTRY_LEN_MIN + len(&entry.id.scheme) + len(&entry.id.id);
        *self.room = self.room.checked_sub(taken).ok_or(ErrorCode::MarshallingError)?;
        self.list.push(entry);
        Ok(())
    }
}

/// What an entry takes as a record beside its words: permissions, and two lengths.
const ENTRY_LEN_MIN: usize = 12;

/// Whether an entry repeats one of those before it. Apache stumbles over the first null that it
/// comes to compare.
fn stands_among(entry: &AclRecord<'_>, before: &[&AclRecord<'_>]) -> Result<bool, ErrorCode> {
    for other in before {
        if entry.perms != other.perms {
            continue;
        }
        let scheme = entry.id.scheme.as_ref().ok_or(ErrorCode::MarshallingError)?;
        if other.id.scheme.as_ref() != Some(scheme) {
            continue;
        }
        let id = entry.id.id.as_ref().ok_or(ErrorCode::MarshallingError)?;
        if other.id.id.as_ref() == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn fixup_entry<'a>(
    schemes: &Schemes,
    identities: &'a [Identity],
    entry: &AclRecord<'a>,
    fixed: &mut Fixed<'a, '_>,
) -> Result<(), ErrorCode> {
    let scheme = entry.id.scheme.as_deref().ok_or(ErrorCode::InvalidAcl)?;
    if scheme == "auth" {
        let before = fixed.list.len();
        for identity in identities {
            let scheme = schemes.find(&identity.scheme);
            if scheme.is_some_and(Scheme::is_authenticated) {
                fixed.push(AclRecord::new(entry.perms, &*identity.scheme, &*identity.id))?;
            }
        }
        return if fixed.list.len() > before { Ok(()) } else { Err(ErrorCode::InvalidAcl) };
    }
    let valid = match (scheme, entry.id.id.as_deref()) {
        // Apache dereferences the null, and its client is told so.
        ("world" | "digest" | "ip", None) => return Err(ErrorCode::MarshallingError),
        ("world", Some(id)) => id == "anyone",
        (name, Some(id)) => schemes.find(name).is_some_and(|scheme| scheme.is_valid(id)),
        (_, None) => false,
    };
    if !valid {
        return Err(ErrorCode::InvalidAcl);
    }
    fixed.push(entry.clone())
}

/// Hides the hashes of `digest` ids from whoever may read a list but not write it.
pub(crate) fn redact(acl: &Acl) -> Cow<'_, str> {
    match acl.id.split_once(':') {
        Some((user, _)) if &*acl.scheme == "digest" => Cow::Owned(format!("{user}:x")),
        _ => Cow::Borrowed(&acl.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::settings::Settings;
    use crate::tree::index::PathHasher;

    const ROOM: usize = 10_000;

    fn entry(perms: Perms, scheme: &'static str, id: &'static str) -> AclRecord<'static> {
        AclRecord::new(perms, scheme, id)
    }

    fn fixed(
        identities: &[Identity],
        list: &[AclRecord<'static>],
    ) -> Result<Vec<(String, String)>, ErrorCode> {
        let schemes = Schemes::new(&Settings::fixed());
        let list = fixup_acl(&schemes, identities, Some(list), &mut ROOM.clone())?;
        let text = |part: &Option<Cow<'_, str>>| part.as_deref().unwrap().to_owned();
        Ok(list.iter().map(|acl| (text(&acl.id.scheme), text(&acl.id.id))).collect())
    }

    #[test]
    fn auth_stands_for_every_identity_that_was_proved() {
        let me = [
            Identity::new("ip", "127.0.0.1"),
            Identity::new("digest", "a:x"),
            Identity::new("super", ""),
            Identity::new("digest", "b:y"),
        ];
        let list = [entry(Perms::ALL, "auth", "whatever")];
        let expected = [("digest", "a:x"), ("digest", "b:y")];
        let expected = expected.map(|(scheme, id)| (scheme.to_owned(), id.to_owned()));
        assert_eq!(fixed(&me, &list).unwrap(), expected);
        assert_eq!(fixed(&me[..1], &list), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn a_list_takes_no_more_room_than_there_is() {
        let schemes = Schemes::new(&Settings::fixed());
        let me: Vec<Identity> =
            (0..9).map(|user| Identity::new("digest", &format!("{user}:x"))).collect();
        let list = [entry(Perms::ALL, "auth", "a"), entry(Perms::ALL, "auth", "b")];
        let needed = 2 * 9 * (12 + "digest".len() + "0:x".len());
        for (mut room, fits) in [(needed, true), (needed - 1, false)] {
            let fixed = fixup_acl(&schemes, &me, Some(&list), &mut room);
            assert_eq!(
                fixed.map(|list| (list.len(), room)),
                match fits {
                    true => Ok((18, 0)),
                    false => Err(ErrorCode::MarshallingError),
                }
            );
        }
    }

    #[test]
    fn lists_that_name_nobody_are_refused() {
        let schemes = Schemes::new(&Settings::fixed());
        assert_eq!(fixup_acl(&schemes, &[], None, &mut ROOM.clone()), Err(ErrorCode::InvalidAcl));
        for (scheme, id) in [("world", "all"), ("digest", "a"), ("ip", "a"), ("super", "")] {
            assert_eq!(
                fixed(&[], &[entry(Perms::ALL, scheme, id)]),
                Err(ErrorCode::InvalidAcl),
                "{scheme}:{id}"
            );
        }
    }

    #[test]
    fn edge_29_a_null_id_is_a_marshalling_error_and_a_null_scheme_an_invalid_acl() {
        let schemes = Schemes::new(&Settings::fixed());
        let mut null = entry(Perms::ALL, "world", "anyone");
        null.id.id = None;
        let refused =
            fixup_acl(&schemes, &[], Some(std::slice::from_ref(&null)), &mut ROOM.clone());
        assert_eq!(refused, Err(ErrorCode::MarshallingError));
        null.id.scheme = None;
        assert_eq!(
            fixup_acl(&schemes, &[], Some(&[null]), &mut ROOM.clone()),
            Err(ErrorCode::InvalidAcl)
        );
    }

    #[test]
    fn a_null_that_is_compared_with_an_entry_of_the_same_permissions_is_a_marshalling_error() {
        let world = |perms| entry(perms, "world", "anyone");
        let mut null = world(Perms::ALL);
        null.id.scheme = None;
        let list = |perms| [world(perms), entry(Perms::READ, "digest", "a"), null.clone()];
        assert_eq!(fixed(&[], &list(Perms::ALL)), Err(ErrorCode::MarshallingError));
        assert_eq!(fixed(&[], &list(Perms::WRITE)), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn duplicates_go_and_the_order_stays() {
        let (a, b) = (entry(Perms::READ, "ip", "1.1.1.1"), entry(Perms::READ, "ip", "2.2.2.2"));
        let list = fixed(&[], &[a.clone(), b, a]).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].1, "1.1.1.1");
    }

    #[test]
    fn any_wanted_bit_is_enough_and_super_passes_everything() {
        let schemes = Schemes::new(&Settings::fixed());
        let mut acls = AclCache::new(PathHasher::new(0));
        let acl =
            acls.intern(&[entry(Perms::READ, "ip", "1.1.1.1"), entry(Perms::ALL, "x509", "a")]);
        let may = |id: Identity, wanted| check_acl(&schemes, &acls, acl, wanted, &[id]).is_ok();
        let here = || Identity::new("ip", "1.1.1.1");
        assert!(may(here(), Perms::READ | Perms::ADMIN));
        assert!(!may(here(), Perms::WRITE));
        assert!(!may(Identity::new("ip", "1.1.1.2"), Perms::READ));
        assert!(!may(Identity::new("x509", "a"), Perms::READ));
        assert!(may(Identity::new("super", ""), Perms::WRITE));
    }
}
