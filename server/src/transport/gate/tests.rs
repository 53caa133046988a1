use super::*;

fn gate(limits: Limits) -> Arc<Gate> {
    Arc::new(Gate::new(limits))
}

fn admitted(verdict: Verdict) -> Pass {
    match verdict {
        Verdict::Admit(pass) => pass,
        other => panic!("{other:?}"),
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last).into()
}

#[test]
fn addresses_of_one_network_count_together() {
    let gate = gate(Limits { address_connections_max: 1, ..Limits::default() });
    let knock = |address: &str| gate.knock(address.parse().unwrap(), true);
    let _held = admitted(knock("2001:db8:1:2::1"));
    assert!(matches!(knock("2001:db8:1:2:ffff::1"), Verdict::Refuse));
    let _other = admitted(knock("2001:db8:1:3::1"));
    let _mapped = admitted(knock("::ffff:198.51.100.7"));
    assert!(matches!(gate.knock(v4(7), true), Verdict::Refuse));
}

#[test]
fn places_are_given_back() {
    let gate = gate(Limits { connections_max: 1, handshakes_max: 1, ..Limits::default() });
    for seed in 0..3 {
        let mut pass = admitted(gate.knock(v4(seed), true));
        assert!(matches!(gate.knock(v4(9), true), Verdict::Refuse));
        if seed > 0 {
            pass.log_in(PublicKey([seed; 32]), seed > 1);
        }
    }
    let counts = gate.counts();
    assert_eq!((counts.connections, counts.handshakes), (0, 0));
    assert!(counts.by_key.is_empty() && counts.by_network.is_empty());
    assert!(counts.strangers.is_empty());
}

#[test]
fn only_the_crowded_network_must_prove_its_address() {
    let gate = gate(Limits { address_connections_unproven_max: 1, ..Limits::default() });
    let _held = admitted(gate.knock(v4(1), false));
    assert!(matches!(gate.knock(v4(1), false), Verdict::Prove));
    let _proven = admitted(gate.knock(v4(1), true));
    let _elsewhere = admitted(gate.knock(v4(2), false));
}

#[test]
fn a_finished_handshake_makes_room_for_the_next() {
    let gate = gate(Limits { handshakes_max: 1, ..Limits::default() });
    let mut first = admitted(gate.knock(v4(1), true));
    assert!(matches!(gate.knock(v4(2), true), Verdict::Refuse));
    let _displaced = first.log_in(PublicKey([1; 32]), true);
    let _second = admitted(gate.knock(v4(2), true));
}

#[test]
fn strangers_make_room_for_each_other_and_devices_stay() {
    let gate = gate(Limits { strangers_max: 2, key_connections_max: 2, ..Limits::default() });
    let mut passes = Vec::new();
    let mut enter = |seed: u8, known: bool| {
        let mut pass = admitted(gate.knock(v4(seed), true));
        let displaced = pass.log_in(PublicKey([seed; 32]), known);
        passes.push(pass);
        displaced
    };
    let mut device = enter(1, true);
    let mut strangers: Vec<_> = (2..7).map(|seed| enter(seed, false)).collect();
    for (at, stranger) in strangers.iter_mut().enumerate() {
        let told = stranger.try_recv().ok();
        assert_eq!(told, (at < 3).then_some(CloseCode::TooMany), "stranger {at}");
    }
    assert_eq!(device.try_recv().ok(), None, "a device is not displaced by strangers");
    enter(1, true);
    enter(1, true);
    assert_eq!(device.try_recv(), Ok(CloseCode::Displaced), "but by its own key's newer ones");
    drop(passes);
    let counts = gate.counts();
    assert!(counts.strangers.is_empty() && counts.by_key.is_empty());
}
