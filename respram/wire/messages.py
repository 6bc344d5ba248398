"""What peers say to each other: one frozen class per message, integers and bytes only.

A message is a RESP array of bulk strings: its word, then its fields in order, integers in decimal. `codec.py` reads
the classes below as its table, so a message is added here and nowhere else. What a payload holds is defined beside its
message; all numbers in payloads are little-endian.

Four of them are *sequenced* (SEQUENCED below): they carry data, count against the link's window, are acknowledged by
ACK, and are sent again when they are not.
"""

from dataclasses import field
from typing import Annotated, ClassVar

from respram.frozen import dataclass

VERSION = 7

U8 = Annotated[int, (1 << 8) - 1]
U16 = Annotated[int, (1 << 16) - 1]
U32 = Annotated[int, (1 << 32) - 1]
U64 = Annotated[int, (1 << 64) - 1]
Word = Annotated[bytes, 256]  # a name, an address, or a reason
Key = Annotated[bytes, 1 << 26]
Payload = Annotated[bytes, 1 << 30]  # bounded by the frame

RECORDS_KIND, PUBLICATION_KIND = 0, 1  # kinds of PUSH


# -- acquaintance -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame, both ways. Nothing else is read before it."""

    word: ClassVar[bytes] = b"HELLO"
    version: U32
    network: Word
    node: U64
    enclave: Word
    address: Word  # where other nodes dial this one
    clock_ms: U64
    capabilities: U64  # bits; unknown ones are ignored
    member: Payload  # the sender's own entry of the address book (members.py)
    settings: Payload  # u64 max_ttl_ms | u64 bytes of a key and its value | u8 seals; more fields may follow


@dataclass(frozen=True, slots=True)
class Refuse:
    """Why the link is about to be closed, for the other side's log."""

    word: ClassVar[bytes] = b"REFUSE"
    reason: Word


@dataclass(frozen=True, slots=True)
class Terms:
    """The sender's settings have changed: somebody else's were smaller. As in HELLO."""

    word: ClassVar[bytes] = b"TERMS"
    settings: Payload


@dataclass(frozen=True, slots=True)
class Bye:
    """The sender is about to stop: it has left, it has not failed."""

    word: ClassVar[bytes] = b"BYE"


# -- members ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Ping:
    word: ClassVar[bytes] = b"PING"
    nonce: U32
    clock_ms: U64
    news: Payload  # entries of the address book that the sender has learnt lately


@dataclass(frozen=True, slots=True)
class Pong:
    word: ClassVar[bytes] = b"PONG"
    nonce: U32
    clock_ms: U64
    news: Payload


@dataclass(frozen=True, slots=True)
class Probe:
    """Please ping this node for me."""

    word: ClassVar[bytes] = b"PROBE"
    nonce: U32
    node: U64


@dataclass(frozen=True, slots=True)
class Probed:
    word: ClassVar[bytes] = b"PROBED"
    nonce: U32
    answered: U8


@dataclass(frozen=True, slots=True)
class Book:
    """The address books differ: u64 sums of the sender's, by 64 buckets of the members' numbers."""

    word: ClassVar[bytes] = b"BOOK"
    sums: Payload


@dataclass(frozen=True, slots=True)
class Members:
    """Entries of the address book. `buckets`: a bit for each of the 64 of which the receiver is to send what it knows
    better, or alone; 0: none."""

    word: ClassVar[bytes] = b"MEMBERS"
    buckets: U64
    entries: Payload


@dataclass(frozen=True, slots=True)
class Vouch:
    """u64 numbers of members of the own enclave that the sender was linked to, or for which two others vouch."""

    word: ClassVar[bytes] = b"VOUCH"
    numbers: Payload


@dataclass(frozen=True, slots=True)
class Attach:
    """May I be (or am I still) your child in the tree, in this role?"""

    word: ClassVar[bytes] = b"ATTACH"
    role: U8


@dataclass(frozen=True, slots=True)
class Attached:
    word: ClassVar[bytes] = b"ATTACHED"
    role: U8
    accepted: U8


@dataclass(frozen=True, slots=True)
class Detach:
    word: ClassVar[bytes] = b"DETACH"


@dataclass(frozen=True, slots=True)
class Seals:
    """Seal keys in use, to a node of the own enclave alone: u64 made_ms | 32 bytes of key, repeated. `asks` 1: yours,
    please.
    """

    word: ClassVar[bytes] = b"SEALS"
    asks: U8
    keys: Payload = field(repr=False)


@dataclass(frozen=True, slots=True)
class Expulsions:
    """Expelled nodes: revocation lists of authorities, u32 bytes | list, repeated."""

    word: ClassVar[bytes] = b"EXPELLED"
    lists: Payload


# -- writes -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Push:
    """A batch of packed records, or a publication (u32 bytes of channel | channel | message)."""

    word: ClassVar[bytes] = b"PUSH"
    seq: U64
    ack: U64
    origin: U64
    number: U64  # of the origin's batches, from 1; 0: combined from several, and not to be passed on
    spread: U8  # 1: pass it on
    kind: U8
    payload: Payload


@dataclass(frozen=True, slots=True)
class Ack:
    """Acknowledges everything up to `seq`. `refused`: u64 numbers of frames among it that were not kept in full."""

    word: ClassVar[bytes] = b"ACK"
    seq: U64
    refused: Payload


@dataclass(frozen=True, slots=True)
class Nudge:
    """Please acknowledge at once: somebody waits."""

    word: ClassVar[bytes] = b"NUDGE"


@dataclass(frozen=True, slots=True)
class Announce:
    """Batches the sender has: u64 origin | u64 number, repeated."""

    word: ClassVar[bytes] = b"ANNOUNCE"
    batches: Payload


@dataclass(frozen=True, slots=True)
class Want:
    """The announced batches that did not come."""

    word: ClassVar[bytes] = b"WANT"
    batches: Payload


# -- comparison ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Digest:
    """u32 cut.stamp | u32 cut.end | u32 records | u64 sum of ids | u64 sum of the address book."""

    word: ClassVar[bytes] = b"DIGEST"
    round: U32
    payload: Payload


@dataclass(frozen=True, slots=True)
class Same:
    """The digests are equal. (Of records; an address book that differs is asked for by MEMBERS.)"""

    word: ClassVar[bytes] = b"SAME"
    round: U32


@dataclass(frozen=True, slots=True)
class Buckets:
    """The other side's bucket digests: u32 number | u32 records | u64 sum, repeated."""

    word: ClassVar[bytes] = b"BUCKETS"
    round: U32
    shift: U8
    payload: Payload


@dataclass(frozen=True, slots=True)
class Filter:
    """A part of a filter: what of the selection the sender has. `parts` 0: nothing is wanted.

    selection: u32 cut.stamp | u32 cut.end | u8 shift | u32 since | u32 buckets...
    """

    word: ClassVar[bytes] = b"FILTER"
    seq: U64
    ack: U64
    round: U32
    answer: U8  # 0: from the node that began the round, 1: the filter in return
    selection: Payload
    part: U16
    parts: U16
    payload: Payload


@dataclass(frozen=True, slots=True)
class Records:
    """What the other side's filter lacked. `last` 1: no more in this round; 2: no more, but there would be."""

    word: ClassVar[bytes] = b"RECORDS"
    seq: U64
    ack: U64
    round: U32
    last: U8
    payload: Payload


# -- bootstrap ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Dump:
    """Please send all you have, from this point (0 to 2**32) on."""

    word: ClassVar[bytes] = b"DUMP"
    point: U64


@dataclass(frozen=True, slots=True)
class Dumped:
    word: ClassVar[bytes] = b"DUMPED"
    seq: U64
    ack: U64
    point: U64  # where to continue; 2**32: the end
    payload: Payload


@dataclass(frozen=True, slots=True)
class Busy:
    """No dump from here now: too many joiners, or not ready."""

    word: ClassVar[bytes] = b"BUSY"


# -- keys of segments -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of snapshot segments, to be kept until the end of their buckets, and tombstones of keys to be destroyed
    (snapshot/keys.py). A new link begins with all that the sender holds."""

    word: ClassVar[bytes] = b"KEYS"
    entries: Payload
    dropped: Payload


# -- lazy pull ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pull:
    word: ClassVar[bytes] = b"PULL"
    token: U64
    db: U8
    key: Key


@dataclass(frozen=True, slots=True)
class Pulled:
    """The packed record or stub, or nothing. `known` 0: the sender is filling up itself, and others may have a newer
    one.
    """

    word: ClassVar[bytes] = b"PULLED"
    token: U64
    known: U8
    payload: Payload


# -- decisions ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Forward:
    """Commands whose keys the receiver decides about. The sender has checked the rights of its client."""

    word: ClassVar[bytes] = b"FORWARD"
    number: U64  # of the sender's forwards, from 1; a repeated one is answered again, and not run
    below: U64  # all lower numbers are finished: their answers can be dropped
    kind: U8  # RUN, ALONE or TOGETHER
    again: U8  # 1: it was sent before
    db: U8
    proto: U8  # of the replies: RESP 2 or 3
    client: Word  # the client's name, for the texts of refusals
    # a user's rules, if a script must obey them; or LETS_GO; empty: everything but DEL
    rights: Payload = field(repr=False)
    keys: Payload = field(repr=False)  # u32 bytes | key, repeated, each once
    # u8 db | u64 clock | u64 node | u32 bytes | key, repeated; 0 | 0: it was missing; of a collection a sum in place of
    # the node
    watched: Payload = field(repr=False)
    records: Payload = field(repr=False)  # packed: records that the receiver may lack, and has to merge first
    commands: Payload = field(repr=False)  # as a client would send them


RUN, ALONE, TOGETHER = range(3)  # all keys are the receiver's; the first is; the first is, in a transaction
LETS_GO = b"+del"  # a value of `rights`: the client may let go of these keys, for example with a deadline in the past


@dataclass(frozen=True, slots=True)
class Answer:
    """To a FORWARD, in order: any number with outcome PART, and one with another."""

    word: ClassVar[bytes] = b"ANSWER"
    number: U64
    outcome: U8
    home: U64  # the home, as the sender knows it
    replies: Payload = field(repr=False)
    records: Payload = field(repr=False)  # packed: the current records of the keys, but for those that went before it
    behind: U64 = 0  # the last sequenced frame before it on its link: what `records` lacks is in those; 0: nothing


PART = 0
DONE = 1
NOT_HOME = 2  # nothing ran
LATER = 3  # nothing ran: the sender will decide soon, or is paused
FORGOTTEN = 4  # it was sent before, and the sender no longer knows its outcome
CLOSES = 5  # it ran, and the client is to be closed, as its own node would have done


# -- decisions of a majority --------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Ballot:
    """A reign asks for promises, for what is held, and for records to be accepted (promises.py, majority.py); a member
    that was started again asks who votes (suffrage.py).
    """

    word: ClassVar[bytes] = b"BALLOT"
    number: U64
    kind: U8
    size: U8  # --enclave-size of the sender
    low: U64  # of the reign: the range of its stamps' clocks, inclusive
    high: U64
    db: U8
    keys: Payload = field(repr=False)  # u32 bytes | key, repeated
    records: Payload = field(repr=False)  # packed: the current records of the keys


PREPARE, ACCEPT, INQUIRE, BAR = range(4)  # the last two ask who votes, and end all reigns so far


@dataclass(frozen=True, slots=True)
class Vote:
    """The answer to a BALLOT."""

    word: ClassVar[bytes] = b"VOTE"
    number: U64
    outcome: U8
    bound: U64  # of BELOW: a reign must begin above it; of GIVEN to BAR: the last stamp of the ended reigns
    # of GIVEN to PREPARE: what the keys hold, packed; to INQUIRE and BAR: members that were new together, u64 each
    records: Payload = field(repr=False)


GIVEN = 0
BELOW = 1  # a later reign has the promise
SILENT = 2  # the sender does not vote; to INQUIRE: it is new, and has met no voter
LEARNING = 3  # to INQUIRE: it does not vote yet, and has met a member that does

Sequenced = Push | Filter | Records | Dumped
SEQUENCED = (Push, Filter, Records, Dumped)

Message = (
    Hello | Refuse | Bye | Ping | Pong | Probe | Probed | Book | Members | Attach | Attached | Detach | Push | Ack
    | Nudge | Announce | Want | Digest | Same | Buckets | Filter | Records | Dump | Dumped | Busy | Pull | Pulled
    | Seals | Keys | Terms | Expulsions | Forward | Answer | Vouch | Ballot | Vote
)  # fmt: skip
MESSAGES: tuple[type[Message], ...] = (
    Hello, Refuse, Bye, Ping, Pong, Probe, Probed, Book, Members, Attach, Attached, Detach, Push, Ack, Nudge,
    Announce, Want, Digest, Same, Buckets, Filter, Records, Dump, Dumped, Busy, Pull, Pulled, Seals, Keys, Terms,
    Expulsions,
    Forward, Answer, Vouch, Ballot, Vote,
)  # fmt: skip
