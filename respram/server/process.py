"""What the operating system says of this process and machine."""

import os
import resource

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usage() -> dict[str, float]:
    """Numbers for INFO: resident memory in bytes, CPU seconds of the process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rss_bytes": float(rss_bytes()),
        "rss_peak_bytes": spent.ru_maxrss * 1024.0,
        "cpu_user_s": spent.ru_utime,
        "cpu_sys_s": spent.ru_stime,
    }


def rss_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def raise_descriptor_limit(wanted: int) -> int:
    """As many file descriptors as asked for, as far as the system lets us; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
