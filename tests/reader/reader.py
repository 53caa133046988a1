#!/usr/bin/env python3
"""Verifies a committee's log from its founding entry to its head, by protocol/SPEC.md alone.

    python3 reader.py FILE

FILE is what `sealpost-relay export` wrote (SPEC.md §26), or a vector of protocol/testdata/log. Prints one
line (size, root, epoch, members) and ends with 0; or says in one sentence which entry breaks which rule
and ends with 7, or with 12 where a newer reader is needed. It opens nothing that is sealed: no secret is needed to verify a log.

Python's standard library only. § and numbers in messages are those of SPEC.md.
"""

import base64
import copy
import hashlib
import ipaddress
import re
import sys

MAGIC = b"sealpost-log/1\n"
MIB = 1 << 20
NOTE_MAX, ENTRY_MAX, HEADER_MAX, CARD_MAX = 1024, 1_057_024, 4096, 2048
PAYLOAD_MAX = {1: MIB, 2: MIB + 4096, 3: 64}
BLOB_MAX, BLOBS_MAX = 68_736_258_048, 16
DEVICES_MAX, ACTIVE_MAX, OWN_MAX = 2000, 350, 5
PROPOSALS_MAX, FORGETS_MAX, PROPOSAL_MS = 16, 256, 30 * 24 * 60 * 60 * 1000
# One stanza for the reader and one of grease, beside the first and the last line.
HYBRID_HEADER_MAX = 2 * 4096 + 70
ZERO = bytes(32)


class Wrong(Exception):
    """A rule is broken."""


class Newer(Exception):
    """Made by a newer version of the formats."""


def must(holds, rule):
    if not holds:
        raise Wrong(rule)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- Ed25519, RFC 8032 §5.1, strict (SPEC.md §2) -------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    g, h, i, j = f - e, d - c, d + c, f + e
    return g * h % P, i * j % P, h * i % P, g * j % P


def point_times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        number >>= 1
    return result


def same_point(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def read_point(text):
    """The point, or None: one encoding a point."""
    number = int.from_bytes(text, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = read_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def small(point):
    return same_point(point_times(8, point), (0, 1, 1, 0))


def is_key(key):
    point = read_point(key)
    return point is not None and not small(point)


def is_signed(key, message, signature):
    a, r, s = read_point(key), read_point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= ORDER or small(a) or small(r):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return same_point(point_times(s, BASE), point_add(r, point_times(k, a)))


def is_signed_as(kind, key, message, signature):
    return is_signed(key, b"sealpost-sig/1 " + kind + b"\0" + message, signature)


# ---- Deterministic CBOR (SPEC.md §2) -------------------------------------------------------------


def cbor(data, limit, what):
    must(len(data) <= limit, f"§2, 3: {what} has more than {limit} bytes")
    value, end = cbor_value(data, 0, what)
    must(end == len(data), f"§2, 2: bytes follow {what}")
    return value


def cbor_head(data, at, what):
    must(at < len(data), f"§2, 2: {what} is cut short")
    major, short = data[at] >> 5, data[at] & 31
    at += 1
    if short < 24:
        return major, short, at
    must(short < 28, f"§2, 2: {what} has an indefinite length or an unknown form")
    width = 1 << short - 24
    must(at + width <= len(data), f"§2, 2: {what} is cut short")
    number = int.from_bytes(data[at:at + width], "big")
    must(number >= (24 if width == 1 else 1 << 4 * width), f"§2, 2: {what} has a number that is longer than needed")
    return major, number, at + width


def cbor_value(data, at, what):
    major, number, at = cbor_head(data, at, what)
    if major == 0:
        return number, at
    if major in (2, 3):
        must(at + number <= len(data), f"§2, 2: {what} is cut short")
        text = data[at:at + number]
        if major == 3:
            try:
                text = text.decode()
            except UnicodeDecodeError:
                raise Wrong(f"§2: {what} has a text that is not UTF-8") from None
        return text, at + number
    if major == 4:
        values = []
        for _ in range(number):
            value, at = cbor_value(data, at, what)
            values.append(value)
        return values, at
    if major == 5:
        fields, last = {}, -1
        for _ in range(number):
            key, at = cbor_value(data, at, what)
            must(type(key) is int and key > last, f"§2, 2: {what} has keys that are no numbers in order")
            fields[key], at = cbor_value(data, at, what)
            last = key
        return fields, at
    must(major == 7 and number in (20, 21), f"§2, 2: {what} has a value of a kind that no format has")
    return number == 21, at


def cbor_bytes(data):
    return cbor_length(2, len(data)) + data


def cbor_length(major, number):
    for width, short in ((0, None), (1, 24), (2, 25), (4, 26)):
        if width == 0 and number < 24:
            return bytes([major << 5 | number])
        if width and number < 1 << 8 * width:
            return bytes([major << 5 | short]) + number.to_bytes(width, "big")
    raise AssertionError("nothing here is that long")


# Shapes: a function that says whether a value has one.

def number(bits):
    return lambda value: type(value) is int and value < 1 << bits


def octets(length=None):
    return lambda value: type(value) is bytes and (length is None or len(value) == length)


def text(value):
    return type(value) is str


def flag(value):
    return type(value) is bool


def one_of(*allowed):
    return lambda value: type(value) is int and value in allowed


def array(*shapes):
    return lambda value: type(value) is list and len(value) == len(shapes) and all(
        shape(one) for shape, one in zip(shapes, value))


def every(shape):
    return lambda value: type(value) is list and all(shape(one) for one in value)


def fields(*shapes, absent=()):
    """A map of the numbered fields; those whose numbers are in `absent` may be left out."""
    def holds(value):
        return type(value) is dict and all(key < len(shapes) for key in value) and all(
            key in absent if key not in value else shape(value[key]) for key, shape in enumerate(shapes))
    return holds


HASH = octets(32)
RELAY = fields(text, text)
GRANT = fields(HASH, octets())
LOCK = fields(octets(1216), every(GRANT), octets(), octets(), absent=(2,))
POLICY = fields(number(16), array(number(16), flag), array(number(16), number(16)), flag, number(16), number(8))
ROLE = one_of(1, 2, 3)
COORDINATOR, READER = 1, 3
SEEN = array(number(64), HASH)


def target(value):
    return array(one_of(1), number(32))(value) or array(one_of(2), HASH)(value)


CHANGES = {
    1: ("found", fields(octets(), RELAY, POLICY, LOCK)),
    2: ("admit", fields(octets(), number(32), ROLE, every(GRANT), octets())),
    3: ("device", fields(octets(), GRANT)),
    4: ("retire", fields(HASH)),
    5: ("role", fields(number(32), ROLE)),
    6: ("suspend", fields(target)),
    7: ("restore", fields(target)),
    8: ("remove", fields(number(32))),
    9: ("lock", LOCK),
    10: ("grant", fields(HASH, number(32), octets())),
    11: ("link", fields(number(32), octets())),
    12: ("policy", POLICY),
    13: ("relays", fields(RELAY, every(RELAY), every(SEEN), every(array(HASH, octets(64))))),
    14: ("label", fields(octets())),
    15: ("recovery", fields(HASH, number(8), every(array(HASH, octets())))),
    16: ("approve", fields(HASH, every(GRANT), octets(), absent=(2,))),
}
HEADER = fields(number(8), HASH, number(32), number(8), HASH, number(64), HASH, SEEN, SEEN, number(32), number(64),
                number(64), HASH, HASH, every(array(HASH, number(64))))
COSIGNATURE = fields(HASH, number(64), HASH, text)


# ---- Cards, addresses, age headers (SPEC.md §4, §15, §11) ----------------------------------------


class Card:
    def __init__(self, data):
        wire = cbor(data, CARD_MAX, "a card")
        must(array(octets(), octets(64), octets(64))(wire), "§4: a card is its keys and two signatures")
        keys = cbor(wire[0], CARD_MAX, "a card's keys")
        shape = array(*(array(one_of(kind), octets(size)) for kind, size in ((1, 32), (2, 32), (3, 1216))))
        must(shape(keys), "§4, 1: a card has one key of each type, in order")
        self.signing, self.login, self.recipient = (key for _, key in keys)
        must(self.signing != self.login, "§4, 3: a card's signing and login key are the same")
        must(is_key(self.signing) and is_key(self.login), "§4, 4: a card's key is no point, or of small order")
        signed = zip((self.signing, self.login), wire[1:])
        must(all(is_signed_as(b"card", key, wire[0], by) for key, by in signed), "§4, 2: a card's keys did not sign it")
        self.device = sha256(wire[0])

    def __deepcopy__(self, _):
        return self


def is_host(host):
    name, colon, port = host.rpartition(":")
    if not colon or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
        return False
    if name.startswith("["):
        try:
            # Python shows an address that ends in an IPv4 one otherwise than RFC 5952.
            address = ipaddress.IPv6Address(name[1:-1])
            mapped = address.ipv4_mapped
            shown = f"::ffff:{mapped}" if mapped else str(address)
            return "%" not in name and name == f"[{shown}]"
        except ValueError:
            return False
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", name):
        return all(int(part) < 256 and str(int(part)) == part for part in name.split("."))
    labels = name.split(".")
    label = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
    return len(name) <= 253 and all(label.fullmatch(one) for one in labels) and not labels[-1].isdigit()


def relay_key(address):
    found = re.fullmatch("sealpost://([a-z2-7]{52})@(.*)", address, re.DOTALL)
    must(len(address.encode()) <= 512 and found, "§15: that is no relay's address")
    padded = found[1].upper() + "===="
    key = base64.b32decode(padded)
    must(base64.b32encode(key).decode() == padded and is_key(key), "§15, 2: the key in a relay's address is none")
    hosts = found[2].split(",")
    must(len(hosts) <= 8 and all(map(is_host, hosts)), "§15, 3: a host in a relay's address is none")
    return key


def check_relay(relay):
    must(re.fullmatch("[A-Z]{2}", relay[1]), "§2, 4: a country is two letters")
    return relay_key(relay[0])


def base64_bytes(symbols, size=None):
    """What canonical base64 without padding says, or None."""
    try:
        data = base64.b64decode(symbols + b"=" * (-len(symbols) % 4), validate=True)
    except ValueError:
        return None
    if base64.b64encode(data).rstrip(b"=") != symbols or size not in (None, len(data)):
        return None
    return data


def age_stanzas(file, limit):
    """The stanzas of an age file, each the words of its first line and the length of its body; and where the
    header ends."""
    window, at = file[:limit], 0

    def line():
        nonlocal at
        end = window.find(b"\n", at)
        must(end >= 0, "§11, 2: an age header does not end within its limit")
        found, at = window[at:end], end + 1
        return found

    must(line() == b"age-encryption.org/v1", "§11, 1: not an age v1 file")
    stanzas = []
    while True:
        head = line()
        if head.startswith(b"---"):
            must(head[:4] == b"--- " and base64_bytes(head[4:], 32), "§11, 6: the last line of an age header is malformed")
            must(stanzas, "§11, 5: an age header has no stanza")
            return stanzas, at
        must(head.startswith(b"-> "), "§11, 3: a line of an age header begins no stanza")
        must(len(stanzas) < 33, "§11, 5: an age header has more than 33 stanzas")
        words = head[3:].split(b" ")
        must(all(re.fullmatch(b"[!-~]+", word) for word in words), "§11, 3: a stanza has an argument that is none")
        size, body = len(head) + 1, 0
        while True:
            row = line()
            size += len(row) + 1
            must(size <= 4096, "§11, 5: a stanza takes more than 4 KiB")
            data = base64_bytes(row) if len(row) <= 64 else None
            must(data is not None, "§11, 4: the body of a stanza is no base64 in lines of 64")
            body += len(data)
            if len(row) < 64:
                break
        stanzas.append((words, body))


def check_age_payload(sealed):
    last = (sealed - 16) % (65536 + 16)
    must(sealed > 16 and (last == 0 or last > 16 or sealed == 32), "§11, 11: an age file ends amid a chunk")


def check_record_file(file):
    stanzas, end = age_stanzas(file, 256)
    must(len(stanzas) == 1 and stanzas[0][0][0] == b"scrypt", "§8, 13: a record has one scrypt stanza")
    words, body = stanzas[0]
    must(len(words) == 3 and base64_bytes(words[1], 16), "§11, 7: a scrypt stanza has a salt of 16 bytes")
    must(words[2] == b"1", "§8, 13: a record's work factor is 1")
    must(body == 32, "§11, 9: a wrapped file key has 32 bytes")
    check_age_payload(len(file) - end)


def check_hybrid(file, what, limit):
    must(len(file) <= limit, f"§7, 7: a {what} has more than {limit} bytes")
    stanzas, end = age_stanzas(file, HYBRID_HEADER_MAX)
    grease = [words for words, _ in stanzas if words[0].endswith(b"-grease")]
    hybrid = [(words, body) for words, body in stanzas if words[0] == b"mlkem768x25519"]
    must(len(grease) + len(hybrid) == len(stanzas) and len(grease) <= 1 and len(hybrid) == 1,
         f"§11, 10: a {what} has one hybrid stanza and at most one of grease")
    words, body = hybrid[0]
    must(len(words) == 2 and base64_bytes(words[1], 1120), "§11, 8: a hybrid stanza has one share of 1,120 bytes")
    must(body == 32, "§11, 9: a wrapped file key has 32 bytes")
    check_age_payload(len(file) - end)


# ---- Tree (SPEC.md §9) ---------------------------------------------------------------------------


class Tree:
    def __init__(self):
        self.size, self.edge = 0, []
        self.roots = [sha256()]

    def append(self, leaf):
        node, size = leaf, self.size
        while size & 1:
            node, size = sha256(b"\1", self.edge.pop(), node), size >> 1
        self.edge.append(node)
        self.size += 1
        root = self.edge[-1]
        for node in reversed(self.edge[:-1]):
            root = sha256(b"\1", node, root)
        self.roots.append(root)


# ---- Roster (SPEC.md §7) -------------------------------------------------------------------------


class Standing:
    """Of a member, or of a device beside its member's."""

    def __init__(self, **what):
        self.__dict__.update(what)
        self.state = "active"


class Place:
    def __init__(self, index, leaf, author, made_at):
        self.index, self.leaf, self.author, self.made_at = index, leaf, author, made_at


class Roster:
    def __init__(self, found, place):
        card, home, policy, lock = (found[key] for key in range(4))
        self.card = Card(card)
        self.home = check_relay(home)
        must(policy[0] == 1 and policy[5] == 1, "§7, 1: a founding policy has one approval and format 1")
        must(2 not in lock, "§7, 1: a founding lock has no link")
        check_hybrid(lock[3], "label", 262_144)
        check_grants(lock[1], [self.card.device])
        must(lock[0] != self.card.recipient, "§7, 1: a founding lock's recipient is the device's")
        self.members = {1: Standing(role=COORDINATOR)}
        self.devices = {self.card.device: Standing(card=self.card, member=1)}
        self.locks = []
        self.policy = policy
        self.number, self.lock_number, self.since_lock = 0, 0, [place.leaf]
        self.proposals, self.undecided, self.spares = {}, {}, {}
        self.begin_epoch(lock, place.index)

    # What it says.

    def acts(self, device):
        found = self.devices.get(device)
        return found and found.state == "active" and self.members[found.member].state == "active"

    def active(self):
        return sorted(device for device in self.devices if self.acts(device))

    def role(self, device):
        return self.members[self.devices[device].member].role if self.acts(device) else None

    def member_of(self, target):
        known = self.members if target[0] == 1 else self.devices
        must(target[1] in known, "§7, 14: it names a member or device that was never here")
        return target[1] if target[0] == 1 else self.devices[target[1]].member

    def standing(self, target):
        member = self.member_of(target)
        if target[0] == 1:
            return self.members[member]
        must(self.members[member].state != "ended", "§7, 14: it is about a device of a member who has ended")
        return self.devices[target[1]]

    def is_coordinator(self, member):
        return self.members[member].role == COORDINATOR

    def coordinators(self):
        """The active ones."""
        return {self.devices[device].member for device in self.active() if self.role(device) == COORDINATOR}

    def is_spare(self, device):
        return any(spare["device"] == device for spare in self.spares.values())

    def lock_pending(self):
        return not all(self.acts(device) for device in self.locks[-1]["granted"])

    def holds(self, device, epoch):
        for lock in self.locks[epoch - 1:]:
            if lock is not self.locks[epoch - 1] and not lock["linked"]:
                return False
            if device in lock["granted"]:
                return True
        return False

    def is_since_lock(self, head):
        at = head[0] - self.lock_number
        return 0 <= at < len(self.since_lock) and self.since_lock[at] == head[1]

    def head(self):
        return [self.number, self.since_lock[-1]]

    # What changes it. A change is made to a copy, which is dropped when a rule is broken.

    def apply(self, tag, body, place):
        """The roster after a change; and the record that is forgotten by it, if one is."""
        name = CHANGES[tag][0]
        must(name not in ("found", "relays"), f"§7, 1 and 13: a {name} is not admitted here")
        must(not self.is_spare(place.author) or name in ("device", "retire", "lock"),
             f"§7, 33: a spare posts no {name}")
        after = copy.deepcopy(self)
        forgotten = getattr(after, "change_" + name)(body, place)
        if name not in ("grant", "link"):
            after.count(place)
        return after, forgotten

    def count(self, place):
        self.number += 1
        self.since_lock.append(place.leaf)

    def coordinator(self, device):
        must(self.role(device) == COORDINATOR, "§7, 2: its author is no active coordinator")
        return self.devices[device].member

    def change_admit(self, body, place):
        self.coordinator(place.author)
        card = Card(body[0])
        must(body[1] == max(self.members) + 1, "§7, 3: an admission names the next member number")
        check_hybrid(body[4], "label", 262_144)
        change = ("admit", card, body[2])
        granted = [] if self.needs_approvals(change) else [card.device]
        check_grants(body[3], granted)
        self.decide(change, place)
        self.locks[-1]["granted"].update(granted)

    def change_device(self, body, place):
        card, member = Card(body[0]), self.devices[place.author].member
        check_grants([body[1]], [card.device])
        change = ("device", card, member)
        after = self.after(change)
        if self.policy[3] and self.role(place.author) != COORDINATOR:
            self.propose(change, member, place)
        else:
            self.become(after)
            self.locks[-1]["granted"].add(card.device)

    def change_retire(self, body, place):
        device = body[0]
        must(device in self.devices, "§7, 30: it retires a device that was never here")
        must(self.devices[device].member == self.devices[place.author].member,
             "§7, 30: it retires another member's device")
        after = copy.deepcopy(self)
        standing = after.standing([2, device])
        must(standing.state != "ended", "§7, 30: it retires a device that has ended")
        standing.state = "ended"
        after.settle(self, [2, device])
        self.become(after)

    def change_role(self, body, place):
        self.decide(("role", body[0], body[1]), place)

    def change_restore(self, body, place):
        self.decide(("restore", body[0]), place)

    def change_remove(self, body, place):
        self.decide(("remove", body[0]), place)

    def change_policy(self, body, place):
        self.decide(("policy", body), place)

    def change_suspend(self, body, place):
        by, target = self.coordinator(place.author), body[0]
        member = self.member_of(target)
        binds = self.policy[0] > 1 and self.is_coordinator(member) and member != by
        must(not binds or all(one["member"] == member for one in self.undecided_by(by)),
             "§7, 24: its author is bound by a suspension that is not decided")
        after = copy.deepcopy(self)
        standing = after.standing(target)
        must(standing.state == "active", "§7, 14: it suspends what is suspended or has ended")
        standing.state = "suspended"
        if binds:
            after.undecided[place.leaf] = {"target": target, "member": member, "by": by, "approved": set()}
        after.settle(self, target)
        self.become(after)

    def change_lock(self, lock, place):
        of_right = self.role(place.author) == COORDINATOR and not self.is_spare(place.author)
        must(of_right or self.lock_pending() and 2 in lock,
             "§7, 2: who is no coordinator changes a lock that is due, and with a link")
        check_hybrid(lock[3], "label", 262_144)
        if 2 in lock:
            check_hybrid(lock[2], "link", 4096)
        check_grants(lock[1], self.active())
        used = [old["recipient"] for old in self.locks] + [one.card.recipient for one in self.devices.values()]
        must(lock[0] not in used, "§7, 6: a lock's recipient was an epoch's or a device's before")
        self.begin_epoch(lock, place.index)
        self.lock_number, self.since_lock = self.number + 1, []

    def begin_epoch(self, lock, index):
        granted = {grant[0] for grant in lock[1]}
        self.locks.append({"recipient": lock[0], "at": index, "linked": 2 in lock, "granted": granted})

    def change_label(self, body, place):
        self.coordinator(place.author)
        check_hybrid(body[0], "label", 262_144)

    def change_grant(self, body, place):
        device, epoch, file = (body[key] for key in range(3))
        must(1 <= epoch <= len(self.locks) and self.acts(device) and self.holds(place.author, epoch),
             "§7, 8: a grant is for an active device, by who holds that epoch")
        check_hybrid(file, "grant", 4096)
        self.locks[epoch - 1]["granted"].add(device)

    def change_link(self, body, place):
        epoch = body[0]
        must(1 <= epoch <= len(self.locks) and self.locks[epoch - 1]["linked"],
             "§7, 9: no link crosses a lock that withheld history")
        must(self.holds(place.author, epoch), "§7, 8: a link is by who holds the later epoch")
        check_hybrid(body[1], "link", 4096)

    def change_recovery(self, body, place):
        spare, threshold, shares = (body[key] for key in range(3))
        owner = self.devices[place.author].member
        helps = any(spare in other["helpers"] for other in self.spares.values())
        must(self.acts(spare) and self.devices[spare].member == owner and spare != place.author and not helps,
             "§7, 31: a spare is another active device of its author's member, and helps nobody")
        must(not self.is_spare(spare), "§7, 32: a spare is not shared twice")
        must(2 <= threshold <= len(shares) <= 16, "§7, 31: a threshold is 2 to as many as there are shares, at most 16")
        must([one[0] for one in shares] == sorted({one[0] for one in shares}), "§7, 31: shares stand in the order of ids")
        members = {owner}
        for device, file in shares:
            must(self.acts(device) and not self.is_spare(device) and self.devices[device].member not in members,
                 "§7, 31: each share is for an active device of another member")
            members.add(self.devices[device].member)
            check_hybrid(file, "share", 4096)
        after = copy.deepcopy(self)
        if owner in after.spares:
            after.standing([2, after.spares.pop(owner)["device"]]).state = "ended"
        after.spares[owner] = {"device": spare, "helpers": {one[0] for one in shares}}
        after.settle(self, None)
        self.become(after)

    def change_approve(self, body, place):
        by, entry, grants, label = self.coordinator(place.author), body[0], body[1], body.get(2)
        if entry in self.undecided:
            must(not grants and label is None, "§7, 20: an approval that completes nothing carries nothing")
            suspension = self.undecided[entry]
            must(by not in suspension["approved"], "§7, 19: a member approves once")
            must(by in self.deciders(suspension), "§7, 25: its author does not decide that suspension")
            suspension["approved"].add(by)
            return self.settle_suspensions()
        proposal = self.proposals.get(entry)
        must(proposal, "§7, 19: it approves what does not wait")
        change = proposal["change"]
        must(place.made_at - proposal["made_at"] <= PROPOSAL_MS, "§7, 19: it approves after more than 30 days")
        must(self.target(change) != by, "§7, 19: it approves what is about its author")
        must(by not in proposal["approved"], "§7, 19: a member approves once")
        self.must_be_unbound(by, change)
        needed = 1 if change[0] == "device" else self.policy[0]
        if needed - len(proposal["approved"]) > 1:
            must(not grants and label is None, "§7, 20: an approval that completes nothing carries nothing")
            proposal["approved"].add(by)
            return None
        after = self.after(change)
        after.proposals.pop(entry, None)
        lacking = [one for one in after.active() if one not in after.locks[-1]["granted"] and not self.acts(one)]
        check_grants(grants, lacking)
        must((label is not None) == (change[0] == "admit"), "§7, 20: a label comes with an admission, and only then")
        if label is not None:
            check_hybrid(label, "label", 262_144)
        after.locks[-1]["granted"].update(lacking)
        self.become(after)
        return change[1] if change[0] == "forget" else None

    def forget(self, index, owner, place):
        """Whether a record of that member's is forgotten at once."""
        if self.devices[place.author].member == owner:
            return True
        by = self.coordinator(place.author)
        if self.policy[0] == 1:
            return True
        mine = [one for one in self.proposals.values() if one["by"] == by and one["change"][0] == "forget"]
        must(len(mine) < FORGETS_MAX, "§8, 21: a member has 256 records waiting to be forgotten")
        self.propose(("forget", index, owner), by, place)
        return False

    # How they come to take effect.

    def become(self, other):
        self.__dict__ = other.__dict__

    def target(self, change):
        """The member it is about."""
        kind = change[0]
        if kind in ("role", "remove"):
            return change[1]
        if kind == "restore":
            return self.member_of(change[1])
        return change[2] if kind in ("device", "forget") else None

    def is_about_coordinators(self, change):
        return change[2] == COORDINATOR or change[1] in self.members and self.is_coordinator(change[1])

    def needs_approvals(self, change):
        kind = change[0]
        grave = kind in ("restore", "remove", "policy", "forget")
        grave = grave or kind == "admit" and change[2] == COORDINATOR
        grave = grave or kind == "role" and self.is_about_coordinators(change)
        return grave and self.policy[0] > 1

    def must_be_unbound(self, by, change):
        if change[0] in ("restore", "remove"):
            about = self.target(change)
            must(all(one["member"] != about for one in self.undecided_by(by)),
                 "§7, 24: its author is bound by the suspension of whom it is about")

    def decide(self, change, place):
        by = self.coordinator(place.author)
        self.must_be_unbound(by, change)
        after = self.after(change)
        if self.needs_approvals(change):
            self.propose(change, by, place)
        else:
            self.become(after)

    def propose(self, change, by, place):
        if change[0] != "forget":
            mine = [(one["at"], leaf) for leaf, one in self.proposals.items()
                    if one["by"] == by and one["change"][0] != "forget"]
            if len(mine) >= PROPOSALS_MAX:
                del self.proposals[min(mine)[1]]
        approved = set() if self.target(change) == by else {by}
        self.proposals[place.leaf] = {
            "change": change, "by": by, "approved": approved, "at": place.index, "made_at": place.made_at}

    def after(self, change):
        """The roster once it has taken effect."""
        after, kind, changed = copy.deepcopy(self), change[0], None
        if kind in ("admit", "device"):
            after.let_in(change)
        elif kind == "role":
            must(change[1] in self.members, "§7, 14: it names a member who was never here")
            member = after.members[change[1]]
            must(member.state != "ended" and member.role != change[2], "§7, 14: it gives a role that changes nothing")
            changed = [1, change[1]] if self.is_about_coordinators(change) else None
            member.role = change[2]
        elif kind == "restore":
            standing, changed = after.standing(change[1]), change[1]
            must(standing.state == "suspended", "§7, 14: it restores what is not suspended")
            standing.state = "active"
        elif kind == "remove":
            standing, changed = after.standing([1, change[1]]), [1, change[1]]
            must(standing.state != "ended", "§7, 14: it removes who has ended")
            standing.state = "ended"
        elif kind == "policy":
            policy = change[1]
            must(policy[5] == 1 and policy[0] >= 1 and policy != self.policy,
                 "§7, 17: a policy has format 1, at least one approval, and is another than before")
            after.policy = policy
        after.settle(self, changed)
        return after

    def let_in(self, change):
        kind, card, more = change
        must(len(self.devices) < DEVICES_MAX, "§7, 12: a committee has had 2,000 devices")
        must(card.device not in self.devices, "§7, 11: a device's id never returns")
        for one in self.devices.values():
            keys = {one.card.signing, one.card.login}
            must(not keys & {card.signing, card.login} and one.card.recipient != card.recipient,
                 "§7, 4: a key of a new card is another device's")
        must(all(lock["recipient"] != card.recipient for lock in self.locks),
             "§7, 4: a new card's recipient is an epoch's")
        if kind == "admit":
            member = max(self.members) + 1
            self.members[member] = Standing(role=more)
        else:
            member = more
            own = [one for one in self.devices.values() if one.member == member and one.state != "ended"]
            must(len(own) < OWN_MAX, "§7, 28: a member has five devices")
        self.devices[card.device] = Standing(card=card, member=member)

    def settle(self, before, changed):
        self.end_spares()
        self.check_sound()
        self.void_outdated(before, changed)
        self.settle_suspensions()

    def end_spares(self):
        def stands(owner, spare):
            return (self.members[owner].state != "ended" and self.devices[spare["device"]].state != "ended"
                    and all(self.acts(helper) for helper in spare["helpers"]))
        for owner in [owner for owner, spare in self.spares.items() if not stands(owner, spare)]:
            self.devices[self.spares.pop(owner)["device"]].state = "ended"

    def check_sound(self):
        active = self.active()
        must(len(active) <= ACTIVE_MAX, "§7, 12: 350 devices are active")
        must(any(self.role(one) == COORDINATOR and not self.is_spare(one) for one in active),
             "§7, 16: no active coordinator would be left")
        lasting = sum(self.is_lasting_coordinator(member) for member in self.members)
        must(self.policy[0] <= max(1, lasting - 1), "§7, 17: the policy asks for more approvals than coordinators allow")

    def is_lasting_coordinator(self, member):
        return self.is_coordinator(member) and self.members[member].state != "ended"

    def is_suspended(self, target):
        return (self.members if target[0] == 1 else self.devices)[target[1]].state == "suspended"

    def void_outdated(self, before, changed):
        others = self.coordinators() != before.coordinators() or self.policy != before.policy
        newly = changed and self.is_suspended(changed) and not before.is_suspended(changed)
        suspended = self.member_of(changed) if newly else None

        def stays(change):
            if change[0] == "remove" and change[1] == suspended:
                return True
            if others:
                return False
            if changed is None:
                return True
            if changed[0] == 2:
                return change != ("restore", changed)
            return change[0] == "forget" or self.target(change) != changed[1]

        self.proposals = {leaf: one for leaf, one in self.proposals.items() if stays(one["change"])}

    def undecided_by(self, member):
        return [one for one in self.undecided.values() if one["by"] == member]

    def deciders(self, suspension):
        return {one for one in self.coordinators() if one != suspension["member"] and not self.undecided_by(one)}

    def settle_suspensions(self):
        def decided(one):
            deciders = self.deciders(one)
            return (self.policy[0] == 1 or not self.is_suspended(one["target"])
                    or not self.is_lasting_coordinator(one["member"])
                    or len(one["approved"] & deciders) >= min(self.policy[0], len(deciders)))
        done = [leaf for leaf, one in self.undecided.items() if decided(one)]
        for leaf in done:
            del self.undecided[leaf]


def check_grants(grants, devices):
    must([grant[0] for grant in grants] == list(devices), "§7, 3, 5 and 20: grants name exactly the devices that need one")
    for grant in grants:
        check_hybrid(grant[1], "grant", 4096)


# ---- Entries and their admission (SPEC.md §5, §8) ------------------------------------------------


class Entry:
    def __init__(self, data):
        must(len(data) <= ENTRY_MAX, "§5, 5: it is longer than an entry may be")
        wire = cbor(data, ENTRY_MAX, "the entry")
        must(type(wire) is list and len(wire) in (2, 3) and type(wire[0]) is bytes
             and every(array(number(8), octets()))(wire[1]) and len(wire[1]) <= 16
             and all(map(octets(), wire[2:])), "§5: an entry is a header, signatures and a payload")
        self.header_bytes, signatures = wire[:2]
        self.payload = wire[2] if len(wire) == 3 else None
        # [header, signatures] is what stands between the outer head and the payload.
        payload = 0 if self.payload is None else len(cbor_bytes(self.payload))
        self.leaf = sha256(b"\0\x82", data[1:len(data) - payload])
        must(self.header_bytes[1:2] == b"\0", "§5, 1: a header begins with its version")
        version = cbor_value(self.header_bytes, 2, "a header")[0]
        if version != 1:
            raise Newer(f"it is of version {version}, and this reader knows 1")
        header = cbor(self.header_bytes, HEADER_MAX, "a header")
        must(HEADER(header), "§5, 2: a header has its fifteen fields and no others")
        (_, self.committee, self.term, self.kind, self.author, self.seq, self.prev, self.seen, self.roster_head,
         self.epoch, self.made_at, self.payload_len, self.payload_hash, self.content, self.blobs) = header.values()
        must(len(signatures) == 1 and signatures[0][0] == 1 and len(signatures[0][1]) == 64,
             "§5, 3: an entry has one Ed25519 signature")
        self.signature = signatures[0][1]
        must(self.kind in PAYLOAD_MAX, "§5, 4: its kind is none of version 1")
        if self.payload is not None:
            must(len(self.payload) <= PAYLOAD_MAX[self.kind], "§5, 5: its payload is longer than its kind may be")
            must(len(self.payload) == self.payload_len and sha256(self.payload) == self.payload_hash,
                 "§5, 6: its payload has not the length and hash of its header")

    def must_be_signed(self, key):
        must(is_signed_as(b"entry", key, self.header_bytes, self.signature), "§8, 2: its signature does not verify")

    def change(self):
        must(self.payload is not None, "§8, 12: a roster change is there")
        change = cbor(self.payload, PAYLOAD_MAX[1], "a roster change")
        must(type(change) is list and len(change) == 2 and type(change[0]) is int and change[0] in CHANGES
             and CHANGES[change[0]][1](change[1]), "§6, 2 and 3: its payload is no roster change")
        return change


class Committee:
    def __init__(self):
        self.tree, self.roster = Tree(), None
        self.authors, self.entries, self.lacking = {}, [], set()

    def admit(self, data):
        entry = Entry(data)
        place = Place(self.tree.size, entry.leaf, entry.author, entry.made_at)
        if self.roster is None:
            self.found(entry, place)
        else:
            self.check(entry)
            self.fold(entry, place)
        self.tree.append(entry.leaf)
        self.authors[entry.author] = (entry.seq, entry.leaf, entry.seen[0])
        self.entries.append((entry.leaf, entry.kind, entry.author))

    def found(self, entry, place):
        tag, body = entry.change()
        must(tag == 1, "§8, 17: the first entry founds the committee")
        roster = Roster(body, place)
        entry.must_be_signed(roster.card.signing)
        looks = (entry.kind, entry.committee, entry.term, entry.author, entry.seq, entry.prev, entry.seen,
                 entry.roster_head, entry.epoch, entry.content, entry.blobs)
        must(looks == (1, ZERO, 1, roster.card.device, 0, ZERO, [0, sha256()], [0, ZERO], 0, ZERO, []),
             "§8, 17: a founding entry looks exactly as §5 says")
        self.id, self.roster = entry.leaf, roster

    def check(self, entry):
        roster, size = self.roster, self.tree.size
        must(entry.committee == self.id and entry.term == 1, "§8, 1: it is another committee's, or of another term")
        device = roster.devices.get(entry.author)
        must(device, "§8, 2: its author is not in the roster")
        entry.must_be_signed(device.card.signing)
        must(roster.acts(entry.author), "§8, 3: its author is not active")
        must(entry.kind == 1 or roster.role(entry.author) != READER and not roster.is_spare(entry.author),
             "§8, 3: its author writes no records and forgets none")
        seq, leaf, seen = self.authors.get(entry.author, (-1, ZERO, 0))
        must((entry.seq, entry.prev) == (seq + 1, leaf), "§8, 4: it does not continue its author's chain")
        must(1 <= entry.seen[0] <= size and entry.seen[0] >= seen,
             "§8, 5: its author has seen nothing, more than there is, or less than before")
        must(entry.seen[1] == self.tree.roots[entry.seen[0]], "§8, 6: its author has seen another log")
        must(entry.epoch == len(roster.locks) and entry.seen[0] > roster.locks[-1]["at"],
             "§8, 7: it was made under an earlier lock")
        fresh = entry.roster_head == roster.head() if entry.kind == 1 else roster.is_since_lock(entry.roster_head)
        must(fresh, "§8, 8: its roster_head is not the last roster entry, or one since the lock")
        must((entry.content != ZERO) == (entry.kind == 2), "§8, 9: content is set in records and in nothing else")
        blobs = entry.blobs
        must(not blobs or entry.kind == 2 and len(blobs) <= BLOBS_MAX and len({one for one, _ in blobs}) == len(blobs)
             and all(1 <= size <= BLOB_MAX for _, size in blobs), "§8, 10: it names blobs that it may not name")

    def fold(self, entry, place):
        forgotten = None
        if entry.kind == 2:
            must(not self.roster.lock_pending(), "§8, 11: the lock must change first")
            if entry.payload is None:
                self.lacking.add(place.index)
            else:
                check_record_file(entry.payload)
        elif entry.kind == 1:
            self.roster, forgotten = self.roster.apply(*entry.change(), place)
        else:
            forgotten = self.forget(entry, place)
        self.lacking.discard(forgotten)

    def forget(self, entry, place):
        must(entry.payload is not None, "§8, 12: a forget is there")
        body = cbor(entry.payload, PAYLOAD_MAX[3], "a forget")
        must(fields(number(64), HASH)(body), "§8.1: its payload is no forget")
        index, leaf = body[0], body[1]
        must(index < entry.seen[0] and self.entries[index][:2] == (leaf, 2),
             "§8, 19: it forgets no record that its author has seen at that place")
        owner = self.roster.devices[self.entries[index][2]].member
        return index if self.roster.forget(index, owner, place) else None


# ---- Notes and cosignatures (SPEC.md §10) --------------------------------------------------------


def note_line(line, kind, name, key, signed, extra=0):
    """Checks a signature line; what stands before the signature in it."""
    found = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)\n", line)
    must(found, "§10, 2: a signature line is malformed")
    try:
        data = base64.b64decode(found[2], validate=True)
    except ValueError:
        raise Wrong("§10, 3: a signature line is no base64") from None
    must(base64.b64encode(data).decode() == found[2] and len(data) == 4 + extra + 64, "§10, 3: a signature line is malformed")
    must(found[1] == name, "§10, 5: it is signed under another name")
    must(data[:4] == sha256(name.encode(), b"\n", kind, key)[:4], "§10, 5: it is signed with another key")
    must(is_signed(key, signed(data[4:4 + extra]), data[4 + extra:]), "§10, 6: its signature does not verify")
    return data[4:4 + extra]


def read_note(data):
    """What a note claims: origin, size, root, and its signature line."""
    must(len(data) <= NOTE_MAX, "§10, 1: the note has more than 1,024 bytes")
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise Wrong("§10, 1: the note is no plain text") from None
    must(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", note), "§10, 1: the note is no plain text")
    found = re.fullmatch("(sealpost/1/[0-9a-f]{64}/[1-9][0-9]*)\n(0|[1-9][0-9]*)\n([^\n]+)\n\n([^\n]+\n)", note)
    must(found, "§10, 2: the note is not three lines, an empty one and a signature line")
    try:
        root = base64.b64decode(found[3], validate=True)
    except ValueError:
        root = b""
    must(len(root) == 32 and base64.b64encode(root).decode() == found[3], "§10, 3: the note's third line is no root")
    must(int(found[2]) < 1 << 64, "§10, 3: the note's second line is no size")
    return found[1], int(found[2]), root, found[4]


def body_of_note(origin, size, root):
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def check_cosignature(committee, data, last):
    """Whose it is. It stands behind that of the device `last`."""
    value = cbor(data, NOTE_MAX, "a cosignature")
    must(COSIGNATURE(value), "§18: a cosignature is a device, a size, a root and a line")
    device, size, root, line = value.values()
    must(last is None or last < device, "§26, 4: cosignatures stand in the order of device ids")
    must(device in committee.roster.devices, "§26, 4: a cosignature of a device that was never here")
    must(size <= committee.tree.size and root == committee.tree.roots[size], "§26, 4: a cosignature of another log")
    origin = f"sealpost/1/{committee.id.hex()}/1"
    name, key = f"{origin}/d/{device.hex()}", committee.roster.devices[device].card.signing

    def signed(time):
        seconds = int.from_bytes(time, "big")
        must(seconds % 3600 == 0 and seconds * 1000 < 1 << 64, "§10, 8: a cosignature's time is no full hour")
        return f"cosignature/v1\ntime {seconds}\n".encode() + body_of_note(origin, size, root)

    note_line(line, b"\4", name, key, signed, extra=8)
    return device


# ---- Exports (SPEC.md §26) and vectors -----------------------------------------------------------


class Parts:
    def __init__(self, data):
        self.data, self.at = data, len(MAGIC)

    def take(self, limit, what):
        length = int.from_bytes(self.cut(4, what), "big")
        must(length <= limit, f"§26, 2: {what} has more than {limit} bytes")
        return self.cut(length, what)

    def cut(self, length, what):
        must(self.at + length <= len(self.data), f"§26, 3: the export ends before {what} does")
        self.at += length
        return self.data[self.at - length:self.at]


def read_export(data):
    if not data.startswith(MAGIC) and data.startswith(MAGIC[:-2]):
        raise Newer("the export is of another version, and this reader knows 1")
    must(data.startswith(MAGIC), "§26, 1: that is no export")
    parts = Parts(data)
    origin, size, root, line = about("the note", lambda: read_note(parts.take(NOTE_MAX, "the note")))
    committee = Committee()
    for index in range(size):
        about(f"entry {index}", lambda: committee.admit(parts.take(ENTRY_MAX, f"entry {index}")))
    must(committee.roster, "§26, 1: the export has no entries")
    about_note(committee, origin, size, root, line)
    finish(committee)
    last = None
    while True:
        part = parts.take(NOTE_MAX, "a cosignature or the end")
        if not part:
            break
        last = about("a cosignature", lambda: check_cosignature(committee, part, last))
    must(parts.at == len(data), "§26, 3: something follows the end of the export")
    return committee


def about_note(committee, origin, size, root, line):
    def check():
        must(origin == f"sealpost/1/{committee.id.hex()}/1", "§10, 5: it is about another log or term")
        must(root == committee.tree.roots[-1], "§26, 5: its root is not that of the entries")
        note_line(line, b"\1", origin, committee.roster.home, lambda _: body_of_note(origin, size, root))
    about("the note", check)


def read_vector(data):
    """The entries of a vector of testdata/log: hex, a blank line between two."""
    _, *entries = data.decode().split("\n\n")
    committee = Committee()
    for index, entry in enumerate(entries):
        about(f"entry {index}", lambda: committee.admit(bytes.fromhex(entry)))
    finish(committee)
    return committee


def finish(committee):
    for index in sorted(committee.lacking):
        raise Wrong(f"entry {index}: §8, 22: its payload is missing, and nothing in the log forgets it")


def about(what, work):
    try:
        return work()
    except (Wrong, Newer) as error:
        raise type(error)(f"{what}: {error}") from None


def described(committee):
    roster = committee.roster
    roles = {1: "coordinator", 2: "member", 3: "reader"}
    members = []
    for number, member in sorted(roster.members.items()):
        own = [one for one in roster.devices.values() if one.member == number]
        active = sum(one.state == "active" for one in own)
        state = "" if member.state == "active" else f" {member.state}"
        members.append(f"{number} {roles[member.role]}{state} ({active} of {len(own)} devices)")
    pending = " (due)" if roster.lock_pending() else ""
    return (f"size {committee.tree.size}, root {committee.tree.roots[-1].hex()}, epoch {len(roster.locks)}{pending}, "
            f"members: {', '.join(members)}")


def main(arguments):
    if len(arguments) != 1:
        print("usage: python3 reader.py FILE", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read()
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        read = read_vector if data.startswith(b"format: log\n") else read_export
        print(described(read(data)))
        return 0
    except Wrong as error:
        print(f"{error}.", file=sys.stderr)
        return 7
    except Newer as error:
        print(f"{error}.", file=sys.stderr)
        return 12


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
