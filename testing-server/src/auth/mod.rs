//! Who a connection is, and what an access control list lets it do.
//!
//! [`digest`] and [`ip`] are the schemes that Apache registers by itself, [`x509`] comes with a
//! secure port and [`sasl`] with logins; any other implements [`Scheme`]. `world`, `auth` and
//! `super` are no schemes but words of the check itself.

pub(crate) mod check;
pub(crate) mod der;
pub(crate) mod digest;
pub(crate) mod ip;
pub(crate) mod sasl;
pub(crate) mod x500;
pub(crate) mod x509;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::node::settings::Settings;

/// One identity of a connection: who a [`Scheme`] has found its client to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The scheme that vouched for it.
    pub(crate) scheme: Box<str>,
    /// Who it is, in the scheme's own form.
    pub(crate) id: Box<str>,
}

impl Identity {
    /// An identity of a scheme.
    pub fn new(scheme: &str, id: &str) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }
}

/// A way to prove who one is, and to be named by access control lists: Apache's
/// `AuthenticationProvider`. [`InstanceSpec::scheme`](crate::InstanceSpec::scheme) registers one.
///
/// It is asked while the server stands still, so it must not block.
pub trait Scheme: fmt::Debug + Send + Sync {
    /// The word that requests and access control lists use.
    fn name(&self) -> &str;

    /// The identities that `auth`, sent by a client at `peer`, proves; `None` refuses it.
    fn authenticate(&self, peer: IpAddr, auth: Option<&[u8]>) -> Option<Vec<Identity>>;

    /// Whether an access control list may name `id`.
    fn is_valid(&self, id: &str) -> bool;

    /// Whether a client known as `id` is meant by an access control list that names `named`.
    fn matches(&self, id: &str, named: &str) -> bool;

    /// Whether the client proved its identity, rather than just having it.
    fn is_authenticated(&self) -> bool;

    /// The part of an identity that may be shown.
    fn user<'a>(&self, id: &'a str) -> &'a str {
        id
    }
}

/// The schemes that a server knows.
#[derive(Debug)]
pub(crate) struct Schemes {
    all: Vec<Arc<dyn Scheme>>,
    /// Whether nobody is asked for a permission.
    pub(crate) skip_acl: bool,
}

impl Schemes {
    /// Those that the settings bring along, in front of those that are ready.
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut all: Vec<Arc<dyn Scheme>> = settings.rules.schemes.clone();
        if settings.x509 {
            all.push(Arc::new(x509::X509::new(settings.rules.x509_super_user.clone())));
        }
        if settings.rules.logins.scheme {
            let anyone = settings.rules.logins.anyone.as_deref().map(Into::into);
            all.push(Arc::new(sasl::Sasl::new(anyone)));
        }
        all.push(Arc::new(digest::Digest::new(settings.rules.super_digest.clone())));
        all.push(Arc::new(ip::Ip));
        Self { all, skip_acl: settings.rules.skip_acl }
    }

    /// The scheme with a name.
    pub(crate) fn find(&self, name: &str) -> Option<&dyn Scheme> {
        self.all.iter().find(|scheme| scheme.name() == name).map(|scheme| &**scheme)
    }

    /// The part of an identity that may be shown; nothing if no scheme vouches for it.
    pub(crate) fn user<'a>(&self, identity: &'a Identity) -> &'a str {
        self.find(&identity.scheme).map_or("", |scheme| scheme.user(&identity.id))
    }
}
