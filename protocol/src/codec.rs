//! Deterministic CBOR (SPEC.md §2, RFC 8949 §4.2.1): one value has one encoding, and only that is accepted.
//!
//! Signed things are kept, hashed and stored as the bytes that came; nobody re-encodes to verify.
//! On the way in they are decoded, encoded again and compared, so that a longer integer, an
//! unknown key, keys out of order or trailing bytes are refused in one place.

use minicbor::{Decode, Decoder, Encode};

/// Why bytes are not an acceptable encoding. Always the fault of whoever made them.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerCodecError {
    /// Not CBOR of the expected shape, or cut off.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A value was followed by more bytes.
    #[error("trailing bytes after the value")]
    Trailing,
    /// It decodes, but is not its own canonical encoding, or has keys this version does not know.
    #[error("not in canonical form, or with keys unknown to this version")]
    NotCanonical,
    /// Longer than the limit for what it is.
    #[error("{len} bytes, more than the limit of {max}")]
    TooLarge {
        /// What came.
        len: usize,
        /// What is allowed.
        max: usize,
    },
}

/// The canonical encoding of `value`.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a Vec cannot fail")
}

/// Decodes `bytes` as the one canonical encoding of a `T` of at most `max` bytes.
pub fn decode<'b, T>(bytes: &'b [u8], max: usize) -> Result<T, PeerCodecError>
where
    T: Decode<'b, ()> + Encode<()>,
{
    if bytes.len() > max {
        return Err(PeerCodecError::TooLarge { len: bytes.len(), max });
    }
    let mut decoder = Decoder::new(bytes);
    let value: T =
        decoder.decode().map_err(|error| PeerCodecError::Malformed(error.to_string()))?;
    if decoder.position() != bytes.len() {
        return Err(PeerCodecError::Trailing);
    }
    let mut expected = Expected(bytes);
    match minicbor::encode(&value, &mut expected) {
        Ok(()) if expected.0.is_empty() => Ok(value),
        _ => Err(PeerCodecError::NotCanonical),
    }
}

/// Compares what is written with the bytes that are to come. A value that is secret leaves no copy.
struct Expected<'b>(&'b [u8]);

/// What was written is not what had to come.
#[derive(Debug)]
struct Differs;

impl minicbor::encode::Write for Expected<'_> {
    type Error = Differs;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Differs> {
        self.0 = self.0.strip_prefix(written).ok_or(Differs)?;
        Ok(())
    }
}

/// Decodes an array of at most `MAX` values. More are refused before any is read: the smallest value
/// takes a byte or three on the wire and dozens in memory.
pub(crate) fn at_most<'b, C, T: Decode<'b, C>, const MAX: usize>(
    d: &mut Decoder<'b>,
    context: &mut C,
) -> Result<Vec<T>, minicbor::decode::Error> {
    let at = d.position();
    let claimed = d.array()?.and_then(|length| usize::try_from(length).ok());
    let length = claimed
        .filter(|length| *length <= MAX)
        .ok_or_else(|| minicbor::decode::Error::message("too many values").at(at))?;
    (0..length).map(|_| T::decode(d, context)).collect()
}

/// Defines an enum that encodes as `[tag, body]`, one body type a tag. An unknown tag is malformed.
/// A body that is a list names after `by` what decodes it within its limit.
macro_rules! tagged {
    (@body $d:ident $context:ident) => { minicbor::Decode::decode($d, $context) };
    (@body $d:ident $context:ident $decode:path) => { $decode($d, $context) };
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $(
            $(#[$vmeta:meta])*
            $tag:literal => $variant:ident($body:ty) $(by $decode:path)?,
        )+ }
    ) => {
        $(#[$meta])*
        $vis enum $name { $( $(#[$vmeta])* $variant($body), )+ }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                context: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.array(2)?;
                match self {
                    $( Self::$variant(body) => {
                        e.u8($tag)?;
                        minicbor::Encode::encode(body, e, context)
                    } )+
                }
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                d: &mut minicbor::Decoder<'b>,
                context: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                if d.array()? != Some(2) {
                    return Err(minicbor::decode::Error::message("expected [tag, body]").at(at));
                }
                match d.u8()? {
                    $( $tag => {
                        let body = tagged!(@body d context $($decode)?)?;
                        Ok(Self::$variant(body))
                    } )+
                    tag => Err(minicbor::decode::Error::unknown_variant(tag.into()).at(at)),
                }
            }
        }
    };
}
pub(crate) use tagged;

#[cfg(test)]
mod tests;
