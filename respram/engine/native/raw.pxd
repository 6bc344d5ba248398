"""The engine for a native pump: `feed` from and to bare memory, without an object made. engine/api.py has the contract.

The functions travel in the capsules FEED, REPLIES, SENT and PUSHES of the module, because a pump is a module of its
own.
"""

from libc.stdint cimport int64_t, uint8_t

cdef enum Fed:  # what a call of `feed` came to, as bits
    TAKEN_OVER = 1  # the session is suspended or closing: its client has to see to it
    PYTHON_RAN = 2  # so anything may have changed: sessions closed, the loop given work
    UNFINISHED = 4  # a budget ended the batch: the pump calls again, without data, and reads no more before
    MUCH_WAITS = 8  # many deliveries wait, or long ones

# (engine, session, data, its length, now_ms, behind, python_comes, its context, where the reply starts) -> bits of Fed.
# `behind`: the reply goes behind those of the calls before, which are not sent yet. `python_comes` is called before
# anything runs that might send something else. The input is wiped.
ctypedef int (*Feed)(object, object, uint8_t *, size_t, int64_t, bint, void (*)(void *), void *, size_t *) except -1

# Where all replies lie that were not sent yet, and where the last one ends.
ctypedef const uint8_t *(*Replies)(object, size_t *) noexcept

# What was published to a session: (context, its outlet, it, bytes, their number). It may run Python.
ctypedef void (*Push)(void *, int, object, const uint8_t *, size_t) noexcept

# Calls the function for each session with a delivery, until none has any.
ctypedef void (*Pushes)(object, Push, void *) noexcept

# All of them are sent: they are wiped now, and not with the next command of whoever it is.
ctypedef void (*Sent)(object) noexcept
