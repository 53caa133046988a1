use proptest::prelude::*;

use super::*;

const REF: &str = "AT-7K2M3X9W";

#[test]
fn plain_names_stay_readable() {
    for (label, name) in [
        ("zapt.jpg", "AT-7K2M3X9W-zapt.jpg"),
        ("duruşma zaptı (2).jpg", "AT-7K2M3X9W-duruşma zaptı (2).jpg"),
        ("پرونده.pdf", "AT-7K2M3X9W-پرونده.pdf"),
        ("archive.tar.gz", "AT-7K2M3X9W-archive.tar.gz"),
        ("README", "AT-7K2M3X9W-README"),
    ] {
        assert_eq!(file_name(REF, label), name);
    }
}

#[test]
fn hostile_names_become_harmless_ones() {
    let long = format!("{}.jpg", "ü".repeat(300));
    for (label, name) in [
        ("", "AT-7K2M3X9W"),
        (".", "AT-7K2M3X9W"),
        ("..", "AT-7K2M3X9W"),
        ("../../etc/passwd", "AT-7K2M3X9W-passwd"),
        ("/dev/sda", "AT-7K2M3X9W-sda"),
        ("..\\..\\windows\\system32\\cmd.exe", "AT-7K2M3X9W-cmd.exe"),
        ("C:evil.txt", "AT-7K2M3X9W-C_evil.txt"),
        ("\\\\server\\share\\x", "AT-7K2M3X9W-x"),
        (".bashrc", "AT-7K2M3X9W.bashrc"),
        ("-rf", "AT-7K2M3X9W--rf"),
        ("~", "AT-7K2M3X9W"),
        ("CON", "AT-7K2M3X9W-CON"),
        ("nul.txt", "AT-7K2M3X9W-nul.txt"),
        ("a\0b", "AT-7K2M3X9W-a_b"),
        ("a\nb\rc\td", "AT-7K2M3X9W-a_b_c_d"),
        ("\u{1b}[2Jx", "AT-7K2M3X9W-2Jx"),
        ("\u{202e}gpj.exe", "AT-7K2M3X9W-gpj.exe"),
        ("photo\u{202e}gpj.exe", "AT-7K2M3X9W-photo_gpj.exe"),
        ("a\u{200b}b\u{feff}.jpg", "AT-7K2M3X9W-a_b.jpg"),
        ("$(reboot).jpg", "AT-7K2M3X9W-(reboot).jpg"),
        ("`x`;rm *?.jpg", "AT-7K2M3X9W-x__rm.jpg"),
        ("name.", "AT-7K2M3X9W-name"),
        ("name. . .", "AT-7K2M3X9W-name"),
        ("x.jpg::$DATA", "AT-7K2M3X9W-x.jpg___DATA"),
        ("%2e%2e%2fx", "AT-7K2M3X9W-2e_2e_2fx"),
        ("a<b>c|d\"e", "AT-7K2M3X9W-a_b_c_d_e"),
        (&long, &format!("AT-7K2M3X9W-{}.jpg", "ü".repeat(50))),
    ] {
        assert_eq!(file_name(REF, label), name, "{label:?}");
    }
}

proptest! {
    #[test]
    fn whatever_the_label_is_the_name_is_one_plain_component(label in any::<String>()) {
        let name = file_name(REF, &label);
        prop_assert!(name.starts_with(REF) && name.len() <= 130, "{name:?}");
        prop_assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '$', '`', '~']));
        prop_assert!(!name.chars().any(display::is_deceptive), "{name:?}");
        prop_assert!(!name.ends_with(['.', ' ']), "{name:?}");
        let path = std::path::Path::new(&name);
        prop_assert_eq!(path.components().count(), 1);
        prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(name.as_str()));
    }
}
