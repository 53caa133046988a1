//! Makes what the cipher allows and a proof must not: bytes that open under two file keys.
//!
//! ChaCha20-Poly1305 does not commit to its key. A tag is a polynomial in the blocks of the sealed text;
//! one block of it is chosen so that the polynomials of two keys come to one tag. What opens is then
//! different, and both are taken for whole.

use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes of one sealed chunk, without its tag.
const TEXT_BYTES: usize = 1_024;
const BLOCK_BYTES: usize = 16;
/// The block that is chosen.
const CHOSEN: usize = 5;

/// Nonce, chunk and tag that open under both keys.
pub(crate) fn body_under(keys: [&[u8; 16]; 2]) -> Vec<u8> {
    let nonce = [0x5e; 16];
    let one_time = keys.map(|key| {
        let mut payload_key = [0; 32];
        let hkdf = Hkdf::<Sha256>::new(Some(&nonce), key);
        hkdf.expand(b"payload", &mut payload_key).expect("one block");
        // The only chunk: counter 0, then 1 for the last.
        let block = chacha20_block(&payload_key, 0, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        OneTime::new(&block)
    });
    for try_no in 0..=u8::MAX {
        let mut text = vec![try_no; TEXT_BYTES];
        if let Some(tag) = collide(&one_time, &mut text) {
            return [nonce.as_slice(), &text, &tag.to_le_bytes()].concat();
        }
    }
    panic!("256 tries with one in two each");
}

/// Chooses a block of `text` so that both keys have one tag for it, if one of a few candidates fits.
fn collide(keys: &[OneTime; 2], text: &mut [u8]) -> Option<u128> {
    let blocks = TEXT_BYTES / BLOCK_BYTES + 1;
    let chosen = CHOSEN * BLOCK_BYTES..(CHOSEN + 1) * BLOCK_BYTES;
    text[chosen.clone()].fill(0);
    let pad = Field::new(1, 0);
    // The sums without the chosen block, and what it is multiplied with.
    let factors = keys.each_ref().map(|key| key.r.power(blocks - CHOSEN));
    let sums: Vec<Field> = keys
        .iter()
        .zip(&factors)
        .map(|(key, factor)| key.sum(text).minus(pad.times(*factor)))
        .collect();
    let divisor = factors[0].minus(factors[1]).inverse();
    let wanted = keys[1].s.wrapping_sub(keys[0].s);
    for high in 0..8 {
        // The difference of the two sums, as an integer of either sign.
        let difference = match high {
            0..4 => Field::new(high, wanted).reduced(),
            _ => Field::default().minus(Field::new(high - 4, wanted.wrapping_neg()).reduced()),
        };
        let block = difference.minus(sums[0]).plus(sums[1]).times(divisor);
        if block.high != 1 {
            continue;
        }
        text[chosen.clone()].copy_from_slice(&block.low.to_le_bytes());
        let [one, other] = keys.each_ref().map(|key| key.tag(text));
        if one == other {
            return Some(one);
        }
    }
    None
}

/// The key of one Poly1305.
struct OneTime {
    r: Field,
    s: u128,
}

impl OneTime {
    fn new(block: &[u8; 64]) -> Self {
        let half = |at: usize| {
            u128::from_le_bytes(block[at..at + BLOCK_BYTES].try_into().expect("16 bytes"))
        };
        let r = half(0) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self { r: Field::new(0, r), s: half(BLOCK_BYTES) }
    }

    /// The polynomial over whole blocks of sealed text, without associated data.
    fn sum(&self, text: &[u8]) -> Field {
        let mut lengths = [0; BLOCK_BYTES];
        lengths[8..].copy_from_slice(&(text.len() as u64).to_le_bytes());
        let blocks = text.chunks(BLOCK_BYTES).chain([lengths.as_slice()]);
        blocks.fold(Field::default(), |sum, block| {
            let low = u128::from_le_bytes(block.try_into().expect("whole blocks"));
            sum.plus(Field::new(1, low)).times(self.r)
        })
    }

    fn tag(&self, text: &[u8]) -> u128 {
        self.sum(text).low.wrapping_add(self.s)
    }
}

/// A number modulo 2^130 − 5: `high` · 2^128 + `low`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Field {
    high: u128,
    low: u128,
}

const P: Field = Field { high: 3, low: u128::MAX - 4 };

impl Field {
    fn new(high: u128, low: u128) -> Self {
        Self { high, low }
    }

    fn reduced(self) -> Self {
        let is_below = (self.high, self.low) < (P.high, P.low);
        if is_below { self } else { self.less(P).reduced() }
    }

    /// Plain subtraction; `other` is not larger.
    fn less(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { high: self.high - other.high - u128::from(borrow), low }
    }

    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high + other.high + u128::from(carry), low }.reduced()
    }

    fn minus(self, other: Self) -> Self {
        self.plus(P.less(other.reduced()))
    }

    fn times(self, other: Self) -> Self {
        let bit = |at: u32| {
            if at >= 128 { other.high >> (at - 128) & 1 } else { other.low >> at & 1 }
        };
        (0..130).rev().fold(Self::default(), |product, at| {
            let doubled = product.plus(product);
            if bit(at) == 1 { doubled.plus(self) } else { doubled }
        })
    }

    fn power(self, exponent: usize) -> Self {
        (0..exponent).fold(Self::new(0, 1), |product, _| product.times(self))
    }

    /// By Fermat: the power P − 2.
    fn inverse(self) -> Self {
        let exponent = P.less(Self::new(0, 2));
        let bit = |at: u32| {
            if at >= 128 { exponent.high >> (at - 128) & 1 } else { exponent.low >> at & 1 }
        };
        (0..130).rev().fold(Self::new(0, 1), |power, at| {
            let squared = power.times(power);
            if bit(at) == 1 { squared.times(self) } else { squared }
        })
    }
}

/// RFC 8439 §2.3.
fn chacha20_block(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [u8; 64] {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("4 bytes"));
    let mut state = [0_u32; 16];
    state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    for (slot, bytes) in state[4..12].iter_mut().zip(key.chunks(4)) {
        *slot = word(bytes);
    }
    state[12] = counter;
    for (slot, bytes) in state[13..].iter_mut().zip(nonce.chunks(4)) {
        *slot = word(bytes);
    }
    let mut mixed = state;
    for _ in 0..10 {
        for column in 0..4 {
            quarter(&mut mixed, [column, column + 4, column + 8, column + 12]);
        }
        for at in 0..4 {
            quarter(&mut mixed, [at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4]);
        }
    }
    let mut block = [0; 64];
    for (bytes, (one, other)) in block.chunks_mut(4).zip(mixed.iter().zip(&state)) {
        bytes.copy_from_slice(&one.wrapping_add(*other).to_le_bytes());
    }
    block
}

fn quarter(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (left, right) in [(16, 12), (8, 7)] {
        state[a] = state[a].wrapping_add(state[b]);
        state[d] = (state[d] ^ state[a]).rotate_left(left);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_left(right);
    }
}
