use proptest::prelude::*;

use super::*;

fn passphrase() -> AttachmentPassphrase {
    AttachmentPassphrase::generate(&[7; PASSPHRASE_BYTES])
}

fn sealed(file: &[u8]) -> (Vec<u8>, Plain, Blob) {
    let mut sealer = AttachmentSealer::new(BlobSink::new(Vec::new()), &passphrase()).unwrap();
    file.chunks(1_000).for_each(|piece| sealer.write(piece).unwrap());
    let (sink, plain) = sealer.finish().unwrap();
    let (bytes, blob) = sink.finish();
    (bytes, plain, blob)
}

fn opened(blob: &[u8], plain: &Plain) -> Result<Vec<u8>, AttachmentError> {
    let mut file = Vec::new();
    open_attachment(blob, blob.len() as u64, &passphrase(), plain, &mut file).map(|()| file)
}

fn refusal(blob: &[u8], plain: &Plain) -> String {
    opened(blob, plain).unwrap_err().to_string()
}

#[test]
fn a_file_comes_back_and_its_blob_is_as_large_as_its_length_says() {
    for len in [0, 1, 1_023, 1_024, 1_025, 65_535, 65_536, 65_537, 1_000_000] {
        let file: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let (bytes, plain, blob) = sealed(&file);
        assert_eq!(plain, Plain { sha256: Hash::of(&file), size: len as u64 });
        assert_eq!(blob, Blob { sha256: Hash::of(&bytes), size: blob_size(len as u64) });
        assert_eq!(blob.size, bytes.len() as u64, "{len}");
        assert_eq!(opened(&bytes, &plain).unwrap(), file);
    }
}

#[test]
fn the_largest_blob_is_the_limit() {
    let largest = blob_size(limits::ATTACHMENT_BYTES_MAX);
    assert!(largest <= limits::BLOB_BYTES_MAX);
    assert!(blob_size(limits::ATTACHMENT_BYTES_MAX + 1) > limits::BLOB_BYTES_MAX);
}

#[test]
fn lengths_of_blobs_come_in_steps() {
    assert_eq!(blob_size(1), blob_size(1_024));
    assert_eq!(blob_size(1_000_000), blob_size(1_000_001));
}

#[test]
fn stock_age_opens_it_with_the_passphrase_of_the_record() {
    let (bytes, plain, _) = sealed(b"a scan");
    let mut identity = age::scrypt::Identity::new(passphrase().expose().to_owned().into());
    identity.set_max_work_factor(1);
    let decryptor = age::Decryptor::new_buffered(bytes.as_slice()).unwrap();
    let mut text = Vec::new();
    let identity: &dyn age::Identity = &identity;
    decryptor.decrypt(std::iter::once(identity)).unwrap().read_to_end(&mut text).unwrap();
    assert_eq!(plain.size, 6);
    assert_eq!(&text[..6], b"a scan");
    assert!(text[6..].iter().all(|byte| *byte == 0));
}

/// Sealed by whoever follows no rule: any plaintext, of the length that the record asks for.
fn sealed_by_others(plaintext: &[u8]) -> Vec<u8> {
    PassphraseKeys::new(passphrase().0).seal(plaintext)
}

#[test]
fn another_file_than_the_record_names_is_refused() {
    let (bytes, plain, _) = sealed(b"a scan");
    let other = Plain { sha256: Hash::of(b"a scam"), ..plain };
    assert_eq!(refusal(&bytes, &other), "it holds another file than its record names");
    for size in [0, 5, 7, 1_025, limits::ATTACHMENT_BYTES_MAX + 1] {
        let other = Plain { size, ..plain };
        assert_eq!(refusal(&bytes, &other), "it holds another file than its record names");
    }
    // A second file in the padding, which the first reader would not see.
    let mut hidden = b"a scan".to_vec();
    hidden.resize(1_023, 0);
    hidden.push(1);
    let bytes = sealed_by_others(&hidden);
    assert_eq!(refusal(&bytes, &plain), "it holds another file than its record names");
    let honest = sealed_by_others(&[b"a scan".as_slice(), &[0; 1_018]].concat());
    assert_eq!(opened(&honest, &plain).unwrap(), b"a scan");
}

#[test]
fn another_passphrase_and_another_work_factor_are_refused() {
    let (bytes, plain, _) = sealed(b"a scan");
    let other = AttachmentPassphrase::generate(&[8; PASSPHRASE_BYTES]);
    let refused = open_attachment(bytes.as_slice(), bytes.len() as u64, &other, &plain, Vec::new());
    assert_eq!(refused.unwrap_err().to_string(), "it is not sealed to this key");
    let text = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let line = text + 1 + bytes[text + 1..].iter().position(|byte| *byte == b'\n').unwrap();
    let mut costly = bytes.clone();
    costly[line - 1] = b'9';
    assert_eq!(refusal(&costly, &plain), "the scrypt work factor is not 1");
}

#[test]
fn a_blob_that_ends_elsewhere_is_refused() {
    let (bytes, plain, _) = sealed(&[9; 3 * 65_536]);
    // Around every end of one of age's chunks, and every 256 KiB.
    let mac = bytes.windows(5).position(|window| window == b"\n--- ").unwrap() + 5;
    let payload = mac + bytes[mac..].iter().position(|byte| *byte == b'\n').unwrap() + 1 + 16;
    let chunks = (0..4).map(|chunk| payload + chunk * (65_536 + 16));
    let parts = [0, 1, 262_144, bytes.len() - 1];
    for border in chunks.chain(parts).filter(|border| *border < bytes.len()) {
        for end in border.saturating_sub(1)..=(border + 1).min(bytes.len() - 1) {
            assert!(opened(&bytes[..end], &plain).is_err(), "{end} of {}", bytes.len());
        }
    }
    for more in [1, 16, 65_552] {
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        assert!(opened(&longer, &plain).is_err(), "{more} more");
    }
}

#[test]
fn a_passphrase_reads_back_and_nothing_else_does() {
    let text = passphrase().expose().to_owned();
    assert_eq!(text.parse::<AttachmentPassphrase>().unwrap().expose(), text);
    for wrong in ["", "short", &text[1..], &format!("{text}A"), &text.replace('B', "+")] {
        assert_eq!(wrong.parse::<AttachmentPassphrase>().unwrap_err(), NotAPassphrase, "{wrong}");
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_as_it_comes() {
    let mut sealer = AttachmentSealer::new(io::sink(), &passphrase()).unwrap();
    sealer.size = limits::ATTACHMENT_BYTES_MAX;
    assert_eq!(sealer.write(b"1").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn a_disk_that_fails_is_nobodys_lie() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Other.into())
        }
    }
    let (bytes, plain, _) = sealed(&[9; 100_000]);
    let blob = bytes[..70_000].chain(io::BufReader::new(Failing));
    let failed = open_attachment(blob, bytes.len() as u64, &passphrase(), &plain, Vec::new());
    assert!(matches!(failed, Err(AttachmentError::LocalIo(_))), "{failed:?}");
}

proptest! {
    #[test]
    fn every_flipped_bit_and_every_cut_is_refused(at in 0_usize..70_000, bit in 0_u8..8, cut: bool) {
        let (bytes, plain, _) = sealed(&[9; 66_000]);
        let at = at % bytes.len();
        let mut other = bytes.clone();
        if cut { other.truncate(at) } else { other[at] ^= 1 << bit }
        prop_assert!(opened(&other, &plain).is_err());
        // The same length in all, with the end missing.
        if cut {
            let mut file = Vec::new();
            let short = other.as_slice();
            prop_assert!(
                open_attachment(short, bytes.len() as u64, &passphrase(), &plain, &mut file).is_err()
            );
        }
    }
}
