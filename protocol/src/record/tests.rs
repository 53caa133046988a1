use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::hybrid::Identity;
use crate::seal::PeerOpenError;
use crate::vectors::{Vector, for_each_vector};

const ID: &str = "01JBSEA1P0ST0000000000ABCD";
const SALT: [u8; SALT_BYTES] = [7; SALT_BYTES];

fn binding() -> Binding {
    Binding {
        committee: CommitteeId(Hash::of(b"committee")),
        author: DeviceId(Hash::of(b"author")),
        epoch: Epoch(3),
    }
}

fn id() -> RecordId {
    ID.parse().unwrap()
}

fn body(fields: Value) -> RecordBody {
    let Value::Object(fields) = fields else { panic!("an object") };
    RecordBody { fields }
}

fn bind(fields: Value) -> Result<BoundRecord, LocalRecordError> {
    body(fields).bind(&binding(), &id(), &SALT)
}

fn open(bound: &BoundRecord) -> Result<Record, PeerRecordError> {
    Record::open(&bound.plaintext, &binding(), &bound.content)
}

fn open_vector(vector: &Vector) -> Result<Record, PeerRecordError> {
    let binding = Binding {
        committee: vector.field("committee").parse().unwrap(),
        author: vector.field("author").parse().unwrap(),
        epoch: Epoch(vector.field("epoch").parse().unwrap()),
    };
    Record::open(vector.body_bytes(), &binding, &vector.field("content").parse().unwrap())
}

/// The roots in the vectors were computed by another program in another language.
#[test]
fn every_vector_ends_as_it_says_and_binds_to_the_same_bytes() {
    for_each_vector("record", |vector| {
        if let Some(record) = vector.assert(open_vector(vector)) {
            let bound = record.body().bind(record.binding(), record.id(), record.salt()).unwrap();
            assert_eq!(bound.plaintext.as_slice(), vector.body_bytes(), "{}", vector.name);
            assert_eq!(bound.content.to_string(), vector.field("content"), "{}", vector.name);
        }
    });
}

#[test]
fn a_record_reads_back() {
    let bound = bind(json!({"kind": "note", "text": "a\u{202e}b"})).unwrap();
    assert_eq!(bound.plaintext.len(), 1_024);
    let record = open(&bound).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((record.id(), record.binding(), record.salt()), (&id(), &binding(), &SALT));
    assert_eq!(record.body().fields["text"], "a\u{202e}b");
    assert_eq!(record.body().fields.len(), 2);
    let paths: Vec<_> = record.leaves().into_iter().map(|leaf| leaf.path).collect();
    assert_eq!(paths, ["/author", "/committee", "/epoch", "/id", "/kind", "/text"]);
}

#[test]
fn what_nobody_would_open_is_not_bound() {
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    for (fields, fault) in [
        (json!({"deep": nested(16)}), RecordFault::Depth),
        (json!({"list": vec![0; 4_093]}), RecordFault::Leaves),
        (json!({"n": 0.5}), RecordFault::Number),
        (json!({"n": 1_u64 << 53}), RecordFault::Number),
        (json!({"n": -(1_i64 << 53)}), RecordFault::Number),
        (json!({"o": {"17": 1}}), RecordFault::Name),
        (json!({"n".repeat(129): 1}), RecordFault::Name),
    ] {
        assert_eq!(bind(fields).err(), Some(fault.into()));
    }
    let (name, n) = ("n".repeat(128), (1_u64 << 53) - 1);
    let fits = json!({"deep": nested(15), "list": vec![0; 4_089], "n": n, name: 1});
    assert!(bind(fits).is_ok_and(|bound| open(&bound).is_ok()));
    for name in ENVELOPE {
        assert_eq!(bind(json!({name: 1})).err(), Some(LocalRecordError::Reserved(name)));
    }
}

/// Before a value is made of them: a mebibyte of `[0,0,…` would take 30.
#[test]
fn limits_are_counted_while_reading() {
    let list = |len: usize| format!("{{\"l\":[{}0]}}", "0,".repeat(len - 1)).into_bytes();
    let max = crate::limits::RECORD_LEAVES_MAX + 1;
    assert!(json::parse(&list(max)).is_ok());
    // Not closed: it is refused where the limit is, not where the text ends.
    let unclosed = &list(max + 1)[..list(max).len()];
    assert_eq!(json::parse(unclosed).err(), Some(RecordFault::Leaves.into()));
    let deep = "{\"d\":".to_owned() + &"[".repeat(16);
    assert_eq!(json::parse(deep.as_bytes()).err(), Some(RecordFault::Depth.into()));
    assert_eq!(json::parse(br#"{"d":1.5"#).err(), Some(RecordFault::Number.into()));
    assert_eq!(json::parse(br#"{"a":1,"a":"#).err(), Some(RecordFault::Duplicate.into()));
}

#[test]
fn the_largest_record_fills_its_limit() {
    let overhead = json::compact_len(&envelope::bound_members(
        &body(json!({"t": ""})).fields,
        &binding(),
        &id(),
        &SALT,
    ));
    let text = |len: usize| json!({"t": "x".repeat(len - overhead)});
    let max = RECORD_PLAINTEXT_BYTES_MAX;
    let bound = bind(text(max)).unwrap();
    assert!(bound.plaintext.len() == max && open(&bound).is_ok());
    assert!(matches!(bind(text(max + 1)), Err(LocalRecordError::TooLarge { .. })));
    let len = max + 1;
    let refused = Record::open(&vec![b' '; len], &binding(), &Hash::ZERO).err();
    assert_eq!(refused, Some(PeerRecordError::TooLarge { len, max }));
}

#[test]
fn lengths_come_in_steps() {
    for (len, padded) in [
        (0, 1_024),
        (1_024, 1_024),
        (1_025, 2_048),
        (65_536, 65_536),
        (65_537, 67_584),
        (1_048_576, 1_048_576),
    ] {
        assert_eq!(padded_len(len), padded, "{len}");
    }
    // Examples of Padmé: 8 keeps three bits, 9 rounds up to 10.
    assert_eq!([0, 1, 2, 8, 9, 1_000].map(padme), [0, 1, 2, 8, 10, 1_024]);
}

#[test]
fn one_field_can_be_proven_alone() {
    let record = open(&bind(json!({"a": "shown", "b": "hidden"})).unwrap()).ok().unwrap();
    let leaves = record.leaves();
    let hashes = leaf_hashes(&leaves, record.salt());
    assert_eq!(hashes.len(), 16);
    let shown = leaves.iter().position(|leaf| leaf.path == "/a").unwrap();
    assert_eq!(leaves[shown].hash(), hashes[shown]);
    let shifted =
        ContentLeaf { path: "/a\"".into(), value: "shown\"".into(), ..leaves[shown].clone() };
    assert_ne!(shifted.hash(), hashes[shown]);
    let distinct: std::collections::HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), 16, "dummies differ like fields do");
}

fn named(inner: &RecordBody, binding: &Binding, id: &RecordId, reader: &Identity) -> Record {
    let sealed = inner.seal_named(binding, id, &[8; SALT_BYTES], &[reader.recipient()]).unwrap();
    open(&bind(json!({"kind": "note", SEALED: sealed})).unwrap()).ok().unwrap()
}

#[test]
fn named_readers_open_their_part_and_others_do_not() {
    let (reader, other) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let inner = body(json!({"text": "for few"}));
    let record = named(&inner, &binding(), &id(), &reader);
    assert!(record.open_named(&reader).is_ok_and(|opened| opened == inner));
    let refused = record.open_named(&other).err();
    assert_eq!(refused, Some(PeerNamedError::Open(PeerOpenError::WrongKey)));
    let plain = open(&bind(json!({})).unwrap()).ok().unwrap();
    assert_eq!(plain.open_named(&reader).err(), Some(PeerNamedError::None));
    for sealed in [json!(1), json!("-_"), json!("AAA")] {
        let record = open(&bind(json!({SEALED: sealed})).unwrap()).ok().unwrap();
        assert_eq!(record.open_named(&reader).err(), Some(PeerNamedError::Base64));
    }
}

/// A member copies another's sealed part into a record of their own.
#[test]
fn a_sealed_part_lifted_from_elsewhere_is_refused() {
    let reader = Identity::from_seed(&[1; 32]);
    let inner = body(json!({"text": "for few"}));
    let elsewhere = |binding, id| named(&inner, &binding, &id, &reader).open_named(&reader).err();
    let other = Hash::of(b"other");
    let author = Binding { author: DeviceId(other), ..binding() };
    assert_eq!(elsewhere(author, id()), Some(PeerRecordError::Author.into()));
    let committee = Binding { committee: CommitteeId(other), ..binding() };
    assert_eq!(elsewhere(committee, id()), Some(PeerRecordError::Committee.into()));
    let other_id = "01JBSEA1P0ST0000000000ABCE".parse().unwrap();
    assert_eq!(elsewhere(binding(), other_id), Some(PeerNamedError::Id));
    assert_eq!(elsewhere(binding(), id()), None);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a~/ \"\\\\]{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_body_reads_back(value in any_value()) {
        let fields = json!({ "value": value });
        let record = open(&bind(fields.clone()).unwrap()).ok().unwrap();
        prop_assert!(record.body().fields == body(fields).fields);
    }

    #[test]
    fn every_changed_character_is_noticed(at in 0_usize..1_024, to in any::<u8>()) {
        let mut bound = bind(json!({"kind": "note", "list": [1, true, null, {}]})).unwrap();
        let changed = bound.plaintext[at] != to;
        bound.plaintext[at] = to;
        prop_assert_eq!(open(&bound).is_err(), changed);
    }

    #[test]
    fn no_bytes_make_it_panic(text in "[\\[\\]{}\",:0-9a\\\\ -]{0,80}") {
        let mut plaintext = text.into_bytes();
        plaintext.resize(1_024, b' ');
        prop_assert!(Record::open(&plaintext, &binding(), &Hash::ZERO).is_err());
    }

    #[test]
    fn padded_lengths_are_their_own(len in 0_u64..3_000_000) {
        let padded = padded_len(len);
        prop_assert!(padded >= len && padded_len(padded) == padded);
        prop_assert!(len <= 65_536 || padded - len <= len / 32, "{len} {padded}");
    }
}
