use super::*;
use crate::age_header::PeerAgeHeaderError;
use crate::hash::Hash;
use crate::limits::SHARE_BYTES_MAX;

pub(super) fn committee() -> CommitteeId {
    CommitteeId(Hash([0xc0; 32]))
}

pub(super) fn secret() -> RecoverySecret {
    RecoverySecret::generate(&[0x5e; 64])
}

pub(super) fn helpers(count: u8) -> Vec<DeviceId> {
    (1..=count).map(|n| DeviceId(Hash([n; 32]))).collect()
}

pub(super) fn split(threshold: u8, count: u8) -> Vec<Share> {
    secret().split(committee(), threshold, &helpers(count), &[7; 32]).unwrap()
}

/// Two of three shares of `secret` that name another spare than they make.
pub(crate) fn naming(secret: &RecoverySecret, spare: DeviceId) -> Vec<Share> {
    let parts = sharing::split(&secret.0, 2, 3, &[7; 32]).into_iter().zip(helpers(3));
    parts.map(|(part, helper)| Share::new(committee(), spare, helper, 2, part)).collect()
}

fn device(seed: u8) -> Identity {
    Identity::from_seed(&[seed; SEED_BYTES])
}

/// By hand, in Python: the number is `int.from_bytes(b"\x5e" * 64, "little") % l`, each seed
/// `HKDFExpand(SHA256, 32, info)` after `hmac(b"\0" * 32, number.to_bytes(32, "little"))`.
#[test]
fn the_spares_seeds_derive_from_the_secret() {
    let spare = secret().spare();
    let shown = [
        data_encoding::HEXLOWER.encode(spare.signing_key().as_bytes()),
        data_encoding::HEXLOWER.encode(spare.login_key().as_bytes()),
        data_encoding::HEXLOWER.encode(spare.hybrid().seed()),
    ];
    assert_eq!(
        shown,
        [
            "4e87598852dd4023eac229988bf1d5d2d73cbb5bfb70675ba80a15e91f1d1bc4",
            "d25deb57f7523ae419e75e61eb2ede9a1386994fbc1541baca3c586d804ae6a1",
            "3fe26793aaf733d19daf42789799417ebce0320590787a48beb3465a90b2da62"
        ]
    );
}

#[test]
fn a_sealed_share_opens_for_its_helper_alone_and_says_whose_it_is() {
    let [first, second, third] = split(2, 3).try_into().ok().unwrap();
    let file = seal_share(&second, &device(2).recipient());
    let opened = open_share(&file, &device(2)).ok().unwrap();
    assert_eq!(opened.encode(), second.encode());
    assert_eq!((opened.committee(), opened.spare()), (committee(), secret().spare().device_id()));
    assert_eq!((opened.helper(), opened.threshold(), opened.index()), (helpers(3)[1], 2, 2));
    assert_eq!((first.index(), third.index()), (1, 3));
    assert_eq!(open_share(&file, &device(3)).err(), Some(PeerOpenError::WrongKey.into()));
}

/// What a helper got from the log it hands on, sealed to the claiming device.
#[test]
fn shares_that_helpers_seal_anew_bring_the_spare_back() {
    let claimant = device(9);
    let answer = |share: Share| {
        let helper = device(share.index());
        let held = open_share(&seal_share(&share, &helper.recipient()), &helper).ok().unwrap();
        seal_share(&held, &claimant.recipient())
    };
    let answers = split(2, 3).into_iter().skip(1).map(answer);
    let shares: Vec<Share> =
        answers.map(|file| open_share(&file, &claimant).ok().unwrap()).collect();
    let spare = combine(&shares).ok().unwrap().spare();
    assert_eq!(*spare.encode(), *secret().spare().encode());
}

#[test]
fn the_largest_sealed_share_keeps_to_its_limit() {
    let share = split(16, 16).pop().unwrap();
    assert_eq!(share.encode().len(), share::SHARE_TEXT_BYTES_MAX);
    assert_eq!(split(2, 3)[0].encode().len(), 250);
    // age adds a stanza of random length.
    let recipient = device(1).recipient();
    let largest = (0..64).map(|_| seal_share(&share, &recipient).len()).max().unwrap();
    assert!(largest <= SHARE_BYTES_MAX, "{largest}");
}

#[test]
fn a_secret_is_split_among_two_to_sixteen_different_helpers() {
    let refused = |threshold, helpers: &[DeviceId]| {
        secret().split(committee(), threshold, helpers, &[7; 32]).err()
    };
    for (threshold, count) in [(0, 3), (1, 3), (4, 3), (2, 0), (2, 1), (17, 16), (255, 16)] {
        let error = refused(threshold, &helpers(count));
        assert_eq!(error, Some(LocalShareError::Threshold), "{threshold} of {count}");
    }
    for (threshold, count) in [(2, 2), (2, 16), (16, 16)] {
        assert_eq!(refused(threshold, &helpers(count)), None, "{threshold} of {count}");
    }
    assert_eq!(refused(2, &helpers(17)), Some(LocalShareError::Helpers(17)));
    let twice = [helpers(2), helpers(1)].concat();
    assert_eq!(refused(2, &twice), Some(LocalShareError::SameHelper));
}

#[test]
fn other_randomness_gives_other_shares_of_the_same_secret() {
    let again = secret().split(committee(), 2, &helpers(3), &[7; 32]).unwrap();
    let other = secret().split(committee(), 2, &helpers(3), &[8; 32]).unwrap();
    for ((share, again), other) in split(2, 3).iter().zip(&again).zip(&other) {
        assert_eq!(share.encode(), again.encode());
        assert!(share.value() != other.value());
        assert!(!share.is_beside(other));
    }
    assert_eq!(combine(&other).ok().unwrap().spare().device_id(), other[0].spare());
}

#[test]
fn a_changed_file_is_refused() {
    let file = seal_share(&split(2, 3)[0], &device(1).recipient());
    for at in (0..file.len()).step_by(5) {
        let mut changed = file.clone();
        changed[at] ^= 1;
        let error = open_share(&changed, &device(1)).err();
        assert!(matches!(error, Some(PeerShareError::Open(_))), "byte {at}: {error:?}");
    }
    let bomb = format!("age-encryption.org/v1\n{}", "-> a\n\n".repeat(170_000));
    let many = PeerAgeHeaderError::TooManyStanzas { max: age_header::STANZAS_MAX };
    let error = open_share(bomb.as_bytes(), &device(1)).err();
    assert_eq!(error, Some(PeerOpenError::Header(many).into()));
    let long = seal_file([&device(1).recipient() as _], &[0; share::SHARE_TEXT_BYTES_MAX + 1]);
    let error = open_share(&long, &device(1)).err();
    assert!(matches!(error, Some(PeerShareError::Open(PeerOpenError::TooLarge { .. }))));
}
