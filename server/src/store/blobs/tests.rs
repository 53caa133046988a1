use super::folder::UploadName;
use super::*;

#[test]
fn an_upload_has_one_name() {
    let (device, sha256) = (DeviceId(Hash([0xd0; 32])), Hash([0xab; 32]));
    let plain = format!("{device}-{sha256}");
    for (name, whole) in [(plain.clone(), true), (format!("{plain}.part"), false)] {
        assert_eq!(UploadName::parse(&name), Some(UploadName { device, sha256, whole }));
    }
    for other in
        [plain.to_uppercase(), format!("{plain}.parts"), format!("{plain}-"), String::new()]
    {
        assert_eq!(UploadName::parse(&other), None, "{other}");
    }
}
