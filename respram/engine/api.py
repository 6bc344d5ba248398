"""The engine's contract: bytes in, reply bytes out, and records that forget. Two engines keep it.

What an engine is: a request scanner, the record table, the timing wheel, and fast paths for the
handful of commands that carry nearly all traffic. What it is not: it reads no clock (`now_ms` is an
argument), does no I/O, knows no peer and writes no log. It draws members from a seed that it is given.

**Hot and cold.** Every command has one complete implementation in `respram/commands/`, in Python,
over the primitives below. For the rows that the command table (respram/catalog/) marks as hot an engine has a handler
as well, which answers the common and successful form only. It *declines* everything else, and the command goes to
`dispatch` like any cold one: errors, odd options, TTLs beyond the maximum, a full memory, huge commands. So error texts
and rare forms exist once, and an engine stays small. A fast path must give the reply bytes that `commands/` would give;
tests run every hot command on both ways.

A fast path is taken only while `session.hot` is true (a plain authenticated connection, not in
MULTI, not subscribed in RESP2, replies on) and the engine's switches allow it:
`hot_reads` is off while misses are observed or may be pulled from a peer, `hot_writes` while
somebody observes writes in their order with replies (keyspace notifications beyond `expired`). A command's row says
which it heeds: what asks for a missing key heeds the first, what writes heeds the second, and PING and ECHO heed
`session.hot` alone.

**A new hot command** is the word `hot` in its row and one handler in each engine, `hot_NAME` in reads.c, writes.c,
counts.c or parts.c, and its twin with a row of HANDLERS in pure/hot.py; then `python -m respram.catalog.hot >
respram/engine/native/commands.h`.

**A pump that is compiled** calls `feed` from and to bare memory, by way of native/raw.pxd: the same call, with the
input read where the kernel put it and the reply sent from where it was made. It is the path of nearly every command.

**One place each** where a value is stored and where it is read, in each engine: there it is sealed and
opened (seal.py), once `use_seals` was called. What `merge`, `drain`, `dump` and the like take and give stays sealed.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from respram.engine.replication import Replicating
from respram.engine.settling import Settling
from respram.engine.telling import Telling
from respram.program import Program
from respram.seal import Ring

# A hot command beyond either goes to `dispatch`, where it is timed for the slow log.
HOT_ARGS_MAX = 1024
HOT_BYTES_MAX = 1 << 20  # of all arguments of a hot command together
# of one reply: a longer one is made by `dispatch`, which knows what its client may hold unread
HOT_REPLY_BYTES_MAX = 8 << 20
# of a value that the engine reads or changes in part; a longer one is the business of `dispatch`
DRAFT_BYTES_MAX = 16 << 20
QUEUED_BYTES_MAX = 32 << 20  # of the arguments that one session queues in MULTI: as many as `dispatch` queues
# What a turn may cost. Bytes of values are read and written at 0.5 to 2 ms a MiB, whoever asks.
FEED_MOVED_BYTES_MAX = 2 << 20  # of values read and written by one call of `feed`, before other clients are served
FEED_COMMAND_US = 4  # a command of `dispatch` that took longer counts for several commands of the turn
ALLOWED_BYTES_LEAST = 1 << 20  # see `allow`
# What a member counts in bytes of values: where it is visited (1,000 take as long as a MiB), and where it is stored.
LOOK_BYTES, STORED_BYTES = 1 << 10, 512
# What an overdue record counts that is passed, for the turn alone: 262,144 of them take some milliseconds.
PASSED_BYTES = 8
MEMBERS_BYTES_MAX = 256 << 10  # of values: a step of a walk ends after the member that reaches it
FRAMES_BYTES_MAX = 1 << 20  # published to sessions and not delivered yet; beyond it `dispatch` delivers
LISTENERS_MAX = 512  # of a message that a fast path publishes: to send it to them takes 1 to 3 ms
SPREAD_BYTES_MAX = 1 << 20  # published and not yet taken for the peers; beyond it `dispatch` sends
LISTENING_PATTERNS_MAX = 64  # compared with a channel one after the other: 1 us or two. `dispatch` has an index
# their bytes together, times those of the channel: a comparison may take as long as that, about 30 us
LISTENING_STEPS_MAX = 1 << 16

# How late values are destroyed is counted by these bounds, the last later than LATE_MS is told (as engine.h has it)
LATE_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
LATE_MS = 100
RUN_COMMANDS_MAX = 64  # commands of one run to the nodes that decide about them,
RUN_GROUPS_MAX = 16  # nodes of one run,
RUN_BYTES_MAX = 64 << 10  # and bytes of one run, unless a single command is longer (homes.h has it too)
# In the stamp of a watched collection, above the 64 bits of a node's number: its version, and its number of members.
VERSION_SHIFT, LENGTH_SHIFT = 64, 128
NEW, EXPIRED, MERGED = b"new", b"expired", b"set"
SEEN = b"seen"  # a session that tracks has read a key, present or not


class Entry(NamedTuple):
    """A live record as the commands see it. `value` is empty where only `peek` was asked, and in a collection, whose
    `length` is the number of its members."""

    value: bytes
    length: int
    deadline_ms: int
    implicit: bool
    clock: int
    node: int
    kind: int = 0  # of a collection: HASH, SET or ZSET (record.py); else 0
    version: int = 0  # of a collection: changes with every change of its members, whoever makes it
    shares_bytes: int = 0  # of a counter: what each node has added to it, beside the digits (pure/shares.py)


class Member(NamedTuple):
    name: bytes
    value: bytes
    deadline_ms: int
    own: bool  # False: it has the deadline of its collection


class Members(NamedTuple):
    cursor: int  # 0: the walk has ended
    members: list[Member]


class Merged(NamedTuple):
    """The result of merging a peer's payload. Bad records raise nothing; they are counted."""

    new: int  # records that replaced older ones here, or were unknown
    known: int  # records older than those here, or equal to them
    refused: int  # deadline, stamp, key or value out of bounds, no memory, or too much work for one payload
    malformed: int  # the payload was cut off here; the records before it were merged
    strange: int = 0  # those of the refused that are sealed with an unknown key


class Scan(NamedTuple):
    cursor: int  # 0: the walk has ended
    keys: list[bytes]


class Group(NamedTuple):
    """Commands of one run with the same home."""

    home: int  # the home's number in the table
    commands: int
    payload: bytes  # the commands, as a client would send them
    keys: bytes  # their keys, each once: u32 bytes | key


class Run(NamedTuple):
    """Commands that were taken out of a session, for another node to decide."""

    order: bytes  # one byte for each command: its group
    groups: list[Group]


class Settings(NamedTuple):
    """The settings of an engine. All but `node`, `secret` and `seed` can be changed by `configure`."""

    node: int  # 64-bit number of this boot; part of every stamp
    secret: bytes  # 16 random bytes: the key of the table's hash
    seed: int  # 64 random bits that draws begin with. It is no secret: who sees many draws may work it out
    default_ttl_ms: int
    max_ttl_ms: int
    memory_bytes_max: int  # 0: no limit
    bulk_bytes_max: int
    key_bytes_max: int  # longer ones: a fast path that writes leaves them to `dispatch`
    args_max: int
    inline_bytes_max: int
    query_bytes_max: int  # unread input of one session, and all arguments of one command
    clock_offset_ms_max: int
    feed_commands_max: int  # commands of one session that one call of `feed` runs
    feed_reply_bytes_max: int  # reply bytes after which `feed` returns early
    outbox_bytes_max: int  # 0: no writes are stored for peers
    counters: bool = False  # with peers, counters keep the share of each node (pure/shares.py)


class Guard(Protocol):
    """Key patterns as an engine keeps them, compiled; see pure/guard.py."""


class Session(Protocol):
    """One connection, as the engine sees it. The server and the commands own the flags."""

    db: int  # 0..15
    proto: int  # 2 or 3
    hot: bool  # fast paths are allowed
    permitted: int  # the hot commands that this user may run: a bit for each number of catalog/hot.py
    guard: Guard | None  # the keys that this user may access; None: all
    tracks: bool  # the observer is told SEEN for each key that a fast path reads
    hears: bool  # it may be told of its own changes: the observer is told of each before the next command
    trusted: bool  # False: Redis's lower limits before authentication (10 arguments of 16 KiB)
    closing: bool  # set: nothing more runs; send the reply, then close
    suspended: bool  # set when `dispatch` returned None: the command waits for `resume`
    retried: bool  # True while a command runs again after its suspension
    decides: bool  # its commands come from nodes that take this one for their home: the table of homes does not apply
    owner: object  # set by `commands`; the engine never reads it
    @property
    def taken(self) -> bool:
        """Suspended, and what it waits for is not dispatched again."""

    @property
    def more(self) -> bool:
        """`feed` stopped at a budget: send the reply, then call it again without data."""

    # `queue_keys_max` for a MULTI that the engine handles itself; 0: `dispatch` handles MULTI
    multi_keys_max: int
    exec_bytes_max: int  # of the replies of an EXEC that the engine runs itself
    # the engine has answered a MULTI, and `dispatch` does not know of it yet: it takes this back when it does
    begun: bool
    watches: bool  # `dispatch` holds keys under WATCH, so it runs EXEC
    # EXEC began in the engine: its head and some replies are said, and `dispatch` goes on with `run_queued`
    midway: bool
    queue_keys_max: int  # in MULTI: hot commands are queued until they name this many keys; 0: none is queued here
    @property
    def buffered_bytes(self) -> int:
        """Input received and not yet executed."""

    @property
    def queued(self) -> int:
        """The number of commands that MULTI has queued in the session."""

    @property
    def fault(self) -> bytes | None:
        """The error for which the session is closed, as the client is told; b"": it sent too much, and is told
        nothing."""

    @property
    def defaulted(self) -> int:
        """The number of fast writes that named no TTL."""

    @property
    def queued_work(self) -> int:
        """An upper bound of the keys and members that the queued commands name."""

    @property
    def queued_bytes(self) -> int:
        """The bytes of all arguments of the queued commands; at most QUEUED_BYTES_MAX."""

    def take_queued(self) -> list[list[bytes]]:
        """Returns the queued commands, in order, and forgets them."""
    def drop_queued(self) -> int: ...  # how many of them had not run
    @property
    def watched(self) -> bool:
        """Whether the engine has answered a WATCH, and keeps the stamps for the next EXEC."""

    def take_watched(self) -> list[tuple[tuple[int, bytes], tuple[int, int] | None]]:
        """Returns the watched keys and forgets their stamps: database and key, clock and node; None: it was missing.
        Missing keys are awaited on, until `forget_watched`.
        """

    @property
    def has_come(self) -> bool:
        """Whether a key has come, and may have ended again, that was missing when it was watched."""

    def forget_watched(self) -> None: ...


# (session, argv, now_ms) -> the encoded reply, b"" for none, None to suspend the session: the same
# command is dispatched again, with `session.retried` set, by the first `feed` after `resume`.
Dispatch = Callable[[Session, list[bytes], int], bytes | None]

# (session, run) -> whether the run is on its way. Asked in place of `dispatch`, where nothing but the home of its key
# keeps a hot command from its fast path; False: `dispatch` is asked after all.
Gather = Callable[[Session, Run], bool]

# (event, database, key) for each change made by store, retime, merge and expire; events carry Redis's names
# (`set`, `expire`, `incrby`, ...), NEW before the first write of a missing key, EXPIRED at the end. Of what fast paths
# did it is told in order, before the next call of `dispatch` or at the end of the feed, while `telling` says whose they
# were.
Observer = Callable[[bytes, int, bytes], None]


# (session, frames): what was published to a session, to be sent to its client at once. A pump may do without it.
Deliver = Callable[[Session, bytes], None]
# (session, arguments, time, what is wanted): 0 for a command, else one of these two, whose answer is a number
Aside = Callable[[Session, list[bytes], int, int], bytes | None]
# redis.log: a level and a number of bytes; redis.acl_check_cmd: 1, 0, or -1 for no command
LOG_WANTED, MAY_WANTED = 1, 2


class Patterns(Protocol):
    """Patterns, each compiled once, that texts are compared with."""

    def __len__(self) -> int: ...
    def add(self, pattern: bytes) -> None: ...
    def remove(self, pattern: bytes) -> None: ...
    def matching(self, text: bytes) -> list[bytes]:
        """The patterns that match a text, in no order."""

    def keep(self, texts: list[bytes]) -> list[bytes]:
        """The texts that one of the patterns matches."""


class Engine(Replicating, Settling, Telling, Protocol):
    """All methods of an engine, except those in replication.py, ranking.py, settling.py, telling.py."""

    name: str  # "pure" or "native"
    hot_reads: bool
    hot_writes: bool
    # a feed after this moment turns both switches off: the process was stopped, and dispatch has to know; 0: never
    awake_until_ms: int
    observer: Observer | None
    gather: Gather | None  # None: commands with another home are left to `dispatch`

    @property
    def telling(self) -> Session | None:
        """The session whose fast paths the observer is being told of. What is said meanwhile follows their replies.
        """

    def configure(self, settings: Settings) -> None:
        """Takes over the changeable part of the settings."""

    # -- the wire ---------------------------------------------------------------------------------
    def session(self, dispatch: Dispatch) -> Session: ...
    def patterns(self) -> Patterns:
        """Makes an empty set of patterns."""

    def guard(self, patterns: Mapping[bytes, int]) -> Guard:
        """For sessions of a user with these key patterns, each with the rights READ | WRITE (catalog/hot.py): a fast
        command with a key that none of them allows, or that it takes long to find one for, is for `dispatch`.
        """
        ...

    def feed(self, session: Session, data: bytes | bytearray | memoryview, now_ms: int) -> bytes | memoryview:
        """Parses all that is complete, executes it in order, answers with the replies in order.

        The answer may be a view of the engine's own buffer: it is valid until the next call of
        `feed` or of `forget_reply`, which wipe it. Any bytes in any split are safe. A protocol error is answered with
        Redis's text behind the replies of what came before, and sets `session.closing`.
        `dispatch` may call `feed` of no session, but every other method.
        """

    def forget_reply(self) -> None:
        """Wipes the reply of the last `feed`, which has been sent or copied, without waiting for the next command.
        """

    def say(self, reply: bytes) -> None:
        """For `dispatch`: a reply that goes before the one it will return."""

    def run_queued(self, session: Session, now_ms: int, reply_bytes_max: int) -> list[bytes] | None:
        """For `dispatch`: runs what the session has queued, in order, and says the replies. A command that is not hot
        after all is handed back instead: say its reply and call again, until None. Where the replies of this feed
        become more than so many bytes all of them are dropped, all is run nevertheless, and `closing` is set."""

    def teach(self, name: bytes, program: Program) -> bool:
        """From now on EVALSHA and EVAL of that name (a digest, or a script's text) run the program. False: there is no
        memory for it, or it is none that could be run.
        """

    def open_lua(self, path: bytes) -> bytes | None:
        """For `scripting/`: the engine may run scripts by the Lua that is in this shared library, which is loaded. The
        library of the engine's own whose `respram_lua_open` that Lua has to call at once; None: it cannot, and Python
        runs them all.
        """

    def limit_lua(self, bytes_max: int, worn_bytes: int) -> None:
        """Bounds all that Lua uses: what a script may come to, and what may be left over before Python has to look."""

    def close_lua(self) -> None:
        """Closes Lua. The scripts taught to it are for `dispatch` again."""

    def teach_script(self, name: bytes, script: int, digest: bytes) -> bool:
        """Like `teach`, for a script that this Lua keeps compiled under that number. The engine may decline at any
        time, as with a program."""

    def unteach(self, name: bytes) -> None:
        """Forgets a script or program: its name is for `dispatch` again."""

    def call_inside(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        """For `dispatch`, while it runs a script of the session: a command of the script by its fast path. The reply,
        in RESP2; None:
        it has none, or it declined, and nothing has happened."""

    def take_replies(self) -> bytes:
        """For `dispatch`, when it gets an EVAL or EVALSHA: the replies of the commands that a program ran before it
        declined, one behind the other, in RESP2. They have had their effect: whoever runs the script now begins with
        them.
        """

    def allow(self, own_bytes: int) -> None:
        """For `dispatch`: from here on the command may read values of 2 x `bulk_bytes_max` together, which is as many
        as the largest two, and of `own_bytes`, which it brought itself. Each command of `dispatch` begins with so much,
        and with LOOK_BYTES for each of its arguments. A `lookup` beyond raises AllowanceError, and so does a look at a
        member of a collection; `run_queued` hands
        back what is left. Outside of a feed nothing is counted."""

    def allow_at_most(self, size: int) -> bool:
        """For `dispatch`, as a transaction's time ends: so many bytes are left to read. Whether its share was more."""

    def spend(self, size: int) -> None:
        """For `dispatch`, before work that no value or member shows: it counts for so many bytes, at 1 us a KiB.
        AllowanceError: the command has not so much left of its share."""

    def spent(self) -> bool:
        """Whether the command's share is used up. Writes count, but are never refused."""

    def combine(self, operation: bytes, into: bytearray, value: bytes) -> None:
        """Makes of each byte of `into` its `and`, `or` or `xor` with that of `value`, as far as both go."""

    def took(self, micros: int) -> None:
        """For `dispatch`: reports how long a command took. A turn with slow commands ends sooner."""

    def resume(self, session: Session) -> None:
        """Ends a suspension; the caller then calls `feed` with b""."""

    def use_homes(self, homes: bytes | None) -> None:
        """Sets the home of each slot (slots.py): 16,384 numbers of 16 bits in this machine's order, 0 for this node. A
        hot command that looks before it writes, and whose key's slot has another number, goes to `dispatch`. None: this
        node decides about all.
        """

    def queued_home(self, session: Session) -> int:
        """The table's number for the first queued command that looks before it writes; 0: there is none."""

    def take(self, session: Session) -> None:
        """For `dispatch`, which will answer None: the command under way is not to be dispatched again. Whoever took it
        says the reply to the client by itself, and then resumes the session.
        """

    def take_next(self, session: Session) -> None:
        """Called behind `take`: takes one more command, the one that `behind` has shown."""

    def behind(self, session: Session) -> list[bytes] | None:
        """Called behind `take`: the command that follows those taken. None: it is not read yet."""

    def take_run(self, session: Session) -> Run | None:
        """Like `take`, with all hot commands behind it that are decided about by one key, as far as they are read and
        within RUN_COMMANDS_MAX, RUN_GROUPS_MAX and RUN_BYTES_MAX; those that are decided here travel along. None:
        nothing is taken, because this one is not hot, or is decided here.
        """

    def slot_away(self, keys: bytes, table: bytes) -> int:
        """The slot of the first of these packed keys that has another number than 0 in a table as of `use_homes`; -1:
        none has. ValueError:
        a length runs past the end."""

    def cut_replies(self, data: bytes, counts: list[int]) -> list[bytes]:
        """Replies, each with all that it holds, cut into pieces of so many. ValueError where there are more, fewer, or
        others.
        """

    def weave_replies(self, order: bytes, groups: list[bytes]) -> bytes:
        """The replies of a run in its order, a byte a command, from those of its groups. ValueError likewise."""

    def close(self, session: Session) -> None:
        """Wipes and frees what the session had buffered. The session must not be used again. In the midst of its own
        feed (what is told to the observer may close it) nothing more of it is dispatched, and the rest is done when the
        feed is over.
        """

    # -- publications -----------------------------------------------------------------------------
    # PUBLISH is a fast path where only sessions that were made known by `listen` get the message. What is published to
    # a session is delivered before anything else is sent to it, and before `dispatch` is called: nobody can overtake
    # it.
    deliver: Deliver | None
    # Called before a session is fed, while messages wait that `dispatch` hands over in slices. None: none waits. While
    # it is set, PUBLISH has no fast path.
    hear: Callable[[Session], None] | None

    # -- scripts ----------------------------------------------------------------------------------
    # While the engine runs a script of a session: a command that has no fast path, and the time. The reply as the
    # session's `proto` has it; None: it did nothing, and `dispatch` has to run the script. What it raises is raised
    # by `take_replies`.
    aside: Aside | None
    spreads: bool  # published messages are stored until they are taken for the peers

    def listen(self, session: Session, name: bytes, by_pattern: bool = False) -> None:
        """Subscribes a session to a channel, or to all channels that match a pattern."""

    def unlisten(self, session: Session, name: bytes, by_pattern: bool = False) -> None:
        """Removes a subscription. `close` removes all subscriptions of a session."""

    def published(self) -> bool:
        """Whether there are publications to take."""

    def take_published(self) -> list[tuple[bytes, bytes]]:
        """Channels and messages since the last call, in order."""

    # -- sealing ----------------------------------------------------------------------------------
    def use_seals(self, ring: Ring, writes: bool) -> None:
        """Before the first record: what comes sealed can be opened with the ring's keys, and `writes` says whether
        this node seals too: what clients write here, and what peers send that do not seal. Without this call
        nothing is sealed, and sealed records are refused."""

    @property
    def cipher(self) -> str:
        """The implementation of AES: the version text of the machine's libcrypto, or "cryptography"."""
        ...

    def seal_keys(self) -> set[int]:
        """Ids of the keys that records here, or the next writes, are sealed with."""

    def leave_pad(self) -> None:
        """Switches to the ring's new key: the next value is sealed with it."""

    # -- the keyspace, for commands ---------------------------------------------------------------
    def lookup(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        """The live record with its value; None at and after the deadline. AllowanceError: the command has read enough.
        """

    def peek(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        """The live record without reading its value."""

    def settle_queued(self, session: Session, now_ms: int) -> bool:
        """Settles the keys of all queued commands, and the watched ones. False: there may be more (settling.py)."""

    def await_key(self, session: Session, db: int, key: bytes) -> None:
        """A missing key is watched: `session.has_come` once it comes, until the session forgets what it watches."""

    @property
    def awaited(self) -> int:
        """The number of missing keys that sessions watch."""

    def store(
        self, db: int, key: bytes, value: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:
        """A local write: fresh stamp, shadow rule, outbox, observer. `deadline_ms > now_ms` is the
        caller's duty, as is asking `full` first. MemoryError when memory cannot be had: then nothing changed."""

    def add(self, db: int, key: bytes, step: int, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> int:
        """Adds to the integer under a key, or to 0, and returns the sum. That there is an integer, and that the sum is
        one of 64 bits, is the caller's to have looked at; besides as `store`."""

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        """Gives a record a new deadline and a new stamp. False: there is no live record."""

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        """A local write of a record without a value, that ends now: it reads as missing at once, the value is wiped,
        and its shadow covers what it replaced, so that nothing older comes back. False: there is no live record."""

    def digest_value(self, value: bytes) -> int:
        """XXH3-64 of the bytes (pure/xxh3.py): what DIGEST tells, as fast as this engine can."""

    def full(self) -> bool:
        """Whether used memory exceeds its limit: writes that may grow it are refused."""

    def count(self, db: int, now_ms: int) -> int:
        """Live records, exactly: those past their deadline and not yet destroyed are left out."""

    def scan(self, db: int, cursor: int, count: int, now_ms: int) -> Scan:
        """Some `count` live keys from a cursor on. A key that lives from the walk's first call to
        its last is returned at least once, whatever is written, expired or grown between."""

    def sample(self, db: int, draw: int, now_ms: int) -> bytes | None:
        """A live key, chosen by `draw` (64 random bits)."""

    def ttl_average_ms(self, db: int, now_ms: int) -> int:
        """An estimate of the mean remaining life, for INFO."""

    # -- collections, for commands (decision 0120) --------------------------------------------------
    # lookup, peek, retime and let_go know their heads; a head without members is no key to them. These here ask first
    # which kind of key it is (`peek(...).kind`), and tell the observer of what they did with `tell`, once for a
    # command.
    def found(self, db: int, key: bytes, kind: int, deadline_ms: int, implicit: bool, now_ms: int) -> None:
        """Writes the head of a new collection, before its first member. An existing key is replaced."""

    def member(self, db: int, key: bytes, name: bytes, now_ms: int) -> Member | None:
        """A live member; None if there is none, or no collection."""

    def put_member(self, db: int, key: bytes, name: bytes, value: bytes, deadline_ms: int | None, now_ms: int) -> bool:
        """A local write of a member: with a deadline of its own, which may be later than its collection's, or (None)
        with that of the collection. There has to be a head. Whether it is new; MemoryError as in `store`."""

    def copy_collection(self, db: int, key: bytes, target_db: int, target: bytes, now_ms: int) -> None:
        """Writes a collection over what is under another key. AllowanceError: it is too large, and nothing changed."""

    def let_go_member(self, db: int, key: bytes, name: bytes, now_ms: int) -> bool:
        """Lets go of a member. False: there was none. Without members the collection reads as missing, though its head
        stays."""

    def members(self, db: int, key: bytes, cursor: int, count: int, now_ms: int) -> Members:
        """The next `count` members from a cursor on, 0 at first, with SCAN's guarantee, in no order; fewer where
        their values become MEMBERS_BYTES_MAX."""

    def member_at(self, db: int, key: bytes, place: int, now_ms: int) -> Member | None:
        """The member at a place below the collection's length; places change with each member that goes."""

    def draw(self, below: int) -> int:
        """The next number drawn from the seed, evenly, of those below `below`, which is less than 2^64. Fast paths draw
        from the same row."""

    def tell(self, event: bytes, db: int, key: bytes) -> None:
        """Tells the observer of an event, if there is one."""

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        """Destroys what is due, at most about `budget` records; how many were touched (fewer: nothing due is left).
        Cascades of the wheel count towards the budget."""

    def next_due_ms(self, now_ms: int) -> int | None:
        """When `expire` should be called next; None: nothing will expire."""

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload: bytes | memoryview, now_ms: int) -> Merged:
        """Packed records (record.py) from a peer, under the merge rules."""

    def drain(self, bytes_max: int) -> bytes:
        """Packed local writes since the last call, the newest version of each key, oldest key first;
        at most about `bytes_max` (one record may pass it); b"" when there are none."""

    def waits(self, db: int, keys: bytes) -> bool:
        """Whether a local write of one of these packed keys is still to be drained, or may be among what was dropped.
        ValueError: a length runs past the end."""

    def outbox_overflowed(self) -> bool:
        """Whether writes were dropped from the outbox since the last call (peers are LAGGING)."""

    def records(self, db: int) -> list[bytes]:
        """All records of a database, stubs too, packed, in no order: for tests and small stores."""

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self) -> int:
        """Memory taken by records, their table and the outbox, without the sessions' buffers."""

    def counters(self) -> dict[str, int]:
        """hits, misses, writes, expired, stubs, stub_bytes (their memory, which no key shows), records (with a value),
        defaulted (fast writes that named no TTL), record_overhead_bytes (of one record, besides key and value), and
        each fast path's commands by lower-case name (`hot_get`). Of the values that were destroyed at their deadlines:
        `late_0` to `late_11` by LATE_BOUNDS_MS, `late_sum_ms`, `wiped_bytes`, and when and how late the last late one
        was (`late_last_at_ms`, `late_last_by_ms`).
        """
