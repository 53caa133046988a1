//! `sealpost member list`

use crate::app::Session;
use crate::commands::needs_the_relay;
use crate::error::Failure;

/// Lists the members of a committee, or who asks to join.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The committee; may be left out when there is only one.
    #[arg(long, value_name = "REF")]
    committee: Option<String>,
    /// Those who ask to join, with the safety number to compare by voice.
    #[arg(long)]
    asking: bool,
}

impl List {
    pub(super) fn run(self, _: &mut Session) -> Result<(), Failure> {
        let _ = (self.committee, self.asking);
        Err(needs_the_relay("member list"))
    }
}
