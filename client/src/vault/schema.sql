-- The tables of a vault, version 6. Run over an earlier one it makes what is missing. Ids and hashes are 32 raw bytes, times are milliseconds since
-- 1970 UTC, states are the words of the design.

-- What this device says of itself. One row.
CREATE TABLE IF NOT EXISTS own (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    handle TEXT NOT NULL,
    country TEXT NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS committee (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 32),
    relay TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('founding', 'joining', 'active', 'ended')),
    -- What a founding or joining still needs, as JSON: the permit, or invitation and request.
    opening TEXT,
    made_ms INTEGER NOT NULL,
    -- The verified position: written together with the entries it covers.
    size INTEGER NOT NULL DEFAULT 0,
    note BLOB,
    fold BLOB,
    -- The label as opened: name and handles.
    label BLOB,
    -- Whether the relay answered when last asked.
    asked_ms INTEGER,
    answered INTEGER CHECK (answered IN (0, 1))
) STRICT;

-- Checkpoints the relay signed beyond the verified position: the log must still come to them.
CREATE TABLE IF NOT EXISTS ahead (
    committee INTEGER NOT NULL REFERENCES committee (no),
    size INTEGER NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (committee, size, note)
) STRICT, WITHOUT ROWID;

-- Every verified entry, byte for byte.
CREATE TABLE IF NOT EXISTS entry (
    committee INTEGER NOT NULL REFERENCES committee (no),
    leaf_index INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    author BLOB NOT NULL CHECK (length(author) = 32),
    author_seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (committee, leaf_index)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS entry_by_author ON entry (committee, author, author_seq);
-- The last roster entry, whatever number of records came since. Since version 2.
CREATE INDEX IF NOT EXISTS entry_by_kind ON entry (committee, kind, leaf_index);

-- Complete nodes of the tree, in the order in which appending makes them.
CREATE TABLE IF NOT EXISTS node (
    committee INTEGER NOT NULL REFERENCES committee (no),
    position INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (committee, position)
) STRICT, WITHOUT ROWID;

-- Epochs this device can open: the identity as text.
CREATE TABLE IF NOT EXISTS epoch_secret (
    committee INTEGER NOT NULL REFERENCES committee (no),
    epoch INTEGER NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (committee, epoch)
) STRICT, WITHOUT ROWID;

-- Links that were found not to lead back from `epoch` to the one before, until one in the log does.
-- Since version 3.
CREATE TABLE IF NOT EXISTS broken_link (
    committee INTEGER NOT NULL REFERENCES committee (no),
    epoch INTEGER NOT NULL,
    PRIMARY KEY (committee, epoch)
) STRICT, WITHOUT ROWID;

-- What the relay has not accepted yet, in the order in which it was written.
CREATE TABLE IF NOT EXISTS outbox (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    committee INTEGER NOT NULL REFERENCES committee (no),
    what TEXT NOT NULL CHECK (what IN ('record', 'roster')),
    id TEXT NOT NULL UNIQUE,
    ref TEXT NOT NULL,
    kind TEXT NOT NULL,
    draft BLOB NOT NULL,
    made_ms INTEGER NOT NULL,
    -- Bytes fixed when signed; from then on it is 'sending' and a retry sends the same.
    state TEXT NOT NULL CHECK (state IN ('saved', 'sending', 'refused')),
    entry BLOB,
    leaf_hash BLOB,
    author_seq INTEGER,
    refusal TEXT,
    refused_ms INTEGER,
    CHECK ((entry IS NULL) = (leaf_hash IS NULL) AND (entry IS NULL) = (author_seq IS NULL)),
    CHECK (state <> 'sending' OR entry IS NOT NULL),
    CHECK (state <> 'saved' OR entry IS NULL)
) STRICT;

-- The catalog: records as opened, or why they could not be.
CREATE TABLE IF NOT EXISTS record (
    committee INTEGER NOT NULL REFERENCES committee (no),
    leaf_index INTEGER NOT NULL,
    id TEXT NOT NULL,
    ref TEXT NOT NULL,
    kind TEXT NOT NULL,
    author BLOB NOT NULL CHECK (length(author) = 32),
    epoch INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    json TEXT,
    unopened TEXT,
    PRIMARY KEY (committee, leaf_index),
    CHECK ((json IS NULL) <> (unopened IS NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS record_by_ref ON record (ref);
-- By id alone since version 2: an id is looked for in all committees.
CREATE INDEX IF NOT EXISTS record_by_id ON record (id);
-- What a lock that comes later may open. Since version 2.
CREATE INDEX IF NOT EXISTS record_unopened ON record (committee, epoch, leaf_index)
    WHERE unopened IS NOT NULL;
-- How many somebody wrote, without reading them. Since version 6.
CREATE INDEX IF NOT EXISTS record_by_author ON record (committee, author, leaf_index, unopened)
    WHERE unopened IS NULL;

-- What the records of attachments say of their blobs, those not sent yet included. Since version 5.
CREATE TABLE IF NOT EXISTS attachment (
    committee INTEGER NOT NULL REFERENCES committee (no),
    -- The id of its record, and of the record it belongs to.
    id TEXT NOT NULL,
    to_id TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    size INTEGER NOT NULL,
    -- Why the relay's bytes were not taken, when last fetched.
    fault TEXT,
    PRIMARY KEY (committee, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attachment_by_record ON attachment (to_id);
CREATE INDEX IF NOT EXISTS attachment_by_blob ON attachment (committee, sha256);

-- Blobs that are here, wholly or in part. Since version 5.
CREATE TABLE IF NOT EXISTS blob (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    committee INTEGER NOT NULL REFERENCES committee (no),
    -- None while it is being sealed, and while its pieces are written over.
    sha256 BLOB CHECK (length(sha256) = 32),
    size INTEGER NOT NULL,
    -- How much of it is on disk, from its beginning.
    held INTEGER NOT NULL,
    -- How much of it the relay has from this device.
    sent INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN ('sealing', 'fetching', 'whole', 'dropping')),
    UNIQUE (committee, sha256),
    CHECK ((sha256 IS NULL) = (state IN ('sealing', 'dropping')))
) STRICT;

-- The pieces of the file `attachments`, free or taken by a part of a blob. Since version 5.
CREATE TABLE IF NOT EXISTS piece (
    no INTEGER PRIMARY KEY,
    blob INTEGER REFERENCES blob (no),
    part INTEGER,
    UNIQUE (blob, part),
    CHECK ((blob IS NULL) = (part IS NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS piece_free ON piece (no) WHERE blob IS NULL;

-- Invitations this device made.
CREATE TABLE IF NOT EXISTS invitation (
    id BLOB PRIMARY KEY CHECK (length(id) = 32),
    committee INTEGER NOT NULL REFERENCES committee (no),
    text TEXT NOT NULL,
    role TEXT NOT NULL,
    uses INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('making', 'open', 'cancelled'))
) STRICT;

-- What helpers with a share of a spare are to say in a drill. Since version 4.
CREATE TABLE IF NOT EXISTS drill (
    committee INTEGER NOT NULL REFERENCES committee (no),
    spare BLOB NOT NULL CHECK (length(spare) = 32),
    helper BLOB NOT NULL CHECK (length(helper) = 32),
    code TEXT NOT NULL,
    passed_ms INTEGER,
    PRIMARY KEY (committee, spare, helper)
) STRICT, WITHOUT ROWID;

-- Join requests on them, as opened.
CREATE TABLE IF NOT EXISTS join_request (
    device BLOB NOT NULL CHECK (length(device) = 32),
    invitation BLOB NOT NULL REFERENCES invitation (id),
    request BLOB NOT NULL,
    handle TEXT NOT NULL,
    safety_number TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('asking', 'admitted', 'refused')),
    seen_ms INTEGER NOT NULL,
    PRIMARY KEY (device, invitation, safety_number)
) STRICT;

-- Who vouches for which size: the newest verified cosignature of each signer.
CREATE TABLE IF NOT EXISTS cosignature (
    committee INTEGER NOT NULL REFERENCES committee (no),
    signer TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    at_ms INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (committee, signer)
) STRICT, WITHOUT ROWID;

-- When the cosignatures of a committee were last fetched, and at which size of its log. Since version 6.
CREATE TABLE IF NOT EXISTS heard (
    committee INTEGER PRIMARY KEY REFERENCES committee (no),
    size INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- What was refused and what contradicts what: kept for others to see.
CREATE TABLE IF NOT EXISTS evidence (
    no INTEGER PRIMARY KEY,
    committee INTEGER NOT NULL REFERENCES committee (no),
    what TEXT NOT NULL,
    bytes BLOB NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT;

-- Receipts of entries this device sent, until the log was verified past their notes: the entry without its payload.
-- Since version 6.
CREATE TABLE IF NOT EXISTS receipt (
    committee INTEGER NOT NULL REFERENCES committee (no),
    leaf_index INTEGER NOT NULL,
    size INTEGER NOT NULL,
    note BLOB NOT NULL,
    entry BLOB NOT NULL,
    proof BLOB NOT NULL,
    PRIMARY KEY (committee, leaf_index, note)
) STRICT, WITHOUT ROWID;

-- Committees whose relay is not dealt with until it shows again what was verified, and the file that says why.
-- Since version 6.
CREATE TABLE IF NOT EXISTS stop (
    committee INTEGER PRIMARY KEY REFERENCES committee (no),
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
