//! Shares of a spare's secret, one a file, and sets of them.

use super::{with, with_byte, write};
use crate::hash::Hash;
use crate::id::{CommitteeId, DeviceId};
use crate::recovery::tests::naming;
use crate::recovery::{RecoverySecret, Share, combine};

/// The order of the group, little-endian: the first number that is none.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// Where an encoded share has its threshold, index, value, blinding and first commitment.
const THRESHOLD: usize = 1 + 3 * 35 + 1;
const INDEX: usize = THRESHOLD + 2;
const VALUE: usize = INDEX + 4;
const BLINDING: usize = VALUE + 35;
const LIST: usize = BLINDING + 33;
const COMMITMENT: usize = LIST + 3;

fn secret() -> RecoverySecret {
    RecoverySecret::generate(&[0x5e; 64])
}

fn split(threshold: u8, count: u8, random: u8) -> Vec<Share> {
    let committee = CommitteeId(Hash([0xc0; 32]));
    let helpers: Vec<DeviceId> = (1..=count).map(|n| DeviceId(Hash([n; 32]))).collect();
    secret().split(committee, threshold, &helpers, &[random; 32]).unwrap()
}

pub(super) fn write_all() {
    sound();
    broken();
    sets();
}

fn sound() {
    let accept = |name: &str, comment: &str, share: &Share| {
        let fields = [
            ("comment", comment.to_owned()),
            ("committee", share.committee().to_string()),
            ("spare", share.spare().to_string()),
            ("helper", share.helper().to_string()),
            ("threshold", share.threshold().to_string()),
            ("index", share.index().to_string()),
            ("drill-code", share.drill_code()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        write("share", name, "success", &fields, &[share.encode().to_vec()]);
    };
    accept("share", "the first of three shares, of which two are enough", &split(2, 3, 7)[0]);
    accept("longest", "the last of sixteen, all of which are needed", &split(16, 16, 7)[15]);
}

fn broken() {
    let bytes = split(2, 3, 7)[0].encode().to_vec();
    let refuse = |name: &str, expect: &str, comment: &str, bytes: Vec<u8>| {
        assert!(Share::decode(&bytes).is_err(), "{name}");
        write("share", name, expect, &[("comment", comment)], &[bytes]);
    };
    let at =
        |place: usize, part: &[u8]| [&bytes[..place], part, &bytes[place + part.len()..]].concat();
    refuse("threshold_1", "Threshold", "one alone is enough", with_byte(&bytes, THRESHOLD, 1));
    refuse(
        "threshold_3",
        "Threshold",
        "three, and two commitments",
        with_byte(&bytes, THRESHOLD, 3),
    );
    let one = with_byte(&with_byte(&bytes, THRESHOLD, 1), LIST, 0x81);
    let one = one[..bytes.len() - 34].to_vec();
    refuse("one_commitment", "Threshold", "one alone is enough, and one commitment", one);
    refuse("index_0", "Index", "the place of the secret itself", with_byte(&bytes, INDEX, 0));
    refuse("index_17", "Index", "more than there can be", with_byte(&bytes, INDEX, 0x11));
    refuse("index_2", "Commitments", "the second's place", with_byte(&bytes, INDEX, 2));
    let value = with_byte(&bytes, VALUE, bytes[VALUE] ^ 1);
    refuse("value_changed", "Commitments", "another value than was committed to", value);
    let blinding = with_byte(&bytes, BLINDING, bytes[BLINDING] ^ 1);
    refuse("blinding_changed", "Commitments", "another blinding than was committed to", blinding);
    let other = split(2, 3, 8)[0].encode().to_vec();
    let commitments = [&bytes[..LIST], &other[LIST..]].concat();
    refuse("commitments_other", "Commitments", "the commitments of another splitting", commitments);
    let zero = at(VALUE, &[0; 32]);
    refuse("value_zero", "Commitments", "no value at all", zero);

    let order = "the order itself: a number has one encoding";
    refuse("value_order", "Codec(Malformed", order, at(VALUE, &ORDER));
    refuse("blinding_order", "Codec(Malformed", order, at(BLINDING, &ORDER));
    let no_point = at(COMMITMENT, &[0xff; 32]);
    refuse("commitment_no_point", "Codec(Malformed", "32 bytes that are no point", no_point);
    let negative = with_byte(&bytes, COMMITMENT, bytes[COMMITMENT] | 1);
    refuse("commitment_negative", "Codec(Malformed", "a negative number: no point", negative);
    let longest = split(16, 16, 7)[15].encode().to_vec();
    let last = longest[longest.len() - 34..].to_vec();
    let seventeen = [with_byte(&longest, LIST, 0x91), last].concat();
    refuse("commitments_17", "Codec(TooLarge", "17 commitments", seventeen);
    let many = with_byte(&bytes, LIST, 0x91);
    refuse("commitments_claimed", "Codec(Malformed", "17 commitments claimed", many);
    let id = |len: u8| [&[0x58, len], vec![1; len.into()].as_slice()].concat();
    let short = with(&bytes, &id(32), &id(31));
    refuse("helper_short", "Codec(Malformed", "a device id of 31 bytes", short);
    let unknown = [&[0xa9], &bytes[1..], &[0x08, 0x00]].concat();
    refuse("unknown_field", "Codec(NotCanonical", "a key that version 1 does not have", unknown);
    let wide = [&bytes[..THRESHOLD], &[0x18, 2], &bytes[THRESHOLD + 1..]].concat();
    refuse("threshold_wide", "Codec(NotCanonical", "the threshold in two bytes", wide);
    refuse("trailing", "Codec(Trailing", "a byte follows", [bytes.as_slice(), &[0]].concat());
    refuse("cut", "Codec(Malformed", "the last byte is missing", bytes[..bytes.len() - 1].to_vec());
}

fn sets() {
    let device = data_encoding::HEXLOWER.encode(&secret().spare().encode());
    let set = |name: &str, expect: &str, comment: &str, shares: &[&Share]| {
        let mut fields = vec![("comment", comment)];
        if expect == "success" {
            fields.push(("device", device.as_str()));
        }
        let lines: Vec<Vec<u8>> = shares.iter().map(|share| share.encode().to_vec()).collect();
        write("recovery", name, expect, &fields, &lines);
    };
    let (three, other, of_five) = (split(2, 3, 7), split(2, 3, 8), split(3, 5, 7));
    set("two_of_three", "success", "the last and the first", &[&three[2], &three[0]]);
    set("all_of_three", "success", "one more than needed", &[&three[0], &three[1], &three[2]]);
    let of_five_three = [&of_five[1], &of_five[3], &of_five[4]];
    set("three_of_five", "success", "any three", &of_five_three);
    let mixed = [&other[0], &three[1], &three[2]];
    set("other_splitting_first", "success", "one of another splitting comes first", &mixed);
    set("one_of_two", "TooFew", "one too few", &[&three[0]]);
    set("same_twice", "TooFew", "one share twice", &[&three[0], &three[0]]);
    set("one_each", "TooFew", "one each of two splittings", &[&three[0], &other[1]]);
    set("two_of_five", "TooFew", "two where three are needed", &[&of_five[0], &of_five[1]]);

    let elsewhere = RecoverySecret::generate(&[1; 64]);
    let false_shares = naming(&elsewhere, secret().spare().device_id());
    assert!(combine(&false_shares).is_err());
    let all: Vec<&Share> = false_shares.iter().collect();
    set("other_secret", "NotTheSpare", "they fit together and make another device", &all);
}
