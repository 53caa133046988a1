//! Every answer that is not the one asked for, in one table (SPEC.md §18).

use minicbor::{Decoder, Encoder, decode, encode};

use crate::committee::Refusal;
use crate::entry::PeerEntryError;
use crate::roster::PeerRosterError;

macro_rules! codes {
    ($( $(#[$meta:meta])* $number:literal $name:ident, )+) => {
        /// Why a relay refuses a request or an entry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[$meta])* $name, )+ }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$( Self::$name, )+];

            /// Its number on the wire.
            pub fn number(self) -> u16 {
                match self { $( Self::$name => $number, )+ }
            }

            /// Its name in messages and documents.
            pub fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }

            fn from_number(number: u16) -> Option<Self> {
                match number { $( $number => Some(Self::$name), )+ _ => None }
            }
        }
    };
}

codes! {
    /// The bytes are no request or no entry. The asker's fault.
    1 Malformed,
    /// Longer than the limit for what it is. The asker's fault.
    2 TooLarge,
    /// A version or a change that this relay does not know.
    3 Unsupported,
    /// There is no such thing here, or it is not for this device to know.
    4 NotFound,
    /// The device was active in this committee and is no longer.
    5 NotActive,
    /// The device's role does not allow this.
    6 NotEntitled,
    /// The entry names another committee, or a term that is not this log's.
    10 OtherLog,
    /// The author is not in the roster.
    11 UnknownAuthor,
    /// A signature does not verify.
    12 BadSignature,
    /// The entry does not continue its author's chain.
    13 AuthorChain,
    /// `seen` is beyond this log or behind the author's last.
    14 SeenOutOfRange,
    /// The author saw another log.
    15 Disputed,
    /// Sealed or signed under an earlier lock.
    16 StaleEpoch,
    /// The roster changed since the entry was signed.
    17 StaleRoster,
    /// The lock must be changed first.
    18 LockPending,
    /// The payload is not as its kind demands.
    19 BadPayload,
    /// The roster change is against the rules.
    20 BadChange,
    /// The committee was founded by another entry, or the permit is another's.
    21 AlreadyFounded,
    /// The entry names a blob that is not here: it is to be sent before.
    22 BlobMissing,
    /// What came is not the blob that was named.
    23 BadBlob,
    /// Too many of these lately. Later is fine.
    30 TooMany,
    /// The relay is busy. Later is fine.
    31 Busy,
    /// The relay's disk is full: it reads and does not write.
    32 Full,
    /// The relay stopped writing, because its disk failed. Whether the entry is kept is unknown.
    33 Stopped,
    /// The committee's room for blobs here is used up.
    34 NoRoom,
}

impl From<&Refusal> for Code {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::OtherCommittee | Refusal::OtherTerm { .. } => Self::OtherLog,
            Refusal::UnknownAuthor => Self::UnknownAuthor,
            Refusal::BadSignature(_) => Self::BadSignature,
            Refusal::NotActive => Self::NotActive,
            Refusal::NotEntitled | Refusal::Change(PeerRosterError::NotCoordinator) => {
                Self::NotEntitled
            }
            Refusal::AuthorChain { .. } => Self::AuthorChain,
            Refusal::SeenOutOfRange => Self::SeenOutOfRange,
            Refusal::Disputed(_) => Self::Disputed,
            Refusal::StaleEpoch { .. } => Self::StaleEpoch,
            Refusal::StaleRoster { .. } => Self::StaleRoster,
            Refusal::LockPending => Self::LockPending,
            Refusal::PayloadMissing
            | Refusal::Payload(_)
            | Refusal::Content
            | Refusal::Blobs
            | Refusal::ForgetCodec(_)
            | Refusal::NoSuchRecord
            | Refusal::ChangeCodec(_) => Self::BadPayload,
            Refusal::Change(PeerRosterError::NotBuilt(_)) => Self::Unsupported,
            Refusal::Change(_) | Refusal::Founding(_) => Self::BadChange,
        }
    }
}

impl From<&PeerEntryError> for Code {
    fn from(error: &PeerEntryError) -> Self {
        match error {
            PeerEntryError::Codec(crate::codec::PeerCodecError::TooLarge { .. })
            | PeerEntryError::PayloadTooLarge { .. } => Self::TooLarge,
            PeerEntryError::UnknownVersion { .. } => Self::Unsupported,
            PeerEntryError::PayloadLength | PeerEntryError::PayloadHash => Self::BadPayload,
            PeerEntryError::Codec(_) | PeerEntryError::Signatures => Self::Malformed,
        }
    }
}

impl<C> minicbor::Encode<C> for Code {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.u16(self.number())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Code {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = d.position();
        let number = d.u16()?;
        Self::from_number(number)
            .ok_or_else(|| decode::Error::unknown_variant(number.into()).at(at))
    }
}
