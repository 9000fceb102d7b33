//! Jute, ZooKeeper's encoding: big-endian, no tags, no padding, fields in order.

use std::borrow::Cow;

/// Why bytes are not the record that they were read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record goes on after the frame has ended.
    #[error("{what} needs {needed} bytes and the frame has {remaining} left")]
    Truncated {
        /// The kind of field that was being read.
        what: &'static str,
        /// How many bytes that field takes, or at least takes.
        needed: usize,
        /// How many bytes are left.
        remaining: usize,
    },
    /// A buffer or string length below -1, which stands for null.
    #[error("length {0} is negative")]
    NegativeLength(i32),
    /// A null where the record must hold a value.
    #[error("a {0} must not be null here")]
    UnexpectedNull(&'static str),
    /// A number outside the set that the field allows.
    #[error("{value} is not a known {what}")]
    UnknownValue {
        /// The kind of number.
        what: &'static str,
        /// The number that was read.
        value: i64,
    },
}

/// Reads fields, in order, from the bytes of one frame; borrows what it can.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder that stands at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads a whole record.
    ///
    /// # Errors
    /// Whatever the record's fields find wrong.
    pub fn read<T: Decode<'a>>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }

    /// How many bytes have not been read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `len` bytes as they are.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(DecodeError::Truncated { what, needed: len, remaining: self.rest.len() }),
        }
    }

    /// Takes as many bytes as an array has.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(DecodeError::Truncated { what, needed: N, remaining: self.rest.len() }),
        }
    }

    /// Reads a length, where -1 is null.
    fn length(&mut self, what: &'static str) -> Result<Option<usize>, DecodeError> {
        let len = i32::from_be_bytes(self.array(what)?);
        match usize::try_from(len) {
            Ok(len) => Ok(Some(len)),
            Err(_) if len == -1 => Ok(None),
            Err(_) => Err(DecodeError::NegativeLength(len)),
        }
    }

    /// Reads a buffer; `None` is null, which differs from empty.
    ///
    /// # Errors
    /// A length that is negative or goes past the end.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length("buffer")? {
            Some(len) => self.take("buffer", len).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a string; `None` is null. Bytes that are not UTF-8 become U+FFFD, as in Java.
    ///
    /// # Errors
    /// A length that is negative or goes past the end.
    pub fn string(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        match self.length("string")? {
            Some(len) => Ok(Some(text(self.take("string", len)?))),
            None => Ok(None),
        }
    }

    /// Reads a vector; `None` is null.
    ///
    /// Counts below -1 read as empty, as they do in Apache's generated code.
    ///
    /// # Errors
    /// A count that the remaining bytes cannot hold, found before anything is allocated, or
    /// whatever an item finds wrong.
    pub fn vector<T: Decode<'a>>(&mut self) -> Result<Option<Vec<T>>, DecodeError> {
        let count = i32::from_be_bytes(self.array("vector count")?);
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        let needed = count.saturating_mul(T::MIN_LEN.max(1));
        if needed > self.rest.len() {
            let remaining = self.rest.len();
            return Err(DecodeError::Truncated { what: "vector", needed, remaining });
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::decode(self)?);
        }
        Ok(Some(items))
    }
}

/// What is UTF-8, as nearly everything is, is told in far fewer steps than what is not.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A value that can be read from a frame.
pub trait Decode<'a>: Sized {
    /// The fewest bytes that an encoded value takes; bounds vectors before they are allocated.
    const MIN_LEN: usize;

    /// Reads one value.
    ///
    /// # Errors
    /// [`DecodeError`], naming what was found wrong.
    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError>;
}

/// A value that can be written to a frame.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A value that takes the same number of bytes whatever it is, so that a record of nothing else is
/// read and written in one go.
pub trait Packed {
    /// Writes the value to the front of `to` and returns what is behind it.
    ///
    /// # Panics
    /// If there is no room.
    fn pack<'a>(&self, to: &'a mut [u8]) -> &'a mut [u8];

    /// Reads a value from the front of `from` and leaves what is behind it.
    ///
    /// # Panics
    /// If there is none.
    fn unpack(from: &mut &[u8]) -> Self;
}

/// The primitive fields, as methods of the buffer that a frame is built in.
pub trait JutePut {
    /// Appends a length or a count.
    ///
    /// # Panics
    /// If it does not fit an `i32`: frames are bounded far below that.
    fn put_len(&mut self, len: usize);
    /// Appends a buffer, or null.
    fn put_buffer(&mut self, bytes: Option<&[u8]>);
    /// Appends a string. Unlike Java's writer this is plain UTF-8 for every character.
    fn put_string(&mut self, string: &str);
    /// Appends a record.
    fn put<T: Encode + ?Sized>(&mut self, record: &T);
}

impl JutePut for Vec<u8> {
    fn put_len(&mut self, len: usize) {
        let len = i32::try_from(len).expect("a frame holds less than 2 GiB");
        self.extend_from_slice(&len.to_be_bytes());
    }

    fn put_buffer(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.put_len(bytes.len());
                self.extend_from_slice(bytes);
            }
            None => self.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }

    fn put_string(&mut self, string: &str) {
        self.put_buffer(Some(string.as_bytes()));
    }

    fn put<T: Encode + ?Sized>(&mut self, record: &T) {
        record.encode(self);
    }
}

/// Implements both directions for an integer.
macro_rules! integer {
    ($($int:ty),*) => {$(
        impl Decode<'_> for $int {
            const MIN_LEN: usize = size_of::<$int>();

            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(<$int>::from_be_bytes(from.array(stringify!($int))?))
            }
        }

        impl Encode for $int {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }

        impl Packed for $int {
            fn pack<'a>(&self, to: &'a mut [u8]) -> &'a mut [u8] {
                let (front, behind) = to.split_first_chunk_mut().expect("room for an integer");
                *front = self.to_be_bytes();
                behind
            }

            fn unpack(from: &mut &[u8]) -> Self {
                let (front, behind) = from.split_first_chunk().expect("an integer");
                *from = behind;
                <$int>::from_be_bytes(*front)
            }
        }
    )*};
}

integer!(i8, i32, i64);

impl Decode<'_> for bool {
    const MIN_LEN: usize = 1;

    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(i8::decode(from)? != 0)
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl<'a> Decode<'a> for Cow<'a, str> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.string()?.ok_or(DecodeError::UnexpectedNull("string"))
    }
}

impl Encode for Cow<'_, str> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_string(self);
    }
}

impl<'a> Decode<'a> for Option<Cow<'a, str>> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.string()
    }
}

impl Encode for Option<Cow<'_, str>> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_buffer(self.as_ref().map(|string| string.as_bytes()));
    }
}

impl<'a> Decode<'a> for Option<&'a [u8]> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.buffer()
    }
}

impl Encode for Option<&[u8]> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_buffer(*self);
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.vector()?.ok_or(DecodeError::UnexpectedNull("vector"))
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_len(self.len());
        for item in self {
            item.encode(out);
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<Vec<T>> {
    const MIN_LEN: usize = 4;

    fn decode(from: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        from.vector()
    }
}

impl<T: Encode> Encode for Option<Vec<T>> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Some(items) => items.encode(out),
            None => (-1i32).encode(out),
        }
    }
}

/// Declares a record once and derives both directions, fields in the order written. One that
/// begins with `secret` is not printed by itself.
#[macro_export]
#[doc(hidden)]
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident<$lt:lifetime> {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<$lt> { $($(#[$field_meta])* pub $field: $kind,)* }
        $crate::record!(@impl ($lt) ($name<$lt>) $($field: $kind,)*);
    };
    (secret $(#[$meta:meta])* pub struct $name:ident<$lt:lifetime> {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<$lt> { $($(#[$field_meta])* pub $field: $kind,)* }
        $crate::record!(@impl ($lt) ($name<$lt>) $($field: $kind,)*);
    };
    (packed $(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }

        impl $crate::proto::Decode<'_> for $name {
            const MIN_LEN: usize = 0 $(+ <$kind as $crate::proto::Decode<'_>>::MIN_LEN)*;

            fn decode(
                from: &mut $crate::proto::Decoder<'_>,
            ) -> Result<Self, $crate::proto::DecodeError> {
                let bytes: [u8; <Self as $crate::proto::Decode<'_>>::MIN_LEN] =
                    from.array(stringify!($name))?;
                let mut rest = &bytes[..];
                Ok(Self { $($field: $crate::proto::Packed::unpack(&mut rest),)* })
            }
        }

        impl $crate::proto::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                let mut bytes = [0; <Self as $crate::proto::Decode<'_>>::MIN_LEN];
                let rest = &mut bytes[..];
                $(let rest = $crate::proto::Packed::pack(&self.$field, rest);)*
                debug_assert!(rest.is_empty());
                out.extend_from_slice(&bytes);
            }
        }
    };
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }
        $crate::record!(@impl ('a) ($name) $($field: $kind,)*);
    };
    (@impl ($lt:lifetime) ($name:ty) $($field:ident: $kind:ty,)*) => {
        impl<$lt> $crate::proto::Decode<$lt> for $name {
            const MIN_LEN: usize = 0 $(+ <$kind as $crate::proto::Decode<$lt>>::MIN_LEN)*;

            fn decode(
                from: &mut $crate::proto::Decoder<$lt>,
            ) -> Result<Self, $crate::proto::DecodeError> {
                Ok(Self { $($field: from.read()?,)* })
            }
        }

        impl<$lt> $crate::proto::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::proto::Encode::encode(&self.$field, out);)*
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_count_beyond_the_frame_allocates_nothing() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 0];
        let refused = Decoder::new(&bytes).vector::<i64>();
        assert!(matches!(refused, Err(DecodeError::Truncated { what: "vector", .. })));
    }

    #[test]
    fn null_and_empty_buffers_differ() {
        let mut out = Vec::new();
        out.put_buffer(None);
        out.put_buffer(Some(b""));
        let mut from = Decoder::new(&out);
        assert_eq!(from.buffer(), Ok(None));
        assert_eq!(from.buffer(), Ok(Some(&b""[..])));
        assert_eq!(from.remaining(), 0);
    }

    #[test]
    fn a_length_below_null_is_refused() {
        assert_eq!(
            Decoder::new(&(-2i32).to_be_bytes()).buffer(),
            Err(DecodeError::NegativeLength(-2))
        );
    }

    #[test]
    fn a_vector_count_below_null_reads_as_empty() {
        let bytes = (-2i32).to_be_bytes();
        assert_eq!(Decoder::new(&bytes).vector::<i32>(), Ok(Some(vec![])));
    }

    #[test]
    fn surrogates_written_by_java_are_replaced_not_refused() {
        // U+1F600 as Java's writer emits it: two surrogates of three bytes each (CESU-8).
        let mut out = Vec::new();
        out.put_buffer(Some(&[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]));
        let read = Decoder::new(&out).string().unwrap().unwrap();
        assert!(read.chars().all(|c| c == char::REPLACEMENT_CHARACTER));
    }
}
