//! Every limit of the formats, in one place, each with its reason. All are inclusive.

/// A header: 14 small fields and the blob list take 300 to 900 bytes.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// Signatures of an entry, in every version: version 1 has one.
pub const SIGNATURES_MAX: usize = 16;
/// Blobs one entry may name.
pub const BLOBS_MAX: usize = 16;
/// A file that is attached, before it is padded and sealed: 64 GiB.
pub const ATTACHMENT_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// A blob: the largest attachment, which Padmé leaves as it is, 16 bytes for each of its 2^20 chunks,
/// and less than 4 KiB of age header and nonce.
pub const BLOB_BYTES_MAX: u64 = ATTACHMENT_BYTES_MAX + 16 * 1024 * 1024 + 4 * 1024;
/// A record's padded plaintext (SPEC.md §14).
pub const RECORD_PLAINTEXT_BYTES_MAX: usize = 1024 * 1024;
/// Containers within containers in a record: the schemas need 5.
pub const RECORD_DEPTH_MAX: usize = 16;
/// Values in a record, each a leaf of `content`: long reports have some hundreds.
pub const RECORD_LEAVES_MAX: usize = 4_096;
/// A member's name in a record: paths repeat names, so this bounds what all paths take.
pub const RECORD_NAME_BYTES_MAX: usize = 128;
/// A record's payload: the plaintext plus age's header and 16 bytes a 64 KiB chunk.
pub const RECORD_PAYLOAD_BYTES_MAX: usize = RECORD_PLAINTEXT_BYTES_MAX + 4 * 1024;
/// A roster change: a lock for as many devices as there may be, and the largest label.
pub const ROSTER_PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// A forget: an index and a hash.
pub const FORGET_PAYLOAD_BYTES_MAX: usize = 64;
/// An encoded entry: the largest payload, the header, one signature.
pub const ENTRY_BYTES_MAX: usize = RECORD_PAYLOAD_BYTES_MAX + HEADER_BYTES_MAX + 256;
/// Devices a committee may have had, ended ones included: bounds the fold.
pub const DEVICES_MAX: usize = 2_000;
/// Active devices a committee may have: a lock grants each of them, in one entry. At 2,100 bytes a
/// grant there is room for the largest label beside them, so a lock can be changed whatever others did.
pub const ACTIVE_DEVICES_MAX: usize = 350;
/// Devices a member may have that have not ended, a spare included.
pub const MEMBER_DEVICES_MAX: usize = 5;
/// Shares that make a spare's seed, at least: one alone would be its owner's key in another's hand.
pub const SHARES_MIN: usize = 2;
/// Shares of a spare's seed.
pub const SHARES_MAX: usize = 16;
/// Changes of one member that wait for approvals; one more drops the member's oldest, so that
/// nobody fills the roster and nobody voids another's.
pub const PROPOSALS_MAX: usize = 16;
/// Records of others that one coordinator wants forgotten and that wait for approvals: a record with all that
/// is attached to it. One more is refused, so that nothing else that waits is dropped for it.
pub const FORGETS_WAITING_MAX: usize = 256;
/// Days between a proposal and an approval: what was right a month ago is asked again.
pub const PROPOSAL_DAYS_MAX: u64 = 30;

/// An encoded card: two 32-byte keys, one 1,216-byte recipient, two signatures.
pub const CARD_BYTES_MAX: usize = 2 * 1024;

/// The age header of a record's payload: one scrypt stanza takes 150 bytes.
pub const RECORD_AGE_HEADER_BYTES_MAX: usize = 256;
/// A stanza of any other age file: a hybrid one takes 1.6 KB.
pub const STANZA_BYTES_MAX: usize = 4 * 1024;
/// Hybrid stanzas in a file for named readers.
pub const NAMED_READERS_MAX: usize = 32;
/// A grant: a hybrid header and two lines of text.
pub const GRANT_BYTES_MAX: usize = 4 * 1024;
/// A link: a hybrid header and two lines of text.
pub const LINK_BYTES_MAX: usize = 4 * 1024;
/// A share of a spare's seed: a hybrid header and a few numbers.
pub const SHARE_BYTES_MAX: usize = 4 * 1024;
/// A label: the committee's name and every handle, in steps of 4 KiB.
pub const LABEL_BYTES_MAX: usize = 256 * 1024;

/// A frame on the wire. An entry fits; a batch is split over frames.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a reader allocates at most before bytes have come: a length field is only a claim.
pub const FRAME_READ_STEP_BYTES: usize = 64 * 1024;
/// Entries one push may carry.
pub const PUSH_ENTRIES_MAX: usize = 1_024;
/// Entry bytes a relay puts into one frame of a pull.
pub const PULL_FRAME_BYTES: usize = 512 * 1024;
/// Entries in one frame of a pull: the smallest takes 300 bytes.
pub const PULL_FRAME_ENTRIES_MAX: usize = 4_096;
/// Entry bytes after which a pull ends, with a checkpoint of what it brought: who pulls holds them
/// in memory until their root is verified, and pulls again for the rest.
pub const PULL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a blob in one frame of an answer.
pub const BLOB_FRAME_BYTES: usize = 512 * 1024;
/// Committees one `heads` or `watch` may name.
pub const HEADS_COMMITTEES_MAX: usize = 256;

/// A checkpoint note with one signature.
pub const NOTE_BYTES_MAX: usize = 1_024;
/// Hashes in a proof: one a level of a tree of 2^63 leaves.
pub const PROOF_HASHES_MAX: usize = 64;

/// Files of a proof: four for every roster entry, so of the first sixteen thousand.
pub const PROOF_FILES_MAX: usize = 65_536;
/// A file of a proof that is no blob: the manifest of the most files is the longest, 109 bytes a file.
pub const PROOF_FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// All files of a proof that are no blobs: they are held in memory, twice while they are checked.
pub const PROOF_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Blobs of a proof: each is decided about by a person.
pub const PROOF_BLOBS_MAX: usize = 256;
/// All blobs of a proof: as many bytes as the largest one. A folder of holes is read as one of bytes.
pub const PROOF_BLOBS_BYTES_MAX: u64 = BLOB_BYTES_MAX;

/// An evidence file: two notes, an entry without its payload in base64, two proofs in hex.
pub const EVIDENCE_BYTES_MAX: usize = 32 * 1024;

/// The sealed part of a join request.
pub const JOIN_REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Join requests waiting on one invitation.
pub const JOIN_REQUESTS_MAX: usize = 16;
/// The answer to a join request: a share of a spare's secret, sealed anew.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// Invitations a committee may have open.
pub const INVITATIONS_MAX: usize = 256;
/// Persons one invitation may admit.
pub const INVITATION_USES_MAX: u32 = 100;

/// A handle, in bytes of UTF-8.
pub const HANDLE_BYTES_MAX: usize = 64;
/// A committee's name, in bytes of UTF-8.
pub const COMMITTEE_NAME_BYTES_MAX: usize = 256;
/// A relay address as text.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// Hosts one address may list.
pub const ADDRESS_HOSTS_MAX: usize = 8;
