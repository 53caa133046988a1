use super::*;

#[test]
fn three_forms_of_a_safety_number_are_one() {
    let latin = "73018449170258631190";
    assert_eq!(only("73018 44917 02586 31190").as_deref(), Some(latin));
    assert_eq!(only("۷۳۰۱۸ ۴۴۹۱۷ ۰۲۵۸۶ ۳۱۱۹۰").as_deref(), Some(latin));
    assert_eq!(only(" ٧٣٠١٨-٤٤٩١٧-٠٢٥٨٦-٣١١٩٠\n").as_deref(), Some(latin));
}

#[test]
fn anything_but_digits_is_refused() {
    for text in ["", "  ", "7301a", "１２", "12.5"] {
        assert_eq!(only(text), None, "{text:?}");
    }
}

#[test]
fn other_text_stays() {
    assert_eq!(to_latin("۱۴۰۴/۱۲/۲۰ روز"), "1404/12/20 روز");
}
