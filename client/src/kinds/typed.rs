//! What somebody types at a prompt, as the value of a field.

use serde_json::{Value, json};

use super::{Field, Type, UNKNOWN};
use crate::ui::digits;

/// The value that `typed` means for `field`: an enum by word or by its number in the list, a whole
/// number in any digits, nothing as `unknown`. What it is worth, [`super::Kind::check`] says.
pub fn from_typed(field: &Field, typed: &str) -> Value {
    let typed = typed.trim();
    if typed.is_empty() {
        return json!(UNKNOWN);
    }
    let number = digits::only(typed).and_then(|digits| digits.parse::<u64>().ok());
    match (field.value, number) {
        (Type::Enum, Some(number)) => {
            let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            let choice = place.and_then(|place| field.values.get(place));
            choice.map_or_else(|| json!(typed), |choice| json!(choice.value()))
        }
        (Type::Enum, None) => match typed.split_once(':') {
            Some(("other", words)) => json!({ "other": words.trim() }),
            _ => json!(typed),
        },
        (Type::Int, Some(number)) => json!(number),
        _ => json!(typed),
    }
}
