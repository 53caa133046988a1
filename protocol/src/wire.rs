//! What both ends of a connection must agree on besides frames (SPEC.md §19).
//!
//! Constants only: the two `transport` modules do the work.

/// The application protocol a handshake names unless the operator configured another.
pub const ALPN: &[u8] = b"sealpost/1";

/// Where a relay listens unless it is told otherwise.
pub const PORT: u16 = 4433;

/// An Ed25519 public key as it stands in a handshake (RFC 7250, RFC 8410): this, then 32 bytes.
pub const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The length of a public key in a handshake.
pub const ED25519_SPKI_BYTES: usize = ED25519_SPKI_PREFIX.len() + 32;

macro_rules! close_codes {
    ($( $(#[$meta:meta])* $number:literal $name:ident, )+) => {
        /// Why one end closes a connection or resets a stream: the application error code of
        /// QUIC. No text goes with it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode { $( $(#[$meta])* $name, )+ }

        impl CloseCode {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$name, )+];

            /// Its number on the wire.
            pub fn number(self) -> u32 {
                match self { $( Self::$name => $number, )+ }
            }

            /// The code of that number, if this version knows one.
            pub fn from_number(number: u64) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| u64::from(code.number()) == number)
            }
        }
    };
}

close_codes! {
    /// Nothing is wrong: the work is done.
    0 Done,
    /// The relay is being stopped. Try again, here or elsewhere.
    1 Stopping,
    /// Too many connections from this address, or in all. Try again later.
    2 TooMany,
    /// The same login key opened more connections than it may; the oldest was closed.
    3 Displaced,
    /// Nothing was asked for a long time.
    4 Idle,
    /// The other end was too slow with a request or with taking an answer.
    5 TooSlow,
    /// The other end broke a rule of the wire.
    6 Misbehaved,
    /// A committee of this relay suspended or removed the device. It may come again, and is told
    /// which entry did it.
    7 CutOff,
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn every_close_code_has_a_number_of_its_own() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number().into()), Some(*code));
        }
        assert_eq!(CloseCode::from_number(8), None);
    }
}
