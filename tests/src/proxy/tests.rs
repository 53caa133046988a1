use std::sync::mpsc;

use super::*;

/// A relay that keeps the first byte of all it hears, and says them in one datagram when an empty
/// one comes.
fn hearer() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut heard = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if length == 0 {
                socket.send_to(&heard, from).unwrap();
                return;
            }
            heard.push(buffer[0]);
        }
    });
    address
}

/// Sends so many numbered datagrams and returns those that arrive, in order.
fn heard(weather: Weather, count: u8) -> Vec<u8> {
    let proxy = Proxy::start_in(hearer(), weather);
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (taken, all_taken) = mpsc::channel();
    proxy.at(Direction::ToRelay, count.into(), move || taken.send(()).unwrap());
    for number in 0..count {
        client.send_to(&vec![number; 10 + usize::from(number)], proxy.address()).unwrap();
    }
    all_taken.recv().unwrap();
    // What is on its way by now arrives before what is sent from now on.
    let delay = Duration::from_millis(100);
    let bytes_a_second = weather.bytes_a_second;
    proxy.set_weather(Weather { delay, bytes_a_second, ..Weather::default() });
    client.send_to(&[], proxy.address()).unwrap();
    let mut buffer = [0; 2048];
    let (length, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(proxy.passed(Direction::ToRelay), u64::from(count) + 1);
    assert_eq!(proxy.passed(Direction::ToClient), 1);
    assert_eq!(proxy.recorded().len(), usize::from(count) + 2);
    buffer[..length].to_vec()
}

#[test]
fn in_fair_weather_all_comes_once_and_in_order() {
    assert_eq!(heard(Weather::default(), 60), (0..60).collect::<Vec<u8>>());
}

#[test]
fn a_seed_decides_what_is_lost() {
    let weather = Weather { seed: 1, lost: 300, ..Weather::default() };
    let (first, again) = (heard(weather, 100), heard(weather, 100));
    let other = heard(Weather { seed: 2, ..weather }, 100);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!((50..90).contains(&first.len()), "70 of 100 come: {}", first.len());
}

#[test]
fn some_come_twice_and_some_late() {
    let twice = heard(Weather { doubled: 1_000, ..Weather::default() }, 10);
    assert_eq!(twice.len(), 20);
    let late = heard(Weather { seed: 3, overtaken: 300, ..Weather::default() }, 50);
    assert_eq!(late.len(), 50);
    assert!(!late.is_sorted(), "{late:?}");
}

#[test]
fn what_is_too_long_does_not_pass() {
    let weather = Weather { datagram_bytes_max: 19, ..Weather::default() };
    assert_eq!(heard(weather, 20), (0..10).collect::<Vec<u8>>());
}

#[test]
fn a_throttled_line_takes_its_time() {
    let began = Instant::now();
    let weather = Weather { bytes_a_second: Some(10_000), ..Weather::default() };
    // 59 datagrams of 10 to 68 bytes leave before the last one does.
    assert_eq!(heard(weather, 60).len(), 60);
    assert!(began.elapsed() > Duration::from_millis(200), "{:?}", began.elapsed());
}

#[test]
fn a_cut_line_passes_nothing_until_it_is_mended() {
    let proxy = Proxy::start(hearer());
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    proxy.cut();
    let (mended, is_mended) = mpsc::channel();
    let shared = proxy.shared.clone();
    proxy.at(Direction::ToRelay, 3, move || {
        shared.lock().unwrap().cut = false;
        mended.send(()).unwrap();
    });
    for number in 1..=3 {
        client.send_to(&[number], proxy.address()).unwrap();
    }
    is_mended.recv().unwrap();
    client.send_to(&[4], proxy.address()).unwrap();
    client.send_to(&[], proxy.address()).unwrap();
    let mut buffer = [0; 2048];
    let (length, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], [4]);
}
