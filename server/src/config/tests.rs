use super::*;
use crate::store::disk::RealDisk;

fn settings(listen: &str, advertise: &[&str], metrics: Option<&str>) -> Settings {
    Settings {
        listen: Some(listen.parse().unwrap()),
        advertise: advertise.iter().map(|host| host.parse().unwrap()).collect(),
        metrics: metrics.map(|address| address.parse().unwrap()),
        committee_blobs_gib_max: Some(metrics.map_or(1, |_| 300)),
    }
}

fn key() -> PublicKey {
    ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key().into()
}

#[test]
fn what_is_kept_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for kept in [
        Settings::default(),
        settings("0.0.0.0:4433", &["relay.example:4433"], Some("127.0.0.1:9433")),
        settings("[::]:1", &["198.51.100.7:1", "[2001:db8::7]:2", "a.b-c.example:3"], None),
    ] {
        kept.keep(&RealDisk, folder.path()).unwrap();
        let read = Settings::read(&RealDisk, &folder.path().join(FILE)).unwrap();
        assert_eq!(read, Some(kept));
    }
    assert_eq!(Settings::read(&RealDisk, &folder.path().join("none.toml")).unwrap(), None);
}

#[test]
fn a_wrong_file_is_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    for (text, named) in [
        ("listen = \"here\"", "listen"),
        ("lisen = \"127.0.0.1:1\"", "lisen"),
        ("advertise = [\"relay.example\"]", "port"),
        ("advertise = [\"Relay.example:1\"]", "host"),
        ("listen =", "listen"),
    ] {
        std::fs::write(&file, text).unwrap();
        let error = Settings::read(&RealDisk, &file).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("relay.toml"), "{text}: {error}");
    }
    std::fs::write(&file, vec![b'#'; CONFIG_BYTES_MAX + 1]).unwrap();
    assert!(matches!(Settings::read(&RealDisk, &file), Err(ConfigError::StoreIo { .. })));
}

#[test]
fn flags_go_before_the_file() {
    let file = settings("127.0.0.1:1", &["file.example:1"], Some("127.0.0.1:2"));
    let flags = Settings { listen: "127.0.0.1:3".parse().ok(), ..Settings::default() };
    let both = flags.over(file.clone());
    assert_eq!(both.listen().port(), 3);
    assert_eq!((&both.advertise, both.metrics), (&file.advertise, file.metrics));
    assert_eq!(Settings::default().over(file.clone()), file);
    assert_eq!(Settings::default().listen(), LISTEN);
}

#[test]
fn an_address_names_where_clients_reach_the_relay() {
    let bound: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    let address = Settings::default().address(key(), bound).unwrap().to_string();
    assert!(address.ends_with("@127.0.0.1:5000"), "{address}");
    let advertised = settings("0.0.0.0:1", &["b.example:2", "[2001:db8::7]:3"], None);
    let address = advertised.address(key(), bound).unwrap().to_string();
    assert!(address.ends_with("@b.example:2,[2001:db8::7]:3"), "{address}");
    for everywhere in ["0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1"] {
        let nowhere = Settings::default().address(key(), everywhere.parse().unwrap());
        assert!(matches!(nowhere, Err(ConfigError::LocalNoHost(_))), "{everywhere}");
    }
}

#[test]
fn what_a_committee_may_keep_is_set_in_gib() {
    let settings = Settings { committee_blobs_gib_max: Some(3), ..Settings::default() };
    let bytes = settings.options(Options::DEFAULT).blobs.committee_bytes_max;
    assert_eq!(bytes, 3 * 1024 * 1024 * 1024);
    let unsaid = Settings::default().options(Options::DEFAULT);
    assert_eq!(unsaid.blobs, BlobOptions::DEFAULT);
    let flags = Settings { listen: Some(LISTEN), ..Settings::default() };
    assert_eq!(flags.over(settings).committee_blobs_gib_max, Some(3));
}
