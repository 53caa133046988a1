//! Who was cut off, alone and together with the relay: with all that the device holds nothing opens
//! that was sealed since, and nothing it writes is believed.

use std::collections::BTreeSet;
use std::io::Read;

use sealpost::vault::Vault;
use sealpost::vault::home::Home as VaultHome;
use sealpost_protocol::change::{
    Admit, Approve, Change, Label, Lock, RepairGrant, RepairLink, Restore, Target,
};
use sealpost_protocol::code::Code;
use sealpost_protocol::codec;
use sealpost_protocol::entry::{Header, Kind, UnverifiedEntry};
use sealpost_protocol::frame::{Reply, Request};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::hybrid::Identity;
use sealpost_protocol::id::{DeviceId, Epoch, LeafIndex, MemberNumber, UnixMillis};
use sealpost_protocol::limits;
use sealpost_protocol::seal::EpochSecret;
use sealpost_protocol::world::{self, TestDevice};
use sealpost_tests::home::{Home, PASSPHRASE};
use sealpost_tests::journal;
use sealpost_tests::relay::Relay;
use sealpost_tests::rogue::Rogue;
use sealpost_tests::scene::Scene;
use sealpost_tests::tap::Tap;
use sealpost_tests::village::Village;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::programs;

/// All that somebody's machine holds to open anything with.
struct Seized {
    identities: Vec<Identity>,
    passphrases: Vec<SecretString>,
}

impl Seized {
    /// Everything out of a vault, its passphrase being known.
    fn of(home: &Home) -> Self {
        let opened = Vault::open(VaultHome::new(home.vault()), &PASSPHRASE.to_owned().into());
        let (vault, secrets) = opened.unwrap_or_else(|error| panic!("our own vault: {error}"));
        let mut seized = Self {
            identities: vec![Identity::from_seed(secrets.device.hybrid().seed())],
            passphrases: Vec::new(),
        };
        let epochs = vault.read(|vault| {
            let mut all = Vec::new();
            for known in vault.committees()? {
                for epoch in vault.epochs_held(known.no)? {
                    all.extend(vault.epoch_secret(known.no, epoch)?);
                }
            }
            Ok::<_, sealpost::vault::VaultError>(all)
        });
        for epoch in epochs.expect("a readable vault") {
            let identity: Identity = epoch.expose_secret().parse().expect("an epoch's identity");
            let secret = EpochSecret::generate(identity.seed());
            seized.passphrases.push(secret.record_passphrase());
            seized.identities.push(identity);
        }
        seized
    }

    /// Whether anything at all opens an age file.
    fn opens(&self, file: &[u8]) -> bool {
        let by_identity =
            self.identities.iter().any(|identity| opens_with(file, identity as &dyn age::Identity));
        by_identity
            || self.passphrases.iter().any(|passphrase| {
                let passphrase = passphrase.expose_secret().to_owned().into();
                opens_with(file, &age::scrypt::Identity::new(passphrase))
            })
    }
}

fn opens_with(file: &[u8], identity: &dyn age::Identity) -> bool {
    let Ok(decryptor) = age::Decryptor::new_buffered(file) else { return false };
    let Ok(mut reader) = decryptor.decrypt(std::iter::once(identity)) else { return false };
    reader.read_to_end(&mut Vec::new()).is_ok()
}

/// Every sealed file in an entry, with a word for what it is.
fn sealed_in(entry: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let entry = UnverifiedEntry::decode(entry).expect("an entry");
    let payload = entry.payload().expect("nothing was forgotten");
    if entry.header().kind == Kind::Record {
        return vec![("record", payload.to_vec())];
    }
    let change: Change =
        codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).expect("a change");
    let of_lock = |lock: Lock| {
        let grants = lock.grants.into_iter().map(|grant| ("grant", grant.file.into()));
        let link = lock.link.map(|link| ("link", link.into()));
        grants.chain(link).chain([("label", lock.label.into())]).collect()
    };
    match change {
        Change::Found(found) => of_lock(found.lock),
        Change::Lock(lock) => of_lock(*lock),
        Change::Admit(admit) => {
            let Admit { grants, label, .. } = *admit;
            let grants = grants.into_iter().map(|grant| ("grant", grant.file.into()));
            grants.chain([("label", label.into())]).collect()
        }
        Change::Approve(approve) => {
            let grants = approve.grants.into_iter().map(|grant| ("grant", grant.file.into()));
            grants.chain(approve.label.map(|label| ("label", label.into()))).collect()
        }
        Change::Grant(RepairGrant { file, .. }) => vec![("grant", file.into())],
        Change::Link(RepairLink { file, .. }) => vec![("link", file.into())],
        Change::Label(Label { sealed }) => vec![("label", sealed.into())],
        _ => Vec::new(),
    }
}

fn is_lock(entry: &[u8]) -> bool {
    let entry = UnverifiedEntry::decode(entry).expect("an entry");
    let change = entry.payload().filter(|_| entry.header().kind == Kind::Roster);
    let change =
        change.and_then(|payload| codec::decode(payload, limits::ROSTER_PAYLOAD_BYTES_MAX).ok());
    matches!(change, Some(Change::Lock(_)))
}

#[test]
fn nothing_sealed_after_the_cut_off_opens_with_all_that_the_device_holds() {
    let mut relay = Relay::start(&programs());
    let people = [
        ("isla", "CH", "coordinator"),
        ("baran", "TR", "member"),
        ("selma", "TR", "member"),
        ("mira", "DE", "member"),
    ];
    let village = Village::of(&programs(), &relay, &people);
    let committee = village.committee.as_str();
    let isla = village.home("isla");
    isla.record_new("note", committee, &json!({ "text": "while all were here" }));
    village.everybody_syncs();
    let before = isla.status()["committees"][0]["size"].as_u64().expect("a size");

    let _ = village.run("isla", &["member", "suspend", "baran", "--yes"]).exits(0);
    let _ = village.run("isla", &["member", "remove", "selma", "--yes"]).exits(0);
    // Life goes on, and writes every kind of sealed file.
    isla.record_new("note", committee, &json!({ "text": "after" }));
    let newcomer = Home::in_country(&programs(), "petra", "CH");
    village.let_in(&newcomer, "member");
    newcomer.record_new("note", committee, &json!({ "text": "from a newcomer" }));
    let _ = isla.run(&["committee", "lock", committee, "--yes"]).exits(0);
    let _ = isla.run(&["member", "grant", "petra"]).exits(0);
    village.home("mira").sync();
    village.home("mira").record_new("note", committee, &json!({ "text": "and on" }));

    relay.stop();
    let logs = journal::logs(&relay.data());
    let [(_, log)] = logs.as_slice() else { panic!("one committee") };
    let before = usize::try_from(before).expect("small");
    let mut kinds = BTreeSet::new();
    for handle in ["baran", "selma"] {
        let seized = Seized::of(village.home(handle));
        // What lay open to them then lies open now: the search is not blind.
        let open = log[..before].iter().flat_map(|entry| sealed_in(entry));
        let open: BTreeSet<&str> =
            open.filter(|(_, file)| seized.opens(file)).map(|(what, _)| what).collect();
        assert_eq!(open, BTreeSet::from(["grant", "label", "record"]), "{handle}");

        // From the lock that followed the suspension on, nothing does.
        let cut = before + log[before..].iter().position(|entry| is_lock(entry)).expect("a lock");
        let last = log.len();
        let removal = if handle == "selma" { cut + 1 } else { cut };
        let cut = removal + log[removal..last].iter().position(|e| is_lock(e)).expect("a lock");
        for (index, entry) in log.iter().enumerate().skip(cut) {
            for (what, file) in sealed_in(entry) {
                kinds.insert(what);
                assert!(!seized.opens(&file), "{handle} opens the {what} in entry {index}");
            }
        }
    }
    assert_eq!(kinds, BTreeSet::from(["grant", "label", "link", "record"]));
}

#[test]
fn an_open_watch_ends_with_the_entry_that_cut_it_off() {
    let Scene { relay: _relay, isla, baran, committee } = Scene::new(&programs());
    let mut watching = baran.start(&["sync", "--watch"]);
    assert!(watching.line().is_some(), "the first round");
    let suspended = isla.run(&["member", "suspend", "baran", "--yes"]).exits(0).json();
    let entry = &suspended["committees"][0]["entry"];
    // It ends by itself, long before it would have asked again.
    let failure = watching.finish().fails(5, "not-allowed").failure();
    let what = failure["what"].as_str().expect("words");
    assert!(what.contains(&format!("suspended in {committee} by isla, entry {entry}")), "{what}");
    isla.record_new("note", &committee, &json!({ "text": "not for him" }));
    assert!(baran.records().is_empty());
}

/// A committee on a relay that lies, with an honest reader who is a little behind, and a coordinator
/// who was cut off.
struct Colluding {
    relay: Tap,
    founder: Home,
    reader: Home,
    mallory: Rogue,
    /// Sees the whole log.
    witness: Rogue,
    committee: String,
}

impl Colluding {
    fn new() -> Self {
        let programs = programs();
        let relay = Tap::start();
        let founder = Home::of(&programs, "isla");
        let reader = Home::of(&programs, "baran");
        let committee = founder.found(relay.address(), &relay.permit(), "Harbour");
        founder.let_in(&committee, &reader);
        let mut mallory = let_in(&founder, &committee, "mallory", "coordinator");
        let witness = let_in(&founder, &committee, "nadia", "member");
        mallory.follow();
        reader.sync();
        let mut colluding = Self { relay, founder, reader, mallory, witness, committee };
        let suspend = ["member", "suspend", "mallory", "--yes"];
        let _ = colluding.founder.run(&suspend).exits(0);
        colluding.founder.record_new("note", &colluding.committee, &json!({ "text": "after" }));
        colluding.witness.follow();
        colluding.mallory.reconnect();
        colluding
    }

    fn id(&self) -> DeviceId {
        self.mallory.device.device_id()
    }

    /// What mallory would write on top of all that there is.
    fn header(&self, kind: Kind) -> Header {
        self.witness.world().header(self.id(), kind)
    }

    fn everything(&self) -> Vec<(&'static str, Kind, Vec<u8>)> {
        let own = self.witness.world().committee.roster().device(self.id()).expect("known").member;
        let friend = TestDevice::new(77);
        let admit =
            self.witness.world().admission(&friend, sealpost_protocol::change::Role::Coordinator);
        let restore = Restore { target: Target::Member(own) };
        let approve = Approve { entry: Hash::of(b"a proposal"), grants: vec![], label: None };
        let remove = sealpost_protocol::change::Remove { member: MemberNumber(1) };
        let devices = self.witness.world().active();
        let changes = [
            ("restore", Change::Restore(restore)),
            ("admit", Change::Admit(Box::new(admit))),
            ("approve", Change::Approve(approve)),
            ("remove", Change::Remove(remove)),
            ("lock", Change::Lock(Box::new(world::lock(201, &devices, true)))),
        ];
        let mut all = vec![("record", Kind::Record, world::record_file())];
        all.extend(changes.map(|(name, change)| (name, Kind::Roster, codec::encode(&change))));
        all
    }

    /// The relay serves one more entry than it should, under its own signature.
    fn serves(&self, entry: Vec<u8>) {
        let leaf = |bytes: &Vec<u8>| UnverifiedEntry::decode(bytes).expect("an entry").leaf();
        let log = &self.witness.world().log;
        let leaves: Vec<Hash> = log.iter().chain([&entry]).map(leaf).collect();
        let note = self.relay.signs(self.witness.world().committee.id(), &leaves);
        self.relay.lie(move |request, reply| match (request, reply) {
            (Request::Pull(_), Reply::Entries(mut entries)) => {
                entries.push(entry.clone().into());
                Reply::Entries(entries)
            }
            (Request::Pull(_), Reply::End(mut end)) => {
                end.checkpoint = note.clone();
                Reply::End(end)
            }
            (_, reply) => reply,
        });
    }
}

pub(crate) fn let_in(founder: &Home, committee: &str, handle: &str, role: &str) -> Rogue {
    let new = ["invite", "new", "--committee", committee, "--role", role];
    let invitation = founder.run(&new).exits(0).field("invitation");
    let mut rogue = Rogue::ask(&invitation, handle);
    founder.sync();
    let _ = founder.admit(rogue.among(&founder.asking())).exits(0);
    rogue.follow();
    rogue
}

#[test]
fn who_was_cut_off_writes_approves_restores_and_admits_nothing() {
    let colluding = Colluding::new();
    for (name, kind, payload) in colluding.everything() {
        let refused = colluding.mallory.push(colluding.header(kind), payload);
        assert_eq!(refused, Err(Code::NotActive), "{name}");
    }
}

#[test]
fn what_the_relay_lets_in_behind_its_checks_no_honest_client_believes() {
    let colluding = Colluding::new();
    let suspended_at = {
        let roster = colluding.witness.world().committee.roster();
        match roster.standing_of(colluding.id()) {
            Some(sealpost_protocol::roster::Standing::Suspended(LeafIndex(at))) => at,
            other => panic!("{other:?}"),
        }
    };
    let before = colluding.reader.records();
    for (name, kind, payload) in colluding.everything() {
        let honest_time = colluding.header(kind);
        let back_dated = Header { made_at: UnixMillis(1_500_000_000_000), ..honest_time.clone() };
        // Signed before the cut-off, and kept back by the relay since.
        let kept_back = colluding.mallory.header(kind);
        assert!(kept_back.seen.size.0 <= suspended_at && kept_back.epoch == Epoch(1));
        for header in [honest_time, back_dated, kept_back] {
            colluding.serves(colluding.mallory.signed(header, payload.clone()));
            let refused = colluding.reader.run(&["sync"]).fails(7, "verification-failed");
            let _ = refused.says("the author is no longer active");
            assert_eq!(colluding.reader.records(), before, "{name}");
        }
    }
    // The same relay without the entry is believed.
    colluding.relay.tell_the_truth();
    colluding.reader.sync();
    assert_eq!(colluding.reader.records().len(), before.len() + 1);
}
