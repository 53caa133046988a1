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

/// The text for what a folder proves.
pub(super) fn text(proof: &Proof) -> String {
    let is_whole = matches!(proof.record.part, ShownPart::Whole(..));
    let has_attachments = !proof.attachments.is_empty();
    let rows = [
        if is_whole { "" } else { FIELD_ROW },
        if is_whole || has_attachments { WHOLE_ROWS } else { "" },
        if has_attachments { ATTACHMENT_ROW } else { "" },
    ];
    let mut text = BEGIN
        .replace("{partly}", if is_whole { "" } else { " in some of its fields" })
        .replace("{rows}", &rows.concat())
        .replace("{committee}", &proof.committee.to_string());
    let mut number = 8;
    let record = files::RECORD;
    let author = proof.record.header.author;
    text += &format!("entry {record} {author}\n```\n");
    match &proof.record.part {
        ShownPart::Whole(..) => {
            text += &KEY.replace("{heading}", "7 What it says");
            text += &format!("opened {record} {author}\n");
            text += &AGE.replace("{folder}", record);
        }
        ShownPart::Fields(fields) => {
            text += PART;
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
    text += &end(number, is_whole);
    text
}

fn attachment(number: usize, folder: &str, entry: &Proven) -> String {
    let mut text = ATTACHMENT
        .replace("{number}", &number.to_string())
        .replace("{author}", &entry.header.author.to_string());
    text += AGE;
    if let Some(attached) = &entry.attached {
        text += &BLOB
            .replace("{size}", &attached.plain.size.to_string())
            .replace("{sha256}", &attached.plain.sha256.to_string());
    }
    text.replace("{folder}", folder)
}

fn end(number: usize, is_whole: bool) -> String {
    let (more, part) = match is_whole {
        true => ("; and that `content` in the header is the root over all fields", ""),
        false => (
            "",
            " Nor that the sealed payload\nholds these fields: every client of the committee checks \
             that when it opens a record, and who cannot open it\ncannot.",
        ),
    };
    END.replace("{number}", &number.to_string()).replace("{more}", more).replace("{part}", part)
}
