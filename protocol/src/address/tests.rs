use proptest::prelude::*;

use super::*;
use crate::codec;
use crate::sign::SigningKey;
use crate::vectors::for_each_vector;

fn key() -> PublicKey {
    SigningKey::from_bytes(&[7; 32]).verifying_key().into()
}

/// What stands before the `@`.
fn prefix() -> String {
    format!("{SCHEME}{}", key_to_text(&key()))
}

fn parse(hosts: &str) -> Result<RelayAddress, AddressError> {
    format!("{}@{hosts}", prefix()).parse()
}

#[test]
fn the_address_vectors_come_out_as_they_say() {
    for_each_vector("address", |vector| {
        let text = vector.body_line();
        if let Some(address) = vector.assert(text.parse::<RelayAddress>()) {
            assert_eq!(address.to_string(), text);
            assert_eq!(format!("{:?}", address.key()), vector.field("key"));
            let hosts: Vec<_> = address.hosts().iter().map(Host::to_string).collect();
            assert_eq!(hosts.join(" "), vector.field("hosts"));
            assert_eq!(codec::decode(&codec::encode(&address), 1024), Ok(address));
        }
    });
}

#[test]
fn lengths_are_inclusive() {
    let label = "a".repeat(LABEL_BYTES_MAX);
    let longest = [label.as_str(); 4].join(".")[..HOST_NAME_BYTES_MAX].to_owned();
    assert!(parse(&format!("{longest}:1")).is_ok());
    let longer = format!("{longest}a");
    assert_eq!(parse(&format!("{longer}:1")), Err(AddressError::Host(longer)));
    let long_label = format!("{label}a");
    assert_eq!(parse(&format!("{long_label}:1")), Err(AddressError::Host(long_label)));

    let hosts = ["h:1"; ADDRESS_HOSTS_MAX].join(",");
    assert!(parse(&hosts).is_ok());
    assert_eq!(parse(&format!("{hosts},h:1")), Err(AddressError::Hosts(ADDRESS_HOSTS_MAX + 1)));

    let fixed = parse("h:1").unwrap().to_string().len() - 1 + longest.len() + 3;
    let filler = format!("{longest}:1,{}:1", &longest[..ADDRESS_BYTES_MAX - fixed]);
    assert_eq!(parse(&filler).unwrap().to_string().len(), ADDRESS_BYTES_MAX);
    let filler = filler.replace(":1,", ":12,");
    let too_long = || AddressError::TooLong(ADDRESS_BYTES_MAX + 1);
    assert_eq!(parse(&filler), Err(too_long()));
    let hosts = filler.split(',').map(|host| host.parse().unwrap()).collect();
    assert_eq!(RelayAddress::new(key(), hosts), Err(too_long()));
    // The length is looked at first, whatever the text is.
    assert_eq!("x".repeat(ADDRESS_BYTES_MAX + 1).parse::<RelayAddress>(), Err(too_long()));
}

#[test]
fn an_address_cannot_be_made_without_host_or_with_a_weak_key() {
    assert_eq!(RelayAddress::new(key(), Vec::new()), Err(AddressError::Hosts(0)));
    let hosts = parse("h:1").unwrap().hosts().to_vec();
    let weak = RelayAddress::new(PublicKey([0; 32]), hosts);
    assert_eq!(weak, Err(AddressError::WeakKey));
}

/// One changed symbol gives another text for the same or another key: never the same address.
#[test]
fn no_other_text_of_the_key_is_read_as_the_same_key() {
    let text = key_to_text(&key());
    assert_eq!(key_from_text(&text), Some(key()));
    assert_eq!(key_from_text(&text.to_ascii_uppercase()), None);
    for at in 0..text.len() {
        for symbol in ('!'..='~').filter(|symbol| !text[at..].starts_with(*symbol)) {
            let mut other = text.clone();
            other.replace_range(at..=at, &symbol.to_string());
            assert_ne!(key_from_text(&other), Some(key()), "{other}");
        }
    }
}

fn host() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,3}",
        any::<[u8; 4]>().prop_map(|bytes| Ipv4Addr::from(bytes).to_string()),
        any::<[u16; 8]>().prop_map(|parts| format!("[{}]", Ipv6Addr::from(parts))),
        "\\[[0-9a-f:]{2,20}\\]",
    ];
    (name, 0..70_000_u32).prop_map(|(name, port)| format!("{name}:{port}"))
}

proptest! {
    #[test]
    fn what_is_accepted_reads_back_as_written(hosts in prop::collection::vec(host(), 1..4)) {
        let hosts = hosts.join(",");
        if let Ok(address) = parse(&hosts) {
            let text = address.to_string();
            prop_assert_eq!(&text, &[prefix(), hosts].join("@"));
            prop_assert_eq!(text.parse(), Ok(address));
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,80}", hosts in "[a-f0-9:.,\\[\\]@+-]{0,40}") {
        let _ = text.parse::<RelayAddress>();
        let _ = parse(&text);
        if let Ok(address) = parse(&hosts) {
            prop_assert!(address.to_string().ends_with(&hosts));
        }
    }
}
