//! What members, strangers and the relay with them sign that no rule admits. Each row of the table is one misdeed: an
//! honest relay refuses it by that code; one that lets it in is caught by who reads, whose vault shows what it showed
//! before. Before and after, the same reader believes the same relay.

use sealpost_protocol::change::{Change, Lease, Policy, Role, Target};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Entry, Header, Kind};
use sealpost_protocol::forget::Forget;
use sealpost_protocol::frame::{Checkpointed, HeadState, Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{DeviceId, LeafIndex, MemberNumber};
use sealpost_protocol::world::{self, TestDevice, World};
use sealpost_tests::home::Home;
use sealpost_tests::liar::leaf;
use sealpost_tests::rogue::Rogue;

use crate::cut_off::let_in;
use crate::lies::{End, LIE, Scene};
use crate::programs;

/// What somebody signs that no rule admits: the threats it is in, the entry, what an honest relay says to it (nothing
/// where it is in the log already), and how it ends when the relay lets it in behind its own checks.
struct Misdeed {
    name: &'static str,
    threats: &'static [&'static str],
    entry: fn(&Colluding) -> Vec<u8>,
    code: Option<Code>,
    says: &'static str,
    evidence: Option<&'static str>,
}

const BAD_SIGNATURE: &str = "signature";

const MISDEEDS: &[Misdeed] = &[
    Misdeed {
        name: "a stranger writes a record",
        threats: &["R9"],
        entry: |it| it.stranger_signs(it.stranger.id(), Kind::Record, world::record_file()),
        code: Some(Code::UnknownAuthor),
        says: "the author is not in the roster",
        evidence: None,
    },
    Misdeed {
        name: "a stranger admits itself",
        threats: &["R9"],
        entry: |it| it.stranger_changes(it.stranger.id(), &it.admission()),
        code: Some(Code::UnknownAuthor),
        says: "the author is not in the roster",
        evidence: None,
    },
    Misdeed {
        name: "a member is admitted in a coordinator's name",
        threats: &["R9"],
        entry: |it| it.stranger_changes(it.founder(), &it.admission()),
        code: Some(Code::BadSignature),
        says: BAD_SIGNATURE,
        evidence: Some("rewritten"),
    },
    Misdeed {
        name: "a device is added in its owner's name",
        threats: &["R9"],
        entry: |it| it.stranger_changes(it.founder(), &world::add_device(&it.stranger)),
        code: Some(Code::BadSignature),
        says: BAD_SIGNATURE,
        evidence: Some("rewritten"),
    },
    Misdeed {
        name: "a member is cut off in a coordinator's name",
        threats: &["R9"],
        entry: |it| {
            let target = Target::Member(MemberNumber(2));
            it.stranger_changes(it.founder(), &world::suspend(target))
        },
        code: Some(Code::BadSignature),
        says: BAD_SIGNATURE,
        evidence: Some("rewritten"),
    },
    Misdeed {
        name: "a member writes in another's name",
        threats: &["M1"],
        entry: |it| {
            let header = it.world().header(it.founder(), Kind::Record);
            it.mallory.signed(header, world::record_file())
        },
        code: Some(Code::BadSignature),
        says: BAD_SIGNATURE,
        evidence: Some("rewritten"),
    },
    Misdeed {
        name: "an entry of another committee",
        threats: &["R6"],
        entry: |it| it.scene.relay.log(it.scene.other).pop().expect("there is one"),
        code: Some(Code::OtherLog),
        says: "the entry belongs to another committee",
        evidence: None,
    },
    Misdeed {
        name: "an old entry again",
        threats: &["R3", "R6"],
        entry: |it| it.world().log.last().expect("there is one").clone(),
        code: None,
        says: "does not continue its author's chain",
        evidence: None,
    },
    Misdeed {
        name: "a change of the roster that was kept back until others came before it",
        threats: &["R3b"],
        entry: |it| it.kept_back.clone(),
        code: Some(Code::StaleRoster),
        says: "stale",
        evidence: None,
    },
    Misdeed {
        name: "another root seen",
        threats: &["R5", "M5d"],
        entry: |it| it.mallory_writes(|header| header.seen.root = Hash::of(b"another log")),
        code: Some(Code::Disputed),
        says: "saw another log",
        evidence: Some("seen"),
    },
    Misdeed {
        name: "an author's chain that forks",
        threats: &["R3"],
        entry: |it| it.mallory_writes(|header| header.author_prev = Hash::of(b"another")),
        code: Some(Code::AuthorChain),
        says: "does not continue its author's chain",
        evidence: None,
    },
    Misdeed {
        name: "a member who is no coordinator admits somebody",
        threats: &["M5", "R9"],
        entry: |it| {
            let header = it.world().header(it.oona.device.device_id(), Kind::Roster);
            it.oona.signed(header, codec::encode(&it.admission()))
        },
        code: Some(Code::NotEntitled),
        says: "is not admissible",
        evidence: None,
    },
    Misdeed {
        name: "a member forgets another's record",
        threats: &["M5e"],
        entry: |it| {
            let header = it.world().header(it.oona.device.device_id(), Kind::Forget);
            let index = LeafIndex(it.world().log.len() as u64 - 1);
            let leaf = leaf(&it.world().log[it.world().log.len() - 1]);
            it.oona.signed(header, codec::encode(&Forget { index, leaf }))
        },
        code: Some(Code::NotEntitled),
        says: "is not admissible",
        evidence: None,
    },
    Misdeed {
        name: "a header with thousands of stanzas",
        threats: &["M6a"],
        entry: |it| it.mallory_seals(stanzas(4_000)),
        code: Some(Code::BadPayload),
        says: "payload",
        evidence: None,
    },
    Misdeed {
        name: "a work factor that costs",
        threats: &["M3"],
        entry: |it| {
            let file = String::from_utf8_lossy(&world::record_file()).replacen(" 1\n", " 20\n", 1);
            it.mallory_seals(file.into_bytes())
        },
        code: Some(Code::BadPayload),
        says: "payload",
        evidence: None,
    },
    Misdeed {
        name: "brackets within brackets",
        threats: &["M6"],
        entry: |it| it.mallory.signed(it.mallory.header(Kind::Roster), vec![0x81; 200_000]),
        code: Some(Code::BadPayload),
        says: "roster change",
        evidence: None,
    },
    Misdeed {
        name: "a lock for one device too few",
        threats: &["M4"],
        entry: |it| it.mallory_locks(&it.world().active()[1..]),
        code: Some(Code::BadChange),
        says: "roster change",
        evidence: None,
    },
    Misdeed {
        name: "a lock for one device too many",
        threats: &["M4"],
        entry: |it| it.mallory_locks(&[it.world().active(), vec![it.stranger.id()]].concat()),
        code: Some(Code::BadChange),
        says: "roster change",
        evidence: None,
    },
];

/// An age header of so many stanzas.
fn stanzas(count: usize) -> Vec<u8> {
    let one = "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    format!("age-encryption.org/v1\n{}--- AAAA\n", one.repeat(count)).into_bytes()
}

/// A relay that lets in what it should not, and a coordinator who signs anything.
struct Colluding {
    scene: Scene,
    mallory: Rogue,
    /// A member who is no coordinator.
    oona: Rogue,
    stranger: TestDevice,
    /// A change that was honest when it was signed.
    kept_back: Vec<u8>,
}

impl Colluding {
    fn new() -> Self {
        let scene = Scene::new();
        let mut mallory = let_in(&scene.isla, &scene.committee, "mallory", "coordinator");
        let oona = let_in(&scene.isla, &scene.committee, "oona", "member");
        mallory.follow();
        // What comes in time is taken.
        let policy = |days| {
            let lease = Lease { days, ..Policy::default().lease };
            codec::encode(&Change::Policy(Policy { lease, ..Policy::default() }))
        };
        let taken = mallory.push(mallory.header(Kind::Roster), policy(14));
        assert!(taken.is_ok(), "{taken:?}");
        mallory.follow();
        let taken = mallory.push(mallory.header(Kind::Record), world::record_file());
        assert!(taken.is_ok(), "{taken:?}");
        mallory.follow();
        let kept_back = mallory.signed(mallory.header(Kind::Roster), policy(21));
        let petra = Home::of(&programs(), "petra");
        scene.isla.let_in(&scene.committee, &petra);
        scene.baran.sync();
        Self { scene, mallory, oona, stranger: TestDevice::new(77), kept_back }
    }

    fn world(&self) -> &World {
        self.mallory.world()
    }

    fn founder(&self) -> DeviceId {
        let mut devices = self.world().committee.roster().devices();
        devices.find(|(_, device)| device.member == MemberNumber(1)).expect("the founder").0
    }

    fn admission(&self) -> Change {
        Change::Admit(Box::new(self.world().admission(&self.stranger, Role::Coordinator)))
    }

    fn stranger_signs(&self, author: DeviceId, kind: Kind, payload: Vec<u8>) -> Vec<u8> {
        let header = self.world().header(author, kind);
        Entry::sign(header, payload, &self.stranger.signing).encode()
    }

    fn stranger_changes(&self, author: DeviceId, change: &Change) -> Vec<u8> {
        self.stranger_signs(author, Kind::Roster, codec::encode(change))
    }

    fn mallory_writes(&self, misdeed: fn(&mut Header)) -> Vec<u8> {
        let mut header = self.mallory.header(Kind::Record);
        misdeed(&mut header);
        self.mallory.signed(header, world::record_file())
    }

    fn mallory_seals(&self, payload: Vec<u8>) -> Vec<u8> {
        self.mallory.signed(self.mallory.header(Kind::Record), payload)
    }

    fn mallory_locks(&self, devices: &[DeviceId]) -> Vec<u8> {
        let lock = Change::Lock(Box::new(world::lock(9, devices, true)));
        self.mallory.signed(self.mallory.header(Kind::Roster), codec::encode(&lock))
    }

    /// The relay serves this log behind what is verified, under its own signature.
    fn serves(&self, log: Vec<Vec<u8>>) {
        let leaves: Vec<Hash> = log.iter().map(|entry| leaf(entry)).collect();
        let note = self.scene.relay.signs(self.scene.id, &leaves);
        self.scene.relay.lie(move |request, reply| match (request, reply) {
            (Request::Pull(pull), Reply::Entries(_)) => {
                let from = usize::try_from(pull.from.0).expect("small").min(log.len());
                Reply::Entries(log[from..].iter().cloned().map(Into::into).collect())
            }
            (Request::Pull(_), Reply::End(mut end)) => {
                end.checkpoint.clone_from(&note);
                Reply::End(end)
            }
            (Request::Heads(_), Reply::Heads(states)) => {
                let head = Checkpointed { checkpoint: note.clone() };
                Reply::Heads(states.iter().map(|_| HeadState::Other(head.clone())).collect())
            }
            (_, reply) => reply,
        });
    }
}

#[test]
fn what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not() {
    let mut colluding = Colluding::new();
    for misdeed in MISDEEDS {
        colluding.scene.isla_writes();
        colluding.mallory.follow();
        let Misdeed { name, code, says, evidence, .. } = misdeed;
        let entry = (misdeed.entry)(&colluding);
        if let Some(code) = code {
            let refused = colluding.mallory.push_entry(entry.clone());
            assert_eq!(refused, Err(*code), "{name}");
        }
        colluding.serves([colluding.world().log.clone(), vec![entry]].concat());
        let end = End { refused: LIE, says, evidence: *evidence };
        Scene::is_refused(&colluding.scene.baran, &end, name);
        colluding.scene.tells_baran();
    }
}

#[test]
fn a_removal_that_is_withheld_shows_in_what_was_written_after_it() {
    let mut colluding = Colluding::new();
    let before = colluding.scene.relay.log(colluding.scene.id).len();
    let _ = colluding.scene.isla.run(&["member", "suspend", "petra", "--yes"]).exits(0);
    let after = colluding.scene.relay.log(colluding.scene.id).len();
    // Somebody else goes on from there.
    for _ in 0..2 {
        colluding.mallory.follow();
        let header = colluding.mallory.header(Kind::Record);
        let taken = colluding.mallory.push(header, world::record_file());
        assert!(taken.is_ok(), "{taken:?}");
    }
    let mut log = colluding.scene.relay.log(colluding.scene.id);
    log.drain(before..after);
    colluding.serves(log);
    let says = "`seen` does not lie between its author's last and this log's size";
    let end = End { refused: LIE, says, evidence: None };
    Scene::is_refused(&colluding.scene.baran, &end, "a removal is withheld");
    colluding.scene.tells_baran();
    let listed = colluding.scene.baran.run(&["member", "list"]).exits(0).json();
    assert!(listed.to_string().contains("suspended"), "{listed}");
}

/// Which row of the threats the test of this file has in its table.
pub(crate) fn covered() -> impl Iterator<Item = (&'static str, &'static str)> {
    let test = "what_no_rule_admits_is_refused_by_the_relay_and_by_readers_where_it_is_not";
    let rows = MISDEEDS.iter().flat_map(|misdeed| misdeed.threats);
    rows.map(move |row| (*row, test))
}
