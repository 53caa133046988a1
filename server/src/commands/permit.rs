//! `sealpost-relay permit`

use clap::Subcommand;
use sealpost_protocol::hash::Hash;
use sealpost_protocol::permit::code_to_text;
use serde::Serialize;

use super::folder;
use crate::cli::Session;
use crate::clock;
use crate::control::{Answer, Ask, Issued, KeptPermit};
use crate::error::{Failure, Kind};

/// Who may found a committee here.
#[derive(Debug, Subcommand)]
pub enum Permit {
    /// Issues a permit. Its code, the last word, is shown this once: give it to one founder.
    New {
        /// A note for yourself. It is kept in clear: no name of a person or a committee.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
    },
    /// Lists permits, used ones too.
    List,
    /// Ends a permit that was not used.
    Revoke {
        /// Its id as listed, or at least the first 8 symbols.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Serialize)]
struct NewJson<'p> {
    id: String,
    code: &'p str,
}

#[derive(Serialize)]
struct ListedJson {
    id: String,
    issued: String,
    used: bool,
    label: Option<String>,
}

#[derive(Serialize)]
struct RevokedJson {
    id: String,
}

impl Permit {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let ask = match self {
            Self::New { label } => Ask::PermitNew { label },
            Self::List => Ask::PermitList,
            Self::Revoke { id } => Ask::PermitRevoke { id },
        };
        match folder::perform(&session.disk, &session.data()?, &ask)? {
            Answer::Issued(issued) => show_new(session, &issued),
            Answer::Permits(permits) => show_list(session, &permits),
            Answer::Revoked(id) => {
                let id = short(id);
                let words = format!("Permit {id} is revoked.");
                session.result(&RevokedJson { id }, &words)
            }
            Answer::Address(_) | Answer::Refused(_) => {
                Err(Failure::new(Kind::Failed, "The relay answered something else"))
            }
        }
    }
}

fn show_new(session: &Session, issued: &Issued) -> Result<(), Failure> {
    let (id, code) = (short(issued.id), code_to_text(&issued.code));
    let words = format!("Permit {id} founds one committee here. Its code: {}", *code);
    session.result(&NewJson { id, code: &code }, &words)
}

fn show_list(session: &Session, permits: &[KeptPermit]) -> Result<(), Failure> {
    let listed = |KeptPermit { id, permit }: &KeptPermit| ListedJson {
        id: short(*id),
        issued: clock::to_text(permit.issued),
        used: permit.founded.is_some(),
        label: permit.label.clone(),
    };
    let rows: Vec<ListedJson> = permits.iter().map(listed).collect();
    let words: Vec<String> = rows
        .iter()
        .map(|row| {
            let state = if row.used { "used" } else { "unused" };
            let label = row.label.as_deref().unwrap_or_default();
            format!("{}  {}  {state:6}  {label}", row.id, row.issued).trim_end().to_owned()
        })
        .collect();
    let words = if words.is_empty() { "No permits.".to_owned() } else { words.join("\n") };
    session.result(&rows, &words)
}

/// As much of an id as is shown: two permits alike in it would take four billion of them.
fn short(id: Hash) -> String {
    id.to_string()[..16].to_owned()
}
