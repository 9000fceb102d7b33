//! Session ids and passwords, bit for bit as Apache makes them.

use znode::proto::SessionId;

/// How many bytes a password has.
pub(crate) const PASSWORD_LEN: usize = 16;

/// What the id is mixed with before it seeds the password.
const SUPER_SECRET: i64 = 0xb341_5c00;

/// The multiplier and the mask of `java.util.Random`.
const LCG: u64 = 0x5_deec_e66d;
const LCG_MASK: u64 = (1 << 48) - 1;

/// Hands out session ids: the server in the top byte, then the time of its start, then a count.
#[derive(Debug)]
pub(crate) struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// Ids of the server `server_id` (at most 254), which was started at `start_ms`.
    pub(crate) fn new(server_id: u8, start_ms: u64) -> Self {
        let started = (start_ms << 24) >> 8;
        Self { next: (started | (u64::from(server_id) << 56)).cast_signed() }
    }

    /// Never hands out `taken`, or one that this server gave out before it.
    pub(crate) fn skip(&mut self, taken: SessionId) {
        if taken.0 >> 56 == self.next >> 56 && taken.0 >= self.next {
            self.next = taken.0.wrapping_add(1);
        }
    }

    /// An id that this server has not handed out before.
    pub(crate) fn next(&mut self) -> SessionId {
        // Zero asks for a session and the smallest number marks a container.
        while self.next == 0 || self.next == i64::MIN {
            self.next += 1;
        }
        let id = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }
}

/// The password of a session: a function of its id, so every server of an ensemble can check it.
pub(crate) fn password(id: SessionId) -> [u8; PASSWORD_LEN] {
    let mut state = ((id.0 ^ SUPER_SECRET).cast_unsigned() ^ LCG) & LCG_MASK;
    let mut password = [0; PASSWORD_LEN];
    for word in password.as_chunks_mut::<4>().0 {
        state = state.wrapping_mul(LCG).wrapping_add(0xb) & LCG_MASK;
        let drawn = u32::try_from(state >> 16).expect("32 of 48 bits are left");
        *word = drawn.to_le_bytes();
    }
    password
}

/// Whether `offered` is the password of a session.
pub(crate) fn admits(id: SessionId, offered: Option<&[u8]>) -> bool {
    id != SessionId::NONE && offered == Some(&password(id)[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_the_server_and_the_time_of_its_start() {
        let mut ids = SessionIds::new(1, 0x19_3456_789a);
        assert_eq!(ids.next().0.cast_unsigned(), 0x0119_3456_789a_0000);
        assert_eq!(ids.next().0.cast_unsigned(), 0x0119_3456_789a_0001);
    }

    #[test]
    fn passwords_are_java_util_randoms() {
        // `new Random(42).nextBytes(new byte[4])`, well known from its first nextInt, -1170105035.
        let id = SessionId(42 ^ SUPER_SECRET);
        assert_eq!(password(id)[..4], (-1_170_105_035_i32).to_le_bytes());
        assert_eq!(password(id)[4..8], 234_785_527_i32.to_le_bytes());
        assert!(admits(id, Some(&password(id))));
        assert!(!admits(id, None));
        assert!(!admits(SessionId::NONE, Some(&password(SessionId::NONE))));
    }
}
