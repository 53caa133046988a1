//! A relay that lies: every lie is a named [`Switch`], told in the relay's own name and under its own key over the
//! real protocol.

use sealpost_protocol::entry::UnverifiedEntry;
use sealpost_protocol::frame::{
    Accepted, Checkpointed, Empty, HeadState, PushResult, Reply, Request,
};
use sealpost_protocol::hash::Hash;
use sealpost_protocol::id::{CommitteeId, LeafIndex};
use sealpost_protocol::limits;
use sealpost_protocol::tree::Proof;

use crate::tap::{Lie, Tap};

/// Deeper than any stack of a decoder that calls itself.
const DEEP: usize = 200_000;

/// What a relay does to its answers that no honest one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Of several entries the first is left out.
    DropsOne,
    /// The last entry is left out.
    DropsTheTail,
    /// The entries come in another order.
    Reorders,
    /// The first entry comes twice.
    Duplicates,
    /// A byte of each payload is another.
    AltersPayloads,
    /// Two entries have each other's payload.
    SwapsPayloads,
    /// The last entry comes without its payload, which nothing forgot.
    WithholdsAPayload,
    /// In the place of each entry stand brackets within brackets.
    NestsDeeply,
    /// The entries come again and again.
    NeverEnds,
    /// One symbol of one line of the checkpoint is another: origin, size, root, the empty line, signature.
    AltersTheCheckpoint(usize),
    /// The checkpoint stands there twice.
    DoublesTheCheckpoint,
    /// It signs for one entry less than the client has verified.
    RollsBack,
    /// It signs for another last entry than the one that the client has verified.
    SignsTwoRoots,
    /// Asked how far the log is it says it all; asked for it, it shows what the client had.
    Alternates,
    /// It says that it has nothing of the log.
    SaysItIsGone,
    /// The head is another committee's.
    TellsAnotherHead,
    /// The entries are another committee's.
    ShowsAnotherLog,
    /// Of the heads that were asked for one is lacking.
    TellsTooFewHeads,
    /// There is a head that nobody asked for.
    TellsTooManyHeads,
    /// The receipt is for the place behind the one that the entry has.
    AcknowledgesElsewhere,
    /// The receipt has no proof.
    AcknowledgesWithoutProof,
    /// It says nothing of one of the entries that were pushed.
    AnswersForTooFew,
    /// It speaks of an entry that was not pushed.
    AnswersForTooMany,
}

/// What a lie is about.
#[derive(Debug)]
pub struct About {
    /// The log that is lied about.
    pub committee: CommitteeId,
    /// Another log at the same relay.
    pub other: CommitteeId,
    /// How many entries the client has verified.
    pub held: usize,
}

impl Switch {
    /// Whether whoever writes is lied to, and not whoever reads.
    pub fn is_about_receipts(self) -> bool {
        matches!(
            self,
            Self::AcknowledgesElsewhere
                | Self::AcknowledgesWithoutProof
                | Self::AnswersForTooFew
                | Self::AnswersForTooMany
        )
    }

    /// Has the relay lie from now on, until it tells the truth again.
    pub fn on(self, relay: &Tap, about: &About) {
        if self == Self::NeverEnds {
            relay.never_end();
        }
        relay.lie(self.lie(relay, about));
    }

    fn lie(self, relay: &Tap, about: &About) -> Lie {
        let leaves: Vec<Hash> =
            relay.log(about.committee).iter().map(|bytes| leaf(bytes)).collect();
        let held = &leaves[..about.held];
        let signs = |leaves: &[Hash]| relay.signs(about.committee, leaves);
        match self {
            Self::DropsOne => entries(|entries| drop(entries.remove(0))),
            Self::DropsTheTail => entries(|entries| drop(entries.pop())),
            Self::Reorders => entries(|entries| entries.reverse()),
            Self::Duplicates => entries(|entries| entries.insert(0, entries[0].clone())),
            Self::AltersPayloads => {
                entries(|entries| entries.iter_mut().for_each(|entry| alter(entry)))
            }
            Self::SwapsPayloads => entries(|entries| swap_payloads(entries)),
            Self::WithholdsAPayload => entries(|entries| {
                let last = entries.pop().expect("there are some");
                let last = UnverifiedEntry::decode(&last).expect("an honest entry");
                entries.push(last.with_payload_dropped().encode());
            }),
            Self::NestsDeeply => entries(|entries| entries.iter_mut().for_each(nest)),
            Self::NeverEnds => entries(|entries| {
                let bytes: usize = entries.iter().map(Vec::len).sum();
                let many = entries.len() * (limits::PULL_FRAME_BYTES / bytes);
                *entries = entries.iter().cycle().take(many).cloned().collect();
            }),
            Self::AltersTheCheckpoint(line) => ends(move |note| altered(note, line)),
            Self::DoublesTheCheckpoint => ends(|note| note.repeat(2)),
            Self::RollsBack => heads(&signs(&held[..held.len() - 1])),
            Self::SignsTwoRoots => {
                let mut forked = held.to_vec();
                *forked.last_mut().expect("there is a log") = Hash::of(b"another entry");
                heads(&signs(&forked))
            }
            Self::Alternates => shows(Vec::new(), signs(held)),
            Self::SaysItIsGone => each_head(|_| HeadState::Unknown(Empty {})),
            Self::TellsAnotherHead => heads(&head_of(relay, about.other)),
            Self::ShowsAnotherLog => shows(relay.log(about.other), head_of(relay, about.other)),
            Self::TellsTooFewHeads => all_heads(|heads| drop(heads.pop())),
            Self::TellsTooManyHeads => all_heads(|heads| heads.push(heads[0].clone())),
            Self::AcknowledgesElsewhere => results(|results| {
                each_accepted(results, |accepted| accepted.index = LeafIndex(accepted.index.0 + 1));
            }),
            Self::AcknowledgesWithoutProof => results(|results| {
                each_accepted(results, |accepted| accepted.proof = Proof::default());
            }),
            Self::AnswersForTooFew => results(|results| drop(results.pop())),
            Self::AnswersForTooMany => results(|results| results.push(results[0].clone())),
        }
    }
}

/// The hash by which an entry stands in its log.
///
/// # Panics
/// When it is no entry.
pub fn leaf(bytes: &[u8]) -> Hash {
    UnverifiedEntry::decode(bytes).expect("an entry").leaf()
}

fn head_of(relay: &Tap, committee: CommitteeId) -> String {
    let leaves: Vec<Hash> = relay.log(committee).iter().map(|bytes| leaf(bytes)).collect();
    relay.signs(committee, &leaves)
}

fn entries(mut change: impl FnMut(&mut Vec<Vec<u8>>) + Send + 'static) -> Lie {
    Box::new(move |_, reply| match reply {
        Reply::Entries(entries) if !entries.is_empty() => {
            let mut entries = entries.into_iter().map(Vec::from).collect();
            change(&mut entries);
            Reply::Entries(entries.into_iter().map(Into::into).collect())
        }
        other => other,
    })
}

/// A log in the place of the one that was asked for.
fn shows(log: Vec<Vec<u8>>, note: String) -> Lie {
    Box::new(move |_, reply| match reply {
        Reply::Entries(_) => Reply::Entries(log.iter().cloned().map(Into::into).collect()),
        Reply::End(_) => Reply::End(Checkpointed { checkpoint: note.clone() }),
        other => other,
    })
}

fn ends(change: impl Fn(&str) -> String + Send + 'static) -> Lie {
    Box::new(move |_, reply| match reply {
        Reply::End(end) => Reply::End(Checkpointed { checkpoint: change(&end.checkpoint) }),
        other => other,
    })
}

fn all_heads(change: impl Fn(&mut Vec<HeadState>) + Send + 'static) -> Lie {
    Box::new(move |request, reply| match (request, reply) {
        (Request::Heads(_), Reply::Heads(mut states)) => {
            change(&mut states);
            Reply::Heads(states)
        }
        (_, other) => other,
    })
}

fn each_head(state: impl Fn(&HeadState) -> HeadState + Send + 'static) -> Lie {
    all_heads(move |states| states.iter_mut().for_each(|said| *said = state(said)))
}

fn heads(note: &str) -> Lie {
    let checkpoint = note.to_owned();
    each_head(move |_| HeadState::Other(Checkpointed { checkpoint: checkpoint.clone() }))
}

fn results(change: impl Fn(&mut Vec<PushResult>) + Send + 'static) -> Lie {
    Box::new(move |_, reply| match reply {
        Reply::Pushed(mut pushed) => {
            change(&mut pushed.results);
            Reply::Pushed(pushed)
        }
        other => other,
    })
}

fn each_accepted(results: &mut [PushResult], change: impl Fn(&mut Accepted)) {
    for result in results {
        if let PushResult::Accepted(accepted) = result {
            change(accepted);
        }
    }
}

fn alter(entry: &mut [u8]) {
    if let Some(last) = entry.last_mut() {
        *last ^= 1;
    }
}

fn nest(entry: &mut Vec<u8>) {
    *entry = vec![0x81; DEEP];
}

/// Of the first two, whose payloads are of one length.
fn swap_payloads(entries: &mut [Vec<u8>]) {
    let place = |entry: &[u8]| {
        let decoded = UnverifiedEntry::decode(entry).expect("an honest entry");
        let payload = decoded.payload().expect("nothing was forgotten").to_vec();
        let at = entry.windows(payload.len()).position(|bytes| bytes == payload);
        (at.expect("it is in there"), payload)
    };
    let [(one_at, one), (two_at, two)] = [place(&entries[0]), place(&entries[1])];
    assert_eq!(one.len(), two.len(), "records of one step");
    entries[0][one_at..one_at + two.len()].copy_from_slice(&two);
    entries[1][two_at..two_at + one.len()].copy_from_slice(&one);
}

/// The note with the last symbol of one line changed.
fn altered(note: &str, line: usize) -> String {
    let mut lines: Vec<String> = note.split('\n').map(str::to_owned).collect();
    let symbol = lines[line].pop();
    lines[line].push(if symbol == Some('1') { '2' } else { '1' });
    lines.join("\n")
}
