"""The node and its connections, as the commands see them.

A `Conn` is one client: its user, its queued commands, its subscriptions. The server makes one for each client and
supplies its `transport`, the one way out. State that the hot path needs (database, protocol, whether fast paths are
allowed) lives in the engine's session; all the rest is here. Handlers read the time from `now_ms`: one value for a
whole read of the socket.

The `Node` is what they share: the engine, the settings that CONFIG can change, the registries (clients, subscriptions,
trackers) and the counters behind INFO. Clocks and randomness are injected by the server. The two know each other, and
so they stand in one file.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from respram.catalog import Command
from respram.commands.acl_user import DEFAULT, OPEN, User, full_user, set_password
from respram.commands.broadcasts import Broadcasts
from respram.commands.patterns import PatternIndex
from respram.commands.pausing import Pause
from respram.commands.peers import Decisions, Peers, Truth
from respram.commands.reply import Writing
from respram.commands.stats import Denied, Guesser, Rates, Slow, Stats
from respram.config.limits import Limits
from respram.config.settings import Config
from respram.engine.api import Engine, Guard, Session, Settings
from respram.integers import parse_uint
from respram.scripting.scripts import Scripts
from respram.slots import SLOTS

MAJORITY = b"majority"  # a value of --decide

DEBUG, INFO, WARNING = 10, 20, 30  # levels of log lines, as numbered in Python's logging
Watched = tuple[int, bytes]  # database, key
# overhead of a subscribed or watched name: entries of two dicts, and a dict of its own
NAME_BYTES = 400
QUEUED_BYTES = 300  # approximate overhead of a queued command


class Suspend(Exception):
    """Raised by a handler that must wait: the same command runs again (`session.retried`) once the
    server resumes the session, at `until_ms` at the latest or when somebody calls `conn.wake`."""

    def __init__(self, until_ms: int) -> None:
        super().__init__(until_ms)
        self.until_ms = until_ms


class Transport(Protocol):
    """A client's connection, as its commands know it."""

    def deliver(self, data: bytes) -> None:
        """Sends bytes out of turn. Handlers use `Conn.push`, which keeps the order."""

    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        """Sends the reply of the command that runs. It was suspended, so nothing before it waits to be sent.
        False: this transport takes whole replies only.
        """

    def close(self) -> None:
        """Closes the connection at once, on behalf of another client (CLIENT KILL)."""

    def wake(self) -> None:
        """Ends a suspension before its time."""

    def answer(self, data: bytes) -> None:
        """Delivers the reply to a command that was taken out of the session, and resumes the session."""

    def waiting_bytes(self) -> int:
        """Bytes of replies that the client has not read yet."""

    def is_gone(self) -> bool:
        """Whether a client that waits for its reply has hung up. Nobody reads from it meanwhile."""


class Gone:
    """The transport of a client that is gone."""

    def deliver(self, data: bytes) -> None: ...
    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        return False

    def close(self) -> None: ...
    def wake(self) -> None: ...
    def answer(self, data: bytes) -> None: ...
    def waiting_bytes(self) -> int:
        return 0

    def is_gone(self) -> bool:
        """Always False: a command forwarded by another node has no client here to lose."""
        return False


GONE = Gone()


@dataclass(slots=True, eq=False)
class Tracking:
    """CLIENT TRACKING as this connection asked for it."""

    redirect: int = 0  # id of the client that gets its invalidations; 0: itself
    broadcast: bool = False
    prefixes: list[bytes] = field(default_factory=list)
    opt_in: bool = False
    opt_out: bool = False
    no_loop: bool = False
    caching: bool | None = None  # set by CLIENT CACHING, for the next command only
    redirect_broken: bool = False


@dataclass(slots=True, eq=False)
class Conn:
    id: int
    node: "Node"
    session: Session
    address: bytes  # ip:port of the client
    local_address: bytes
    created_ms: int
    transport: "Transport"
    fd: int = -1
    encrypted: bool = False  # TLS is used

    now_ms: int = 0
    last_active_ms: int = 0
    last_command: bytes = b"NULL"
    name: bytes = b""
    lib_name: bytes = b""
    lib_version: bytes = b""
    user: bytes = b"default"
    account: User = OPEN  # the rights of `user`
    authenticated: bool = False
    guess_slot_ms: int = 0  # when the waiting password may be checked; 0: none waits

    # Commands queued by MULTI, if the session does not keep them itself.
    queue: list[tuple[Command, list[bytes]]] | None = None
    queue_bytes: int = 0
    queue_args: int = 0
    spoiled: bool = False  # a command was refused while queueing, so EXEC will abort
    executing: bool = False  # inside EXEC, where nothing may suspend
    # It wrote keys that its commands do not name as keys of its database: by COPY with DB, or in a script.
    wrote_beyond: bool = False
    script_proto: int = 0  # protocol of the replies to the script whose command runs; 0: none does
    scripts_us: int = 0  # time that the scripts of this EXEC have taken
    exec_end_us: int = 0  # processor time at which this EXEC has had its share; scripts move it
    exec_short: bool = False  # its time has left a command less to read than its share
    # Watched keys and their stamps at WATCH.
    watched: dict[Watched, tuple[int, int] | None] = field(default_factory=dict)
    watched_bytes: int = 0  # of all watched keys together

    channels: set[bytes] = field(default_factory=set)
    patterns: set[bytes] = field(default_factory=set)
    shard_channels: set[bytes] = field(default_factory=set)
    subscription_bytes: int = 0  # of all these names together, and the compiled patterns
    searches: int = 0  # cost of matching its patterns, see patterns.py

    reads_anywhere: bool = False  # READONLY: reads are not redirected to a slot's home
    asking: bool = False  # ASKING: the next command is served here
    map_known: bool = False  # it has asked for the map of slots
    hint_due: bool = False  # its map is outdated, and it is to be told

    silent: bool = False  # set by CLIENT REPLY OFF
    skip: int = 0  # CLIENT REPLY SKIP: 2 during the command itself, 1 for the next command
    no_evict: bool = False
    no_touch: bool = False
    tracking: Tracking | None = None
    refused_deletes: int = 0
    defaulted: int = 0  # writes without a TTL that no fast path counted
    defaulted_counted: int = 0  # of those and the session's, so many stand in the node's table
    was_held: bool = False  # its command was suspended before it did anything: by a pause, or by a script of another
    suspended_until_ms: int = 0  # while the session is suspended: when it must be resumed
    wait_state: tuple[int, int] | None = None  # WAIT: the number it waits for, and until when
    # Members that have decided about its commands, and how many are known to hold the last of it: their writes are
    # theirs to count.
    decided_at: dict[int, int] = field(default_factory=dict)
    fences: list["Fence"] = field(default_factory=list)  # WAIT: its open questions to these members
    pulled: set[Watched] = field(default_factory=set)  # keys that this command has requested from the peers
    asked: set[Watched] = field(default_factory=set)  # keys whose current state this command has requested
    asked_until_ms: int = 0
    writing: Writing | None = None  # a reply that is being made in pieces
    seen_held_bytes: int = 0  # bytes that it held at the last check
    blocked_until_ms: int = 0  # BZPOPMIN and its relatives: the time limit of a blocked command; 0: it is not blocked
    blocked_on: list[Watched] = field(default_factory=list)
    unblocked: bytes = b""  # CLIENT UNBLOCK: `timeout` or `error`, for the blocked command
    # What its own command pushes to it: before the reply (pub/sub), and after it (invalidations).
    pushes_before: list[bytes] = field(default_factory=list)
    pushes_after: list[bytes] = field(default_factory=list)
    pushed_bytes: int = 0  # of both
    heard: int = 0  # number of the last message to many that it was handed, or was not for it

    def push(self, data: bytes, after_reply: bool = False) -> None:
        """Sends bytes out of turn, behind the messages that wait for this connection (pub/sub, invalidations)."""
        self.node.broadcasts.hear(self)
        self.hand(data, after_reply)

    def hand(self, data: bytes, after_reply: bool = False) -> None:
        """Sends bytes out of turn, before anything that waits. To the connection whose command is just running they go
        in front of its reply, or behind it, as Redis does.
        """
        if self.node.current is not self:
            if self.node.engine.telling is self.session:  # changes by its own commands, whose replies are not sent yet
                self.node.engine.say(data)
            else:
                self.transport.deliver(data)
        elif self.pushed_bytes > self.output_bytes_max:
            self._push_too_much()
        elif not self.session.closing:
            (self.pushes_after if after_reply else self.pushes_before).append(data)
            self.pushed_bytes += len(data)

    def _push_too_much(self) -> None:
        """Its own command says more to it than a client may leave unread. It is closed when that command ends, or at
        the end of its script's slice: amid the script nothing could end it.
        """
        self.node.stats.output_limit_disconnections += 1
        self.node.log(f"event=output_limit client={self.id} waiting_bytes={self.pushed_bytes}: closed")
        self.session.closing = True
        self.drop_pushes()

    @property
    def output_bytes_max(self) -> int:
        """Of what it has not read, or of what one of its own commands says to it."""
        limits = self.node.limits
        return limits.pubsub_output_bytes_max if self.subscribed else limits.output_buffer_bytes_max

    def take_pushes(self) -> bytes:
        """What its own command has pushed to it, in front of the reply."""
        pushes = b"".join(self.pushes_before)
        self.pushes_before.clear()
        self.pushed_bytes -= len(pushes)
        return pushes

    def drop_pushes(self) -> None:
        self.pushes_before.clear()
        self.pushes_after.clear()
        self.pushed_bytes = 0

    def wake(self) -> None:
        """Ends a suspension before its time."""
        self.transport.wake()

    def decided_by(self, member: int) -> None:
        self.decided_at[member] = 0

    def told(self, reply: bytes, commands: int, home: int = 0) -> None:
        """Delivers replies that another node made. CLIENT REPLY may drop them; b"" closes the connection."""
        if home:
            self.decided_at[home] = 0
        if not reply:
            self.transport.close()
            return
        if self.node.broadcasts.waiting:
            self.node.broadcasts.hear(self)
        if self.silent or self.skip:
            reply = b""
            self.skip = max(self.skip - commands, 0)
            self.settle()
        self.transport.answer(reply)

    @property
    def reply_proto(self) -> int:
        """Protocol of whoever reads the reply: the client, or its script, which sees RESP2 unless it asks for RESP3."""
        return self.script_proto or self.session.proto

    @property
    def subscribed(self) -> bool:
        return bool(self.channels or self.patterns or self.shard_channels)

    @property
    def in_multi(self) -> bool:
        return self.queue is not None or self.session.begun

    def catch_up(self) -> None:
        """Takes over a MULTI and a WATCH that the engine has answered by itself. Before anything asks for `queue`
        and `watched`.
        """
        if self.session.begun:
            self.session.begun = False
            self.queue = []
        if self.session.watched:
            for watched, stamp in self.session.take_watched():
                self.watched[watched] = stamp
                self.watched_bytes += len(watched[1])
            self.session.watches = True

    def forget_watched(self) -> None:
        self.watched.clear()
        self.watched_bytes = 0
        self.session.forget_watched()

    def settle(self) -> None:
        """Tells the session whether fast paths are right for this connection. To be called by
        whoever changes any of the states below; forgetting it is the one mistake possible here."""
        self.catch_up()
        self.session.trusted = self.authenticated
        fast = (
            self.authenticated
            and not self.node.loading
            and self.account.permitted != 0
            and not self.silent
            and not self.skip
            and (self.tracking is None or self.tracking.caching is None)
            and not (self.subscribed and self.session.proto == 2)
            and not (self.hint_due or self.node.strict and not self.session.decides)
        )
        self.session.permitted, self.session.guard = self.account.permitted, self.node.guard_of(self.account)
        wish = self.tracking
        self.session.tracks = wish is not None and not (wish.broadcast or wish.opt_in)
        self.session.hears = (
            wish is not None and not (wish.broadcast or wish.no_loop) and wish.redirect in (0, self.id)
        )
        self.session.hot = fast and self.queue is None
        # Behind a command that is queued here all others are, for their order.
        keeps = self.node.limits.multi_keys_max if fast and not self.subscribed else 0
        self.session.queue_keys_max = keeps if self.queue == [] else 0
        self.session.multi_keys_max, self.session.exec_bytes_max = keeps, self.node.limits.output_buffer_bytes_max
        self.session.watches = bool(self.watched)

    @property
    def queued(self) -> int:
        """Commands since MULTI, the session's and those here."""
        return self.session.queued + len(self.queue or ())

    @property
    def held_bytes(self) -> int:
        """Bytes that the connection holds in the node's memory, besides input and waiting replies."""
        if not (
            self.session.queued or self.queue or self.watched or self.blocked_on or self.tracking or self.writing
            or self.channels or self.patterns or self.shard_channels
        ):  # fmt: skip
            return 0  # nearly all of thousands: the sum over all is taken often
        names = len(self.channels) + len(self.patterns) + len(self.shard_channels)
        writing = self.writing.held_bytes if self.writing is not None else 0
        named = self.tracking.prefixes if self.tracking is not None else ()
        prefixes = sum(map(len, named)) + len(named) * NAME_BYTES
        return (
            self.queued_bytes + self.queued * QUEUED_BYTES + self.subscription_bytes + (names + len(self.blocked_on))
            * NAME_BYTES
            + self.watched_bytes + len(self.watched) * NAME_BYTES + writing + prefixes
        )  # fmt: skip

    def newly_held(self) -> int:
        """The bytes by which a reply in the making has grown since the last call."""
        held = self.writing.held_bytes if self.writing is not None else 0
        grown, self.seen_held_bytes = max(held - self.seen_held_bytes, 0), held
        return grown

    @property
    def queued_bytes(self) -> int:
        return self.session.queued_bytes + self.queue_bytes


def deliver(session: Session, frames: bytes) -> None:
    """Delivers a message that the engine has published to this session."""
    if isinstance(session.owner, Conn):
        session.owner.transport.deliver(frames)


def hear(session: Session) -> None:
    """Hands over what was published to this session before its next command."""
    if isinstance(session.owner, Conn) and session.owner.subscribed:
        session.owner.node.broadcasts.hear(session.owner)


class Fence:
    """A WAIT that was sent to a key's home for a client's own: how many hold what was written there. A home that cannot
    say so now (it loads, it was not reached in time) is asked again."""

    __slots__ = ("conn", "member", "holders", "failed", "again_ms")

    def __init__(self, conn: Conn, member: int) -> None:
        self.conn = conn
        self.member = member
        self.holders: int | None = None  # None: not known yet
        self.failed = False  # the answer was an error
        self.again_ms = 0  # then: when the member is asked again

    def decided_by(self, member: int) -> None: ...

    @property
    def session(self) -> Session:
        return self.conn.session

    def told(self, reply: bytes, commands: int, home: int = 0) -> None:
        self.holders = parse_uint(reply[1:-2]) if reply[:1] == b":" else None
        self.failed = self.holders is None
        if self in self.conn.fences:
            self.conn.wake()


class Log(Protocol):
    def __call__(self, line: str, level: int = ..., /) -> None: ...


class UsersFile(Protocol):
    """The file of the users. Both methods raise OSError."""

    def read(self) -> bytes: ...
    def write(self, content: bytes) -> None: ...


class Snapshots(Protocol):
    def facts(self) -> list[tuple[str, object]]:
        """Rows for INFO."""


@dataclass(slots=True, eq=False)
class Node:
    config: Config
    limits: Limits
    engine: Engine
    settings: Settings  # the engine's current settings; to replace them, call engine.configure
    number: int  # this boot's 64-bit node number
    run_id: bytes  # 40 hexadecimal digits, as in Redis
    started_ms: int
    pid: int
    micros: Callable[[], int]  # a monotonic clock in microseconds, for timing commands
    worked_us: Callable[[], int]  # processor time that serving has taken, in microseconds
    wall_us: Callable[[], int]  # clock: Unix time in microseconds
    draw: Callable[[], int]  # 64 random bits
    usage: Callable[[], dict[str, float]]  # resident bytes, CPU seconds and more of the process, for INFO
    stop: Callable[[str], None]  # begins an orderly shutdown, with a reason for the log
    log: Log  # writes one line for the operator; never a value

    peers: Peers | None = None  # the other nodes, if there can be any
    homes: Decisions | None = None  # finds the home of a key, unless this node decides about all keys; see elsewhere.py
    truth: Truth | None = None  # source of keys that this node may lack; see truth.py
    snapshots: Snapshots | None = None  # set if there is a snapshot directory
    loading: bool = False  # the snapshot is being read: commands about data get LOADING; see `loaded`
    clients: dict[int, Conn] = field(default_factory=dict)
    # listeners by name, each with the number of the last message to many before it subscribed
    channels: dict[bytes, dict[Conn, int]] = field(default_factory=dict)
    patterns: dict[bytes, dict[Conn, int]] = field(default_factory=dict)
    pattern_index: PatternIndex = field(init=False)
    shard_channels: dict[bytes, dict[Conn, int]] = field(default_factory=dict)
    broadcasts: Broadcasts[Conn] = field(init=False)
    trackers: dict[Conn, None] = field(default_factory=dict)
    prefixes: dict[bytes, dict[Conn, None]] = field(default_factory=dict)  # prefixes of trackers with BCAST
    prefix_lengths: dict[int, int] = field(default_factory=dict)  # number of prefixes of each length
    readers: dict[Conn, None] = field(default_factory=dict)  # those that track, and those that did
    tracked: dict[bytes, dict[int, None]] = field(default_factory=dict)  # key to the ids of clients that read it
    tracked_bytes: int = 0  # approximate size of this table
    # clients that wait for a key, longest first
    blocked: dict[tuple[int, bytes], dict[Conn, None]] = field(default_factory=dict)
    # -- who is told later, see telling.py: keys by client and by prefix, None is all keys
    # Schedules work for the loop's next turn, if there is a loop.
    soon: Callable[[Callable[[], None]], object] = lambda work: work()
    untold: "dict[Conn, dict[bytes, None] | None]" = field(default_factory=dict)
    gathered: "dict[bytes, dict[bytes, Conn | None] | None]" = field(default_factory=dict)
    noted_bytes: int = 0
    told: int = 0  # clients notified in this turn
    marks_held: int = 0  # hashes held by unfinished walks over keys: walking.py
    telling: Iterator[None] | None = None
    events: deque[tuple[bytes, bytes]] = field(default_factory=deque)  # channel and message
    events_bytes: int = 0
    events_us: int = 0  # time that events have taken in this turn
    ripe: dict[tuple[int, bytes], Iterator[Conn]] = field(default_factory=dict)  # clients to wake, by key
    stats: Stats = field(default_factory=Stats)
    slow_log: deque[Slow] = field(default_factory=deque)
    slow_id: int = 0
    decide: bytes = b"home"  # --decide, or its value after CONFIG SET
    event_flags: int = 0  # notify-keyspace-events, as parsed by notify.py
    next_client_id: int = 1
    rates: Rates = field(default_factory=Rates)
    counters_before: dict[str, int] = field(default_factory=dict)  # the engine's counts at CONFIG RESETSTAT
    requirepass: bytes = b""  # in plain text, as CONFIG GET shows it; set through `password`
    users: dict[bytes, User] = field(default_factory=dict)
    users_file: UsersFile | None = None
    acl_log: deque[Denied] = field(default_factory=deque)
    acl_log_id: int = 0
    guessers: dict[bytes, Guesser] = field(default_factory=dict)  # by address; the latest failure last
    pause: Pause = field(default_factory=Pause)  # the state of CLIENT PAUSE
    current: Conn | None = None  # the client whose command is running
    client_ports: tuple[int, int] = (0, 0)  # ports for clients, plain and TLS; 0: none
    # what cluster clients were told, and of which version of the members
    cluster_map: tuple[Hashable, object] | None = None
    map_changed_ms: int = 0  # when the homes of slots were others last
    strict: bool = False  # clients are sent to a slot's home, as by Redis
    hints_given: bool = False  # those who know the map are told once when it has changed
    scripts: Scripts | None = None  # made by the first script
    busy: Conn | None = None  # whose script has run for so long that it gives way to others between its slices
    busy_told_us: int = 0  # from when on they are told BUSY; until then their commands wait
    busy_logged: bool = False  # that they are told
    counted: object = None  # the last sums over all clients (census.py), and until when they serve
    counted_until_us: int = 0
    woken_ms: float = 0.0  # when the last client is woken that waits for members to be destroyed (settling.py)
    held: dict[Conn, None] = field(default_factory=dict)  # clients that wait for the end of that script

    def __post_init__(self) -> None:
        self.decide = self.config.decide.encode()
        if self.decide == MAJORITY:  # no command is decided before other members are met, not even on a fast path
            self.engine.use_homes(b"\xff\xff" * SLOTS)
        self.strict, self.hints_given = self.config.cluster == "strict", self.config.cluster == "yes"
        self.pattern_index = PatternIndex(self.engine.patterns)
        self.users.setdefault(DEFAULT, self.default_user())
        self.engine.deliver = deliver
        self.broadcasts = Broadcasts(lambda work: self.soon(work), self.micros, self._broadcasting)

    def default_user(self) -> User:
        """`default` as the options describe it, where no users file does."""
        return full_user(self.requirepass, (name.encode() for name in self.config.let_go))

    @property
    def teller(self) -> Conn | None:
        """The client of whose fast commands the engine is telling."""
        session = self.engine.telling
        return session.owner if session is not None and isinstance(session.owner, Conn) else None

    def _broadcasting(self, begins: bool) -> None:
        self.engine.hear = hear if begins else None

    def guard_of(self, user: User) -> Guard | None:
        """The user's own key patterns for the engine. What a selector allows beyond them is asked of `dispatch`."""
        if user.guard is None and user.permitted and not user.root.all_keys:
            user.guard = self.engine.guard(user.root.keys)
        return user.guard

    def loaded(self) -> None:
        """The snapshot has been read, as far as possible."""
        self.loading = False
        for conn in self.clients.values():
            conn.settle()

    @property
    def password(self) -> bytes:
        """requirepass: the password of the user `default`, as it was set last."""
        return self.requirepass

    @password.setter
    def password(self, text: bytes) -> None:
        self.requirepass = text
        set_password(self.users[DEFAULT], text)
