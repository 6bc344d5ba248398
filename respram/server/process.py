"""Facts about this process and the machine, from the operating system."""

import asyncio
import contextlib
import ctypes
import os
import resource

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
M_MMAP_THRESHOLD = -3  # an option of glibc's mallopt
LARGE_BYTES = 512 << 10  # larger blocks return to the system when they are freed


def usage() -> dict[str, float]:
    """Numbers for INFO: resident memory in bytes, CPU seconds and open descriptors of the process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rss_bytes": float(rss_bytes()),
        "rss_peak_bytes": spent.ru_maxrss * 1024.0,
        "cpu_user_s": spent.ru_utime,
        "cpu_sys_s": spent.ru_stime,
        "tasks": float(len(asyncio.all_tasks())),
        "descriptors": float(_descriptors()),
    }


def _descriptors() -> int:
    """From inside, because a process without dumps shows them to nobody else of its user. Since Linux 6.2 the kernel
    tells their number; to list 9,000 takes 10 to 40 ms.
    """
    try:
        if number := os.stat("/proc/self/fd").st_size:
            return number
        return len(os.listdir("/proc/self/fd")) - 1  # minus the one that the listing uses
    except OSError:
        return 0


def rss_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def raise_descriptor_limit(wanted: int) -> int:
    """Raises the limit of file descriptors to this many, as far as the system allows. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def give_back_large_blocks() -> None:
    """Fixes the size from which malloc maps a block of its own, which free returns at once.

    Left to itself glibc raises it to what was freed last: after one reader that did not read, 100 MiB
    of replies stayed with the process.
    """
    with contextlib.suppress(AttributeError, OSError):  # other C libraries return memory by themselves
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
