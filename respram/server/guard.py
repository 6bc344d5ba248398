"""Keeps the process's memory in the process: no core dumps, keys in locked memory, all of it locked where that is
allowed.

What the system does not allow is said at the start and in INFO, and is no error: a container without rights is how most
nodes run. Locked memory is not written to swap; it can still be read by root, and by whoever may trace the process.
"""

import ctypes
import mmap
import os
import resource
import sys
from pathlib import Path
from typing import NamedTuple

PR_SET_DUMPABLE = 4
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4  # the last one locks pages when they are touched, without touching all
CAP_IPC_LOCK = 14


class Guard(NamedTuple):
    keys: memoryview  # memory for keys, filled with zeros
    keys_locked: bool
    all_locked: bool
    dumps_off: bool


def guard_memory(key_bytes: int) -> Guard:
    """Locks memory and turns dumps off; to be called once, early. Other processes of the user cannot look in
    afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    keys = mmap.mmap(-1, -(-key_bytes // mmap.PAGESIZE) * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
        if hasattr(mmap, advice):
            keys.madvise(getattr(mmap, advice))
    address = ctypes.addressof(ctypes.c_char.from_buffer(keys))
    keys_locked = libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(keys))) == 0
    is_linux = sys.platform == "linux"
    dumps_off = is_linux and libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    all_locked = is_linux and may_lock_all() and libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0
    return Guard(memoryview(keys), keys_locked, all_locked, dumps_off)


def may_lock_all() -> bool:
    """Whether all memory may be locked. Not if there is a limit, since the node would crash on reaching it."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return os.geteuid() == 0
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> CAP_IPC_LOCK & 1)
