use super::super::number::Number;
use super::super::tests::{committee, helpers, naming, secret, split};
use super::*;
use crate::vectors::for_each_vector;

fn spare_of(shares: &[Share]) -> Result<String, PeerShareError> {
    combine(shares).map(|secret| secret.spare().device_id().to_string())
}

fn spare() -> String {
    secret().spare().device_id().to_string()
}

/// The shares of these helpers, from 0.
fn chosen(threshold: u8, count: u8, places: &[usize]) -> Vec<Share> {
    let mut shares: Vec<Option<Share>> = split(threshold, count).into_iter().map(Some).collect();
    places.iter().map(|at| shares[*at].take().unwrap()).collect()
}

#[test]
fn the_recovery_vectors_come_out_as_they_say() {
    for_each_vector("recovery", |vector| {
        let shares: Vec<Share> = vector
            .body_hexes()
            .iter()
            .map(|bytes| Share::decode(bytes).unwrap_or_else(|e| panic!("{}: {e}", vector.name)))
            .collect();
        let Some(secret) = vector.assert(combine(&shares)) else { return };
        let seeds = data_encoding::HEXLOWER.encode(&secret.spare().encode());
        assert_eq!(seeds, vector.field("device"));
    });
}

#[test]
fn any_threshold_of_the_shares_give_the_secret_back() {
    for threshold in 2..=5 {
        for choice in Choices::new(5, threshold.into()) {
            let shares = chosen(threshold, 5, &choice);
            assert_eq!(spare_of(&shares), Ok(spare()), "{choice:?}");
        }
        let mut all = split(threshold, 5);
        all.reverse();
        assert_eq!(spare_of(&all), Ok(spare()));
    }
    assert_eq!(spare_of(&split(16, 16)), Ok(spare()));
}

#[test]
fn one_share_too_few_gives_nothing() {
    for threshold in 2..=5 {
        let need = usize::from(threshold);
        for choice in Choices::new(5, need - 1) {
            let error = spare_of(&chosen(threshold, 5, &choice));
            assert_eq!(error, Err(PeerShareError::TooFew { have: need - 1, need }));
        }
        // Taken for as many as are needed, they give another number: they do not determine it.
        let shares = split(threshold, 5);
        let few = shares[1..need].iter().map(|share| (share.index(), share.value()));
        let wrong = sharing::interpolate(few);
        assert!(wrong.is_none_or(|wrong| wrong.0 != secret().0.0));
    }
    assert_eq!(spare_of(&[]), Err(PeerShareError::TooFew { have: 0, need: 2 }));
}

#[test]
fn the_same_share_twice_counts_once() {
    let twice = [chosen(2, 3, &[1]), chosen(2, 3, &[1])].into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(spare_of(&twice), Err(PeerShareError::TooFew { have: 1, need: 2 }));
    let all = twice.into_iter().chain(chosen(2, 3, &[2])).collect::<Vec<_>>();
    assert_eq!(spare_of(&all), Ok(spare()));
}

/// Sealed by a helper who would rather that nothing came of it.
#[test]
fn a_share_of_another_splitting_is_survived_when_enough_fit() {
    let mixed = |places: &[usize]| {
        let mut shares = secret().split(committee(), 3, &helpers(5), &[8; 32]).unwrap();
        shares.truncate(2);
        shares.extend(chosen(3, 5, places));
        spare_of(&shares)
    };
    assert_eq!(mixed(&[2, 3, 4]), Ok(spare()));
    assert_eq!(mixed(&[0, 1, 2]), Ok(spare()));
    assert_eq!(mixed(&[3, 4]), Err(PeerShareError::TooFew { have: 2, need: 3 }));
}

/// Whoever could compute the generators' logarithm could open a commitment to another value.
#[test]
fn a_share_that_fits_its_commitments_and_lies_is_survived_when_enough_do_not() {
    let lie = |share: Share| {
        let value = Number(share.value().0 + curve25519_dalek::scalar::Scalar::ONE);
        share.with_value(value)
    };
    let mut shares = split(3, 5);
    let liar = lie(shares.swap_remove(0));
    shares.insert(0, liar);
    assert_eq!(spare_of(&shares), Ok(spare()));
    shares.truncate(3);
    assert_eq!(spare_of(&shares), Err(PeerShareError::NotTheSpare));
    // Its true share beside it has the same place, so that no choice takes both.
    shares.push(chosen(3, 5, &[0]).remove(0));
    assert_eq!(spare_of(&shares), Ok(spare()));
}

#[test]
fn shares_that_name_a_spare_they_do_not_make_are_refused() {
    let shares = naming(&RecoverySecret::generate(&[1; 64]), secret().spare().device_id());
    assert!(Share::decode(&shares[0].encode()).is_ok(), "a helper cannot tell");
    assert_eq!(spare_of(&shares), Err(PeerShareError::NotTheSpare));
}

#[test]
fn every_choice_comes_once_and_no_more_are_tried_than_there_can_be() {
    assert_eq!(Choices::new(3, 2).collect::<Vec<_>>(), [[0, 1], [0, 2], [1, 2]]);
    assert_eq!(Choices::new(2, 3).count(), 0);
    let choices = (2..=16).map(|size| Choices::new(16, size).count());
    assert_eq!(choices.max(), Some(CHOICES_MAX));
}
