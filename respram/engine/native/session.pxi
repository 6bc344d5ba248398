# Part of _native.pyx: the connection as Python sees it, and the settings as the core takes them.

cdef class NativeGuard:
    """Key patterns, compiled. A session that has one keeps it alive."""

    cdef CGuard *c

    def __cinit__(self, patterns):
        self.c = guard_new(len(patterns))
        if self.c is NULL:
            raise MemoryError
        for pattern, modes in patterns.items():
            if not guard_add(self.c, span_of(pattern), modes):
                raise MemoryError

    def __dealloc__(self):
        guard_free(self.c)


def matches(bytes pattern not None, bytes text not None):
    """Whether the text matches, and how many comparisons that may take."""
    cdef CGlob *glob = glob_compile(span_of(pattern))
    if glob is NULL:
        raise MemoryError
    found = glob_match(glob, span_of(text)), glob_steps(glob, len(text))
    glob_free(glob)
    return found


cdef class NativeSession:
    """One connection. The flags are the core's own; whoever sets them does it between commands."""

    cdef CSession c
    cdef object dispatch
    cdef NativeGuard guarded
    cdef public object owner

    def __cinit__(self, dispatch):
        session_init(&self.c)
        self.c.subscriber.object = <void *>self
        self.dispatch = dispatch

    def __dealloc__(self):
        session_close(&self.c)

    @property
    def outlet(self):
        return self.c.subscriber.outlet

    @outlet.setter
    def outlet(self, int outlet):
        self.c.subscriber.outlet = outlet

    @property
    def db(self):
        return self.c.db

    @db.setter
    def db(self, int db):
        if not 0 <= db < DATABASES:
            raise ValueError("database number out of range")
        self.c.db = db

    @property
    def proto(self):
        return self.c.proto

    @proto.setter
    def proto(self, int proto):
        self.c.proto = proto

    @property
    def hot(self):
        return self.c.hot

    @hot.setter
    def hot(self, bint hot):
        self.c.hot = hot

    @property
    def fault(self):
        return PyBytes_FromStringAndSize(self.c.fault.text, <Py_ssize_t>self.c.fault.len) if self.c.faulted else None

    @property
    def defaulted(self):
        return self.c.defaulted

    @property
    def permitted(self):
        bits = 0
        for number in range(PERMITTED_WORDS):
            bits |= <object>self.c.permitted[number] << 64 * number
        return bits

    @permitted.setter
    def permitted(self, permitted):
        for number in range(PERMITTED_WORDS):
            self.c.permitted[number] = (permitted >> 64 * number) & 0xffffffffffffffff

    @property
    def guard(self):
        return self.guarded

    @guard.setter
    def guard(self, NativeGuard guard):
        self.guarded = guard
        self.c.guard = NULL if guard is None else guard.c

    @property
    def tracks(self):
        return self.c.tracks

    @tracks.setter
    def tracks(self, bint tracks):
        self.c.tracks = tracks

    @property
    def hears(self):
        return self.c.hears

    @hears.setter
    def hears(self, bint hears):
        self.c.hears = hears

    @property
    def trusted(self):
        return self.c.trusted

    @trusted.setter
    def trusted(self, bint trusted):
        self.c.trusted = trusted

    @property
    def closing(self):
        return self.c.closing

    @closing.setter
    def closing(self, bint closing):
        self.c.closing = closing

    @property
    def suspended(self):
        return self.c.suspended

    @suspended.setter
    def suspended(self, bint suspended):
        self.c.suspended = suspended

    @property
    def decides(self):
        return self.c.decides

    @decides.setter
    def decides(self, bint decides):
        self.c.decides = decides

    @property
    def taken(self):
        return self.c.taken

    @property
    def retried(self):
        return self.c.retried

    @retried.setter
    def retried(self, bint retried):
        self.c.retried = retried

    @property
    def more(self):
        return self.c.more

    @property
    def buffered_bytes(self):
        return session_buffered_bytes(&self.c)

    @property
    def queue_keys_max(self):
        return self.c.queue_keys_max

    @queue_keys_max.setter
    def queue_keys_max(self, uint64_t queue_keys_max):
        self.c.queue_keys_max = queue_keys_max

    @property
    def multi_keys_max(self):
        return self.c.multi_keys_max

    @multi_keys_max.setter
    def multi_keys_max(self, uint64_t multi_keys_max):
        self.c.multi_keys_max = multi_keys_max

    @property
    def exec_bytes_max(self):
        return self.c.exec_bytes_max

    @exec_bytes_max.setter
    def exec_bytes_max(self, uint64_t bytes_max):
        self.c.exec_bytes_max = bytes_max

    @property
    def begun(self):
        return self.c.begun

    @begun.setter
    def begun(self, bint begun):
        self.c.begun = begun

    @property
    def watches(self):
        return self.c.watches

    @watches.setter
    def watches(self, bint watches):
        self.c.watches = watches

    @property
    def midway(self):
        return self.c.midway

    @midway.setter
    def midway(self, bint midway):
        self.c.midway = midway

    @property
    def queued(self):
        return self.c.queued_count

    @property
    def queued_work(self):
        return self.c.queued_work

    @property
    def queued_bytes(self):
        return self.c.queued_bytes

    def take_queued(self):
        cdef Command command
        commands = []
        try:
            while multi_next(&self.c, &command):
                commands.append(argv_of(&command))
        finally:
            multi_drop(&self.c)
        return commands

    def drop_queued(self):
        left = multi_left(&self.c)
        multi_drop(&self.c)
        return left

    @property
    def watched(self):
        return self.c.watched.len > 0

    def take_watched(self):
        cdef size_t at = 0
        cdef int db
        cdef Span key
        cdef KeyStamp stamp
        taken = []
        while watched_next(&self.c, &at, &db, &key, &stamp):
            taken.append(((db, bytes_of(key)), stamped(&stamp)))
        watched_taken(&self.c)
        return taken

    @property
    def has_come(self):
        return bool(session_has_come(&self.c))

    def forget_watched(self):
        watched_drop(&self.c)


cdef object stamped(const KeyStamp *stamp):
    if not stamp.clock:
        return None
    return stamp.clock, stamp.node + (<object>stamp.version << VERSION_SHIFT) + (<object>stamp.length << LENGTH_SHIFT)


cdef list argv_of(const Command *command):
    cdef size_t number
    cdef list argv = []
    for number in range(command.argc):
        argv.append(bytes_of(command_arg(command, number)))
    return argv


cdef CSettings settings_of(settings) except *:
    """Checks what the core relies on: 48-bit times, 32-bit lengths, counts that are counts."""
    cdef CSettings c
    if len(settings.secret) != 16:
        raise ValueError("secret: 16 bytes are needed")
    for field in ("default_ttl_ms", "max_ttl_ms", "clock_offset_ms_max"):
        if not 0 <= getattr(settings, field) <= TTL_MS_MAX:
            raise ValueError(f"{field}: between 0 and {TTL_MS_MAX}")
    if not 0 <= settings.bulk_bytes_max <= LENGTH_MAX:
        raise ValueError(f"bulk_bytes_max: between 0 and {LENGTH_MAX}")
    c.node = settings.node
    memcpy(c.secret, PyBytes_AS_STRING(bytes(settings.secret)), 16)
    c.seed = settings.seed
    c.default_ttl_ms = settings.default_ttl_ms
    c.max_ttl_ms = settings.max_ttl_ms
    c.clock_offset_ms_max = settings.clock_offset_ms_max
    c.memory_bytes_max = settings.memory_bytes_max
    c.bulk_bytes_max = settings.bulk_bytes_max
    c.key_bytes_max = settings.key_bytes_max
    c.args_max = settings.args_max
    c.inline_bytes_max = settings.inline_bytes_max
    c.query_bytes_max = settings.query_bytes_max
    c.feed_commands_max = settings.feed_commands_max
    c.feed_reply_bytes_max = settings.feed_reply_bytes_max
    c.outbox_bytes_max = settings.outbox_bytes_max
    c.counters = settings.counters
    return c


cdef int check_place(int db, int64_t now_ms) except -1:
    if not 0 <= db < SPACES:
        raise ValueError("database number out of range")
    if not 0 <= now_ms <= TTL_MS_MAX:
        raise ValueError("time out of range")
    return 0
