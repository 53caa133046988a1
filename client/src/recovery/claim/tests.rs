use super::*;
use crate::clock::Clock;
use crate::vault::{Secrets, Vault, fixture};
use crate::village::{MemoryRelay, Person};
use sealpost_protocol::id::{CommitteeId, InvitationId, UnixMillis};
use sealpost_protocol::invitation::InvitationSecret;
use sealpost_protocol::recovery::{RecoverySecret, seal_share};

/// A new device, and the codes of two helpers who had verified so much of one log.
fn scene() -> (tempfile::TempDir, App, [String; 2]) {
    let mut relay = MemoryRelay::new(9);
    let mut isla = Person::founds("isla", &mut relay);
    let code = |isla: &Person, id: u8| {
        let log = isla.log();
        let fold = log.pulled().expect("pulled");
        let invitation = Invitation {
            address: log.address().clone(),
            committee: fold.id(),
            head: (fold.size(), fold.root()),
            id: InvitationId(Hash([id; 32])),
            secret: InvitationSecret::new(random::secret().expect("random")),
            expires: UnixMillis(1),
            uses: 1,
        };
        invitation.to_text().as_str().to_owned()
    };
    let first = code(&isla, 1);
    isla.writes("one more");
    isla.sends(&mut relay).expect("sent");
    let second = code(&isla, 2);
    let (dir, home) = fixture::home();
    let secrets = Secrets::generate().expect("randomness");
    let own = crate::vault::own::Own {
        handle: "baran".into(),
        country: "TR".into(),
        made: UnixMillis(1),
    };
    let vault = Vault::create(home, &fixture::passphrase(), 1, &secrets, &own).expect("a vault");
    let clock = Clock::Stopped(UnixMillis(1_773_220_440_007));
    (dir, App { vault, device: secrets.device, clock }, [first, second])
}

fn saves(app: &mut App, code: &str) -> (Committee, ClaimOpening) {
    let known = save(app, code, "baran", "TR".parse().expect("a country")).expect("saved");
    match Opening::of(&known) {
        Ok(Some(Opening::Claim(claim))) => (known, claim),
        _ => panic!("no claim"),
    }
}

#[test]
fn every_helper_hears_the_same_number_and_the_log_must_come_to_what_each_had_verified() {
    let (_dir, mut app, [first, second]) = scene();
    let (known, one) = saves(&mut app, &first);
    assert_eq!(known.standing, Known::Joining);
    let (same, again) = saves(&mut app, &first);
    assert_eq!((same.no, again.helpers.len()), (known.no, 1), "the same code is one helper");
    let (_, two) = saves(&mut app, &second);
    assert_eq!(two.safety_number, one.safety_number);
    let sizes: Vec<u64> = two.heads().expect("heads").iter().map(|(size, _)| size.0).collect();
    assert_eq!(sizes, [1, 2]);
    assert_ne!(two.helpers[0].request, two.helpers[1].request);
    let progress = two.progress(&app.device).expect("counted");
    assert_eq!(progress, Progress { asked: 2, shares: 0, threshold: None });
}

/// Answers on so many codes: shares of one secret, k of n.
fn answers(app: &App, committee: CommitteeId, seed: u8, (k, n): (u8, u8)) -> Vec<Asked> {
    let secret = RecoverySecret::generate(&[seed; 64]);
    let helpers: Vec<DeviceId> = (0..n).map(|helper| DeviceId(Hash([helper; 32]))).collect();
    let shares = secret.split(committee, k, &helpers, &[seed; 32]).expect("shared");
    let recipient = app.device.hybrid().recipient();
    let answer = |share: &Share| Asked {
        invitation: String::new(),
        request: String::new(),
        answer: Some(HEXLOWER.encode(&seal_share(share, &recipient))),
    };
    shares.iter().map(answer).collect()
}

#[test]
fn shares_that_helpers_made_up_keep_nobody_from_the_true_spare() {
    let (_dir, mut app, [first, _]) = scene();
    let (known, mut claim) = saves(&mut app, &first);
    let [true_one, made_up] =
        [3, 4].map(|seed| RecoverySecret::generate(&[seed; 64]).spare().device_id());
    claim.helpers = answers(&app, known.id, 4, (2, 2));
    claim.helpers.extend(answers(&app, known.id, 3, (3, 5)).into_iter().take(2));
    let rebuilt_ids = |claim: &ClaimOpening| {
        let spares = rebuilt(&app, &known, claim).expect("some");
        spares.iter().map(DeviceIdentity::device_id).collect::<Vec<_>>()
    };
    assert_eq!(rebuilt_ids(&claim), [made_up], "two of three are too few");
    claim.helpers.extend(answers(&app, known.id, 3, (3, 5)).into_iter().skip(2).take(1));
    assert_eq!(rebuilt_ids(&claim), [true_one, made_up], "the one of more helpers first");
    let progress = claim.progress(&app.device).expect("counted");
    assert_eq!((progress.shares, progress.threshold), (3, Some(3)));
    // One share given in another's place is not counted twice.
    let again = claim.helpers[2].answer.clone().expect("answered");
    let why = claim.fits(&app, &known, &unhex(&again).expect("hex")).expect("looked");
    assert!(why.expect("refused").contains("another helper"));
    let foreign = answers(&app, CommitteeId(Hash([9; 32])), 3, (2, 2));
    let foreign = unhex(foreign[0].answer.as_ref().expect("answered")).expect("hex");
    assert!(claim.fits(&app, &known, &foreign).expect("looked").is_some());
}

#[test]
fn a_claim_can_be_left() {
    let (_dir, mut app, [first, second]) = scene();
    let (known, _) = saves(&mut app, &first);
    forget(&mut app, &known).expect("forgotten");
    assert_eq!(app.vault.read(Read::committees).expect("read").len(), 0);
    // Whoever cannot come back as they were comes in as somebody new.
    saves(&mut app, &first);
    let country = "TR".parse().expect("a country");
    let joining = join::Joining { invitation: &second, handle: "baran".into(), country };
    let joins = join::save_joining(&mut app, &joining).expect("saved");
    assert!(matches!(Opening::of(&joins), Ok(Some(Opening::Join(_)))));
}

#[test]
fn a_device_that_is_in_claims_nothing() {
    let (_dir, mut app, [first, second]) = scene();
    let (known, _) = saves(&mut app, &first);
    app.vault.write(|vault| vault.set_standing(known.no, Known::Active)).expect("set");
    let country = "TR".parse().expect("a country");
    let refused = save(&mut app, &second, "baran", country).map(drop).expect_err("refused");
    assert!(refused.what.contains("in C-"), "{}", refused.what);
    save(&mut app, "no code", "baran", country).map(drop).expect_err("no invitation");
}
