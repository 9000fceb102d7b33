//! Does what the leader has decided, as a learner reads it from its log.
//!
//! A learner has checked nothing itself. The order is the leader's and the tree is the same, so
//! everything fits; only behind a snapshot that Apache's leader took while it went on may something
//! come that the snapshot holds already. It is done again as far as that is possible, and nobody is
//! told of it.

use znode::proto::multi::MultiResult;
use znode::proto::{Encode, ErrorCode, JutePut, MultiHeader, OpCode};

use super::apply::{Applier, Outcome};
use crate::log::record::Body;
use crate::tree::node::Image;
use crate::tree::{NewNode, parent};

impl Applier<'_> {
    /// Applies one logged transaction. The results of a multi are encoded, and nothing returned.
    pub(crate) fn apply_body(&mut self, body: &Body<'_>, results: &mut Vec<u8>) -> Option<Outcome> {
        match body {
            Body::Multi(bodies) => {
                for body in bodies {
                    let outcome = self.apply_one(body);
                    self.put_result(outcome, results);
                }
                results.put(&MultiHeader::DONE);
                None
            }
            Body::FailedMulti(errors) => {
                for error in errors {
                    MultiResult::Error(code(*error)).encode(results);
                }
                results.put(&MultiHeader::DONE);
                None
            }
            body => Some(self.apply_one(body)),
        }
    }

    fn apply_one(&mut self, body: &Body<'_>) -> Outcome {
        match body {
            Body::Create { path, data, acl, owner, parent_cversion, plain } => {
                let new = NewNode {
                    image: Image::new(path, *data),
                    acl: self.tree.acls.intern(acl),
                    owner: *owner,
                    parent_cversion: *parent_cversion,
                };
                self.create(new, *plain)
            }
            Body::Delete(path) => {
                if self.tree.node(path).is_some_and(|node| node.children().is_empty()) {
                    self.delete(path);
                } else {
                    self.tree.delete_again(path, self.zxid);
                }
                Outcome::Done(OpCode::Delete)
            }
            Body::SetData(txn) => {
                let image = Image::new(txn.path.0, txn.data);
                let written = self.set_data(image, txn.version);
                written.map_or(Outcome::Failed(ErrorCode::NoNode), Outcome::Written)
            }
            Body::SetAcl(txn) => {
                let acl = self.tree.acls.intern(txn.acl.as_deref().unwrap_or_default());
                match self.tree.set_acl(txn.path.0, acl, txn.version) {
                    Some(id) => Outcome::Written(id),
                    None => {
                        self.tree.acls.release(acl);
                        Outcome::Failed(ErrorCode::NoNode)
                    }
                }
            }
            Body::Check => Outcome::Done(OpCode::Check),
            Body::Error(error) => Outcome::Failed(code(*error)),
            // These are never parts of anything, and by themselves are none of the tree's.
            Body::Multi(_) | Body::FailedMulti(_) | Body::CreateSession(_) => {
                Outcome::Failed(ErrorCode::MarshallingError)
            }
            Body::CloseSession(_) => Outcome::SessionClosed,
        }
    }

    fn create(&mut self, new: NewNode, plain: bool) -> Outcome {
        let path = new.image.path();
        let above = parent(path).and_then(|above| self.tree.lookup(above));
        let exists = self.tree.lookup(path).is_some();
        if above.is_none() || exists {
            self.tree.create_again(new, plain, self.zxid, self.time_ms);
            let error = if exists { ErrorCode::NodeExists } else { ErrorCode::NoNode };
            return Outcome::Failed(error);
        }
        let op = if plain { OpCode::Create } else { OpCode::Create2 };
        let id = self.tree.create(new, self.zxid, self.time_ms);
        self.tell_created(id);
        Outcome::Created(op, id)
    }
}

fn code(error: i32) -> ErrorCode {
    ErrorCode::from(error)
}
