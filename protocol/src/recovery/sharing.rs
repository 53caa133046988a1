//! Pedersen's verifiable secret sharing over the Ristretto group, as `vsss-rs` computes it. What it
//! leaves in memory is wiped here, for its own types do not do it.

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use hkdf::Hkdf;
use sha2::Sha256;
use vsss_rs::pedersen::PedersenOptions;
use vsss_rs::{
    IdentifierPrimeField, Pedersen, PedersenResult, PedersenVerifierSet, Polynomial,
    PrimeFieldShare, ReadableShareSet, Shamir, Share as _, ValueGroup,
};
use zeroize::Zeroize;

use super::number::{Commitment, Number};
use crate::limits::SHARES_MAX;

const SECOND_GENERATOR_INFO: &[u8] = b"sealpost/1 recovery generator";

type Point = ValueGroup<RistrettoPoint>;
/// A place and the polynomial's value there; or, in a polynomial, a coefficient.
type Valued = PrimeFieldShare<Scalar>;

/// The generator of the blinding part. Nobody knows its logarithm to the first: it comes out of a
/// hash onto the group, and whoever knew it could open a commitment in two ways.
static SECOND_GENERATOR: LazyLock<RistrettoPoint> = LazyLock::new(|| {
    let mut uniform = [0; 64];
    Hkdf::<Sha256>::new(None, &[])
        .expand(SECOND_GENERATOR_INFO, &mut uniform)
        .expect("64 bytes are two blocks of SHA-256");
    RistrettoPoint::from_uniform_bytes(&uniform)
});

/// What one helper gets: the values of both polynomials at `index`, and the commitments to their
/// coefficients, as many as the threshold.
pub(super) struct Part {
    pub(super) index: u8,
    pub(super) value: Number,
    pub(super) blinding: Number,
    pub(super) commitments: Vec<Commitment>,
}

/// Splits `secret` into `count` parts, of which any `threshold` give it back. The caller has tested
/// both numbers.
pub(super) fn split(secret: &Number, threshold: u8, count: usize, random: &[u8; 32]) -> Vec<Part> {
    let secret = Wiped(vec![valued(0, secret)]);
    let options = PedersenOptions {
        secret: &secret.0[0].value,
        blinder: None,
        secret_generator: Some(ValueGroup(RISTRETTO_BASEPOINT_POINT)),
        blinder_generator: Some(ValueGroup(*SECOND_GENERATOR)),
    };
    let split = Sharing::split_secret_with_ids_and_blind_verifiers(
        usize::from(threshold),
        count,
        &options,
        ChaCha20Rng::from_seed(*random),
        (1_u8..).map(place),
    )
    .expect("numbers that have been tested, and generators that differ");
    let commitments: Vec<Commitment> =
        <Vec<Point> as PedersenVerifierSet<Valued, Point>>::blind_verifiers(&split.commitments)
            .iter()
            .map(|point| Commitment(point.0))
            .collect();
    let values = split.values.0.iter().zip(&split.blindings.0);
    let part = |(index, (value, blinding)): (u8, (&Valued, &Valued))| Part {
        index,
        value: Number(value.value.0),
        blinding: Number(blinding.value.0),
        commitments: commitments.clone(),
    };
    (1_u8..).zip(values).map(part).collect()
}

/// Whether the values at `index` are those that were committed to.
pub(super) fn fits(
    index: u8,
    value: &Number,
    blinding: &Number,
    commitments: &[Commitment],
) -> bool {
    let points: Vec<Point> = commitments.iter().map(|point| ValueGroup(point.0)).collect();
    let set = <Vec<Point> as PedersenVerifierSet<Valued, Point>>::with_generators_and_verifiers(
        ValueGroup(RISTRETTO_BASEPOINT_POINT),
        ValueGroup(*SECOND_GENERATOR),
        &points,
    );
    let pair = Wiped(vec![valued(index, value), valued(index, blinding)]);
    set.verify_share_and_blinder(&pair.0[0], &pair.0[1]).is_ok()
}

/// The secret that exactly these values give, if their indices differ. Whether it is the one that
/// was split shows in what derives from it.
pub(super) fn interpolate<'a>(values: impl Iterator<Item = (u8, &'a Number)>) -> Option<Number> {
    let mut wiped = Wiped(Vec::with_capacity(SHARES_MAX));
    wiped.0.extend(values.map(|(index, value)| valued(index, value)));
    wiped.combine().ok().map(|secret| Number(secret.0))
}

fn place(index: u8) -> IdentifierPrimeField<Scalar> {
    IdentifierPrimeField(Scalar::from(index))
}

fn valued(index: u8, value: &Number) -> Valued {
    Valued::with_identifier_and_value(place(index), IdentifierPrimeField(value.0))
}

/// How `vsss-rs` is to keep what it computes.
struct Sharing;

impl Shamir<Valued> for Sharing {
    type InnerPolynomial = Wiped;
    type ShareSet = Wiped;
}

impl Pedersen<Valued, Point> for Sharing {
    type FeldmanVerifierSet = Vec<Point>;
    type PedersenVerifierSet = Vec<Point>;
    type PedersenResult = Split;
}

/// Shares, or a polynomial: its coefficients stand where shares have their places, but for the
/// first. Wiped when dropped.
struct Wiped(Vec<Valued>);

impl Drop for Wiped {
    fn drop(&mut self) {
        for valued in &mut self.0 {
            valued.identifier.0.zeroize();
            valued.value.0.zeroize();
        }
    }
}

impl AsRef<[Valued]> for Wiped {
    fn as_ref(&self) -> &[Valued] {
        &self.0
    }
}

impl AsMut<[Valued]> for Wiped {
    fn as_mut(&mut self) -> &mut [Valued] {
        &mut self.0
    }
}

impl vsss_rs::WriteableShareSet<Valued> for Wiped {
    fn create(size_hint: usize) -> Self {
        Self(vec![Valued::default(); size_hint])
    }
}

impl Polynomial<Valued> for Wiped {
    fn create(size_hint: usize) -> Self {
        Self(vec![Valued::default(); size_hint])
    }

    fn coefficients(&self) -> &[Valued] {
        &self.0
    }

    fn coefficients_mut(&mut self) -> &mut [Valued] {
        &mut self.0
    }
}

/// What splitting gives. The bare commitments hide nothing from a quantum computer and are wiped
/// with the blinding factor: only the blinded ones leave this module.
struct Split {
    blinder: IdentifierPrimeField<Scalar>,
    values: Wiped,
    blindings: Wiped,
    bare: Vec<Point>,
    commitments: Vec<Point>,
}

impl PedersenResult<Valued, Point> for Split {
    type ShareSet = Wiped;
    type FeldmanVerifierSet = Vec<Point>;
    type PedersenVerifierSet = Vec<Point>;

    fn new(
        blinder: IdentifierPrimeField<Scalar>,
        values: Wiped,
        blindings: Wiped,
        bare: Vec<Point>,
        commitments: Vec<Point>,
    ) -> Self {
        Self { blinder, values, blindings, bare, commitments }
    }

    fn blinder(&self) -> &IdentifierPrimeField<Scalar> {
        &self.blinder
    }

    fn secret_shares(&self) -> &Wiped {
        &self.values
    }

    fn blinder_shares(&self) -> &Wiped {
        &self.blindings
    }

    fn feldman_verifier_set(&self) -> &Vec<Point> {
        &self.bare
    }

    fn pedersen_verifier_set(&self) -> &Vec<Point> {
        &self.commitments
    }
}

impl Drop for Split {
    fn drop(&mut self) {
        self.blinder.0.zeroize();
        self.bare.iter_mut().for_each(|point| point.0.zeroize());
    }
}

#[cfg(test)]
mod tests;
