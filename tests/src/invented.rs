//! A committee of invented devices on a real relay, founded over the wire without the client: for
//! what no client would ask.

use ed25519_dalek::SigningKey;
use sealpost_protocol::change::{Change, Relay};
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::Entry;
use sealpost_protocol::frame::{FoundRequest, Reply, Request};
use sealpost_protocol::id::CommitteeId;
use sealpost_protocol::permit::code_from_text;
use sealpost_protocol::world::{
    TestDevice, World, founding_change, founding_header, record_file, reread,
};

use crate::peer::{Manner, Peer, replies};

/// A founder and their committee.
pub struct Invented {
    /// Its only member's device.
    pub founder: TestDevice,
    /// Its id.
    pub committee: CommitteeId,
    /// Its log, as far as it was made here.
    pub world: World,
}

impl Invented {
    /// Founds a committee on the relay at `address`; its founder is made of `seed`.
    ///
    /// # Panics
    /// When the relay refuses.
    #[track_caller]
    pub fn found(address: &str, permit: &str, seed: u8) -> Self {
        let founder = TestDevice::new(seed);
        let home = Relay {
            address: address.parse().expect("a relay's address"),
            country: "CH".parse().expect("two letters"),
        };
        let mut change = founding_change(&founder);
        change.home = home;
        let payload = codec::encode(&Change::Found(Box::new(change)));
        let signed = Entry::sign(founding_header(&founder), payload, &founder.signing);
        let committee = CommitteeId(signed.leaf());
        let permit = code_from_text(permit).expect("a permit's code");
        let request = Request::Found(FoundRequest { permit, entry: signed.encode().into() });
        let peer = Peer::connect(address, &Manner::of(&login(seed))).expect("the relay answers");
        let answer = replies(&peer.ask(&request));
        assert!(matches!(answer.as_slice(), [Reply::Pushed(_)]), "{answer:?}");
        let (fold, admitted) = Committee::found(reread(&signed)).expect("the relay took it");
        let log = vec![admitted.entry.encode()];
        let world = World { committee: fold, nodes: admitted.nodes, log };
        Self { founder, committee, world }
    }

    /// The founder's next record, signed and not sent.
    pub fn next_record(&self) -> Vec<u8> {
        self.record_of(record_file())
    }

    /// The founder's next record, with a payload of one's own.
    pub fn record_of(&self, payload: Vec<u8>) -> Vec<u8> {
        let header = self.world.record_header(&self.founder);
        Entry::sign(header, payload, &self.founder.signing).encode()
    }
}

/// The login key of the invented device that is made of `seed`.
pub fn login(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed ^ 0x80; 32])
}
