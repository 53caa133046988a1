//! A member who misbehaves: let in like everybody else, with the keys of the present lock, and
//! writing over the wire whatever a test thinks of.

use sealpost_protocol::change::{Change, Grant};
use sealpost_protocol::checkpoint::{Checkpoint, Cosignature, Cosigner, Origin};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::committee::Committee;
use sealpost_protocol::entry::{Entry, Header, Kind, UnverifiedEntry};
use sealpost_protocol::frame::{
    CosignatureOf, PullRequest, PushRequest, PushResult, Pushed, Refused, Reply, Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex, TreeSize};
use sealpost_protocol::identity::DeviceIdentity;
use sealpost_protocol::invitation::{Invitation, JoinRequest};
use sealpost_protocol::limits;
use sealpost_protocol::record::{Binding, Fields, RecordBody};
use sealpost_protocol::seal::{EpochKeys, open_grant, safety_number, seal_join_request};
use sealpost_protocol::world::{Held, World};
use sealpost_relay::clock;

use crate::home::Asking;
use crate::peer::{Manner, Peer, replies};

/// A member's device without a client.
pub struct Rogue {
    /// Its keys.
    pub device: DeviceIdentity,
    /// What the coordinator is to be told.
    pub safety_number: String,
    committee: CommitteeId,
    address: String,
    peer: Peer,
    world: Option<World>,
}

impl Rogue {
    /// Asks to be let in with an invitation.
    ///
    /// # Panics
    /// When the invitation or the handle is none, and when the relay refuses.
    #[track_caller]
    pub fn ask(invitation: &str, handle: &str) -> Self {
        let invitation = Invitation::from_text(invitation).expect("an invitation");
        let device = DeviceIdentity::generate(&random());
        let country = "ZZ".parse().expect("two letters");
        let card = device.card().as_bytes().to_vec();
        let request = JoinRequest::new(card, random(), handle.to_owned(), country);
        let request = request.expect("a sound handle");
        let safety_number = safety_number(invitation.committee, &request);
        let sealed = seal_join_request(invitation.id, &invitation.secret, &request);
        let manner = Manner::of(device.login_key());
        let address = invitation.address.to_string();
        let peer = Peer::connect(&address, &manner).expect("the relay answers");
        let answer = replies(&peer.ask(&Request::Join(sealed.expect("it is short"))));
        assert!(matches!(answer.as_slice(), [Reply::Done(_)]), "{answer:?}");
        let committee = invitation.committee;
        Self { device, safety_number, committee, address, peer, world: None }
    }

    /// The row in the coordinator's list that is this device's.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn among<'a>(&self, asking: &'a [Asking]) -> &'a Asking {
        let own = asking.iter().find(|asking| asking.safety_number == self.safety_number);
        own.unwrap_or_else(|| panic!("{} is not in {asking:?}", self.safety_number))
    }

    /// Takes the log as it is now.
    ///
    /// # Panics
    /// When the relay does not serve it, or serves one that is not sound.
    #[track_caller]
    pub fn follow(&mut self) {
        let from = self.world.as_ref().map_or(TreeSize(0), |world| world.committee.size());
        let request = Request::Pull(PullRequest { committee: self.committee, from });
        for reply in replies(&self.peer.ask(&request)) {
            match reply {
                Reply::Entries(entries) => entries.iter().for_each(|entry| self.take(entry)),
                Reply::End(_) => {}
                other => panic!("not served: {other:?}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let entry = UnverifiedEntry::decode(bytes).expect("an entry");
        let Some(world) = &mut self.world else {
            let (committee, admitted) = Committee::found(entry).expect("a founding entry");
            let (nodes, log) = (admitted.nodes, vec![bytes.to_vec()]);
            self.world = Some(World { committee, nodes, log });
            return;
        };
        let World { committee, nodes, log } = world;
        let signed = committee.verify_signature(entry).expect("a sound signature");
        let admitted = committee.admit_logged(signed, &Held { nodes, log });
        let Ok(admitted) = admitted else { panic!("an entry that is not admissible") };
        nodes.extend(&admitted.nodes);
        log.push(bytes.to_vec());
    }

    /// The log that was followed.
    ///
    /// # Panics
    /// Before [`Rogue::follow`].
    #[track_caller]
    pub fn world(&self) -> &World {
        self.world.as_ref().expect("it was followed")
    }

    /// The present lock's keys, out of this device's grant.
    ///
    /// # Panics
    /// When it was granted none.
    #[track_caller]
    pub fn keys(&self) -> EpochKeys {
        let expected = &self.world().committee.roster().current_lock().recipient;
        let own = |grant: &Grant| grant.device == self.device.device_id();
        let grants = self.world().log.iter().flat_map(|bytes| grants(bytes)).filter(own);
        let opened = |grant: Grant| open_grant(&grant.file, self.device.hybrid(), expected).ok();
        EpochKeys::new(grants.filter_map(opened).last().expect("a grant of the present lock"))
    }

    /// Where an honest record of this device would stand.
    pub fn binding(&self) -> Binding {
        let committee = &self.world().committee;
        let epoch = committee.roster().epoch();
        Binding { committee: committee.id(), author: self.device.device_id(), epoch }
    }

    /// A record's payload, sealed to the present lock, and its `content`: honest if `binding` is.
    ///
    /// # Panics
    /// When the fields break a rule.
    #[track_caller]
    pub fn sealed(&self, fields: Fields, id: &str, binding: &Binding) -> (Vec<u8>, Hash) {
        let id = id.parse().expect("a ULID");
        let bound = RecordBody { fields }.bind(binding, &id, &random()).expect("sound fields");
        let sealed = self.keys().seal_record(&bound.plaintext);
        (sealed.expect("it is short"), bound.content)
    }

    /// The header of this device's next entry.
    pub fn header(&self, kind: Kind) -> Header {
        self.world().header(self.device.device_id(), kind)
    }

    /// Connects anew, as after having been cut off.
    ///
    /// # Panics
    /// When the relay does not answer.
    #[track_caller]
    pub fn reconnect(&mut self) {
        let manner = Manner::of(self.device.login_key());
        self.peer = Peer::connect(&self.address, &manner).expect("the relay answers");
    }

    /// That this device vouches for any log of so many entries, as a relay serves it.
    ///
    /// # Panics
    /// Before [`Rogue::follow`].
    #[track_caller]
    pub fn vouches(&self, size: TreeSize, root: Hash) -> CosignatureOf {
        let origin = Origin { committee: self.committee, term: self.world().committee.term() };
        let (checkpoint, device) = (Checkpoint { origin, size, root }, self.device.device_id());
        let (cosigner, key) = (Cosigner::Device(device), self.device.signing_key());
        let cosignature = Cosignature::sign(&checkpoint, cosigner, key, clock::now());
        CosignatureOf { device, size, root, cosignature: cosignature.text().to_owned() }
    }

    /// An entry of this device's, signed and not sent.
    pub fn signed(&self, header: Header, payload: Vec<u8>) -> Vec<u8> {
        Entry::sign(header, payload, self.device.signing_key()).encode()
    }

    /// Signs an entry and pushes it.
    ///
    /// # Errors
    /// The relay's code.
    ///
    /// # Panics
    /// When the relay answers something else.
    #[track_caller]
    pub fn push(&self, header: Header, payload: Vec<u8>) -> Result<LeafIndex, Code> {
        self.push_entry(self.signed(header, payload))
    }

    /// Pushes an entry, whoever signed it.
    ///
    /// # Errors
    /// The relay's code.
    ///
    /// # Panics
    /// When the relay answers something else.
    #[track_caller]
    pub fn push_entry(&self, entry: Vec<u8>) -> Result<LeafIndex, Code> {
        let entries = vec![entry.into()];
        let request = Request::Push(PushRequest { committee: self.committee, entries });
        let answer = replies(&self.peer.ask(&request));
        match answer.as_slice() {
            [Reply::Refused(Refused { code })] => Err(*code),
            [Reply::NotActive(_)] => Err(Code::NotActive),
            [Reply::Pushed(Pushed { results, .. })] => match results.as_slice() {
                [PushResult::Accepted(accepted)] => Ok(accepted.index),
                [PushResult::Refused(Refused { code })] => Err(*code),
                other => panic!("not one result: {other:?}"),
            },
            other => panic!("no answer to a push: {other:?}"),
        }
    }
}

/// The grants that an entry hands out.
fn grants(entry: &[u8]) -> Vec<Grant> {
    let entry = UnverifiedEntry::decode(entry).expect("it was followed");
    let payload = entry.payload().filter(|_| entry.header().kind == Kind::Roster);
    let change = payload
        .and_then(|bytes| codec::decode::<Change>(bytes, limits::ROSTER_PAYLOAD_BYTES_MAX).ok());
    match change {
        Some(Change::Found(found)) => found.lock.grants,
        Some(Change::Admit(admit)) => admit.grants,
        Some(Change::Lock(lock)) => lock.grants,
        _ => Vec::new(),
    }
}

fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut random = [0; LENGTH];
    getrandom::fill(&mut random).expect("the system has randomness");
    random
}
