//! Draws the parts of requests: few paths and versions, so that requests meet; every odd kind of
//! list and of path.

use znode::proto::{AclRecord, Perms, Version};

use crate::generate::{Generator, open};
use crate::plan::ROOT;

/// What `digest` makes of `u1:p1`, as it stands in a list.
const U1: &str = "u1:WNTJwmZcThkREOqx3w0GgqBfwKk=";

impl Generator {
    pub(crate) fn version(&mut self) -> Version {
        Version(*self.rng.pick(&[-1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 3, -2, i32::MAX]))
    }

    pub(crate) fn data(&mut self) -> Option<Vec<u8>> {
        match self.rng.below(10) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![b'x'; 1 + self.rng.below(20)]),
        }
    }

    pub(crate) fn leaked(&mut self) -> Option<&'static [u8]> {
        const DATA: &[u8] = b"the quick brown fox jumps";
        self.data().map(|data| &DATA[..data.len()])
    }

    /// A path, and the version that is expected of it: of ZooKeeper's own nodes one that they never
    /// reach, for what was written there would be there in the next stream.
    pub(crate) fn versioned(&mut self) -> (String, Version) {
        let (path, version) = (self.path(), self.version());
        let own = matches!(&*path, "" | "/") || path.starts_with("/zookeeper");
        (path, if own { Version(i32::MAX) } else { version })
    }

    /// A path that is not one of ZooKeeper's own.
    pub(crate) fn of_stream(&mut self) -> String {
        let path = self.path();
        if path.starts_with(ROOT) { path } else { self.inner() }
    }

    /// A path whose children may be told: those of the real root are many streams'.
    pub(crate) fn listed(&mut self) -> String {
        loop {
            let path = self.path();
            if !matches!(&*path, "" | "/") {
                return path;
            }
        }
    }

    pub(crate) fn path(&mut self) -> String {
        match self.rng.weighted(&[90, 4, 6]) {
            0 => self.inner(),
            1 => (*self.rng.pick(&["/", "", "/zookeeper", "/zookeeper/config"])).to_owned(),
            _ => {
                let inner = self.inner();
                let odd = [
                    format!("{inner}/"),
                    format!("{inner}//a"),
                    format!("{inner}/."),
                    format!("{inner}/../b"),
                    format!("{inner}/\0"),
                    format!("{inner}/\u{1}"),
                    format!("{inner}/\u{7f}x"),
                    format!("{inner}/\u{e000}"),
                    format!("{inner}/\u{fff0}"),
                    format!("{inner}/\u{1f600}"),
                    format!("{inner}/ä ö"),
                    inner[1..].to_owned(),
                    "x".to_owned(),
                ];
                self.rng.pick(&odd).clone()
            }
        }
    }

    pub(crate) fn inner(&mut self) -> String {
        let mut path = ROOT.to_owned();
        for _ in 0..self.rng.weighted(&[5, 50, 30, 15]) {
            path.push('/');
            if self.rng.chance(8) {
                path.push_str(&format!("q-{:010}", self.rng.below(12)));
            } else {
                let names = ["a", "b", "c", "q-"];
                path.push_str(names[self.rng.below(names.len())]);
            }
        }
        path
    }

    pub(crate) fn acl(&mut self) -> Option<Vec<AclRecord<'static>>> {
        if self.rng.chance(80) {
            return Some(open());
        }
        match self.rng.below(14) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some((0..=self.rng.below(3)).map(|_| self.entry()).collect()),
        }
    }

    fn entry(&mut self) -> AclRecord<'static> {
        let ids = [
            ("world", "anyone"),
            ("world", "anyone"),
            ("auth", ""),
            ("auth", "x"),
            ("digest", U1),
            ("digest", U1),
            ("ip", "127.0.0.1"),
            ("ip", "127.0.0.0/8"),
            ("ip", "10.0.0.0/8"),
            ("world", "x"),
            ("digest", "a:b:c"),
            ("digest", ""),
            ("digest", "a"),
            ("ip", "1.2.3"),
            ("ip", "1.2.3.4/33"),
            ("ip", "1.2.3.4/-1"),
            ("ip", "::1"),
            ("ip", "::1/200"),
            ("super", ""),
            ("x509", "CN=a"),
            ("sasl", "a"),
            ("", ""),
        ];
        let (scheme, id) = *self.rng.pick(&ids);
        let perms = Perms(*self.rng.pick(&[31, 31, 31, 1, 3, 15, 30, 0, 16, -1, 64]));
        let mut entry = AclRecord::new(perms, scheme, id);
        match self.rng.below(60) {
            0 => entry.id.id = None,
            1 => entry.id.scheme = None,
            _ => {}
        }
        entry
    }
}
