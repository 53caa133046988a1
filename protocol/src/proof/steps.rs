//! `VERIFY.md`: how to check the folder without any program of ours. Its text follows from the rest of
//! the folder, so that nobody can put another beside a proof.

use super::check::{Proof, Proven, ShownPart};
use super::files;

/// What the file is called.
pub(super) const STEPS: &str = "VERIFY.md";

const BEGIN: &str = include_str!("steps/begin.md");
const KEY: &str = include_str!("steps/key.md");
const AGE: &str = include_str!("steps/age.md");
const PART: &str = include_str!("steps/part.md");
const ATTACHMENT: &str = include_str!("steps/attachment.md");
const BLOB: &str = include_str!("steps/blob.md");
const END: &str = include_str!("steps/end.md");

const WHOLE_ROWS: &str = "\
| `…/file-key.bin` | the age file key of that one payload |
| `…/plaintext.json` | what it opens: JSON, padded with spaces |
| `…/record.age`, `…/passphrase.txt` | the same payload under a header of its own, and the passphrase that opens it |
";
const FIELD_ROW: &str =
    "| `record/field-NUMBER/` | a single field, and its way to the header's `content` |\n";
const ATTACHMENT_ROW: &str =
    "| `attachment-NUMBER/` | an attachment: its record, and its file in `blob.age` |\n";

const MORE_OF_WHOLE: &str = ";
- that what is shown whole is a record in its one form, padded as it must be, and that `content` in its header is the root
  over all of its fields";
const MORE_OF_PART: &str = ";
- that a field is one that a record can have, a JSON value under its path, and stands there once";
const MORE_OF_ATTACHMENTS: &str = ";
- that an attachment was signed by a device of the record's own member, that its text names the blob of its header, and that
  nothing but zeros stands behind the file in it";

const NOT_OF_PART: &str = " Nor that the sealed payload
holds these fields: every client of the committee checks that when it opens a record, and who cannot open it
cannot.";
const NOT_OF_ATTACHMENTS: &str = " Nor to which of two
records a file was attached, should their member have given both the same id.";

/// The text for what a folder proves.
pub(super) fn text(proof: &Proof) -> String {
    let is_whole = matches!(proof.record.part, ShownPart::Whole(..));
    let has_attachments = !proof.attachments.is_empty();
    // One for the text of a record that is shown whole, and two for that of an attachment and its file.
    let ages = usize::from(is_whole) + 2 * proof.attachments.len();
    let rows = [
        if is_whole { "" } else { FIELD_ROW },
        if is_whole || has_attachments { WHOLE_ROWS } else { "" },
        if has_attachments { ATTACHMENT_ROW } else { "" },
    ];
    let mut text = BEGIN
        .replace("{partly}", if is_whole { "" } else { " in some of its fields" })
        .replace("{rows}", &rows.concat())
        .replace("{committee}", &proof.committee.to_string())
        .replace("{left}", &ages.to_string())
        .replace("{term}", &proof.note.checkpoint().origin.term.to_string());
    let mut number = 8;
    let record = files::RECORD;
    let author = proof.record.header.author;
    text += &format!("entry {record} {author}\n");
    text += &format!("[ \"$blob\" = none ] || fail \"{record}: its header names a blob\"\n```\n");
    match &proof.record.part {
        ShownPart::Whole(..) => {
            text += &KEY.replace("{heading}", "7 What it says");
            text += &format!("opened {record}\nid=$own\n");
            text += &AGE.replace("{folder}", record);
        }
        ShownPart::Fields(fields) => {
            text += PART;
            text += "id=none\n";
            for number in 1..=fields.len() {
                text += &format!("field {}\n", files::field(number));
            }
            text += "```\n";
            if has_attachments {
                text += &KEY.replace("{heading}", "8 The keys of its attachments");
                text += "```\n";
                number += 1;
            }
        }
    }
    for (folder, entry) in proof.entries().skip(1) {
        text += &attachment(number, &folder, entry);
        number += 1;
    }
    text += &end(number, is_whole, has_attachments);
    text
}

fn attachment(number: usize, folder: &str, entry: &Proven) -> String {
    let mut text = [ATTACHMENT, AGE].concat();
    if let Some(attached) = &entry.attached {
        text += BLOB;
        text = text
            .replace("{size}", &attached.plain.size.to_string())
            .replace("{sha256}", &attached.plain.sha256.to_string());
    }
    text.replace("{number}", &number.to_string())
        .replace("{author}", &entry.header.author.to_string())
        .replace("{folder}", folder)
}

fn end(number: usize, is_whole: bool, has_attachments: bool) -> String {
    let more = [
        if is_whole || has_attachments { MORE_OF_WHOLE } else { "" },
        if is_whole { "" } else { MORE_OF_PART },
        if has_attachments { MORE_OF_ATTACHMENTS } else { "" },
    ];
    let not = [
        if is_whole { "" } else { NOT_OF_PART },
        if has_attachments { NOT_OF_ATTACHMENTS } else { "" },
    ];
    END.replace("{number}", &number.to_string())
        .replace("{more}", &more.concat())
        .replace("{part}", &not.concat())
}
