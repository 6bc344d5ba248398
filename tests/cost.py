"""What a command costs in processor time, with all that it has started:

    python -m tests.cost make test

`time` leaves out whoever outlives its parent and is waited for by nobody, as forked nodes do (`tests/forked.py`). Here
such processes become this one's children, and it waits for them (Linux).
"""

import ctypes
import os
import resource
import sys

SET_CHILD_SUBREAPER = 36  # of prctl


def main(words: list[str]) -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "orphans cannot be waited for")
    asked = os.posix_spawnp(words[0], words, os.environ)
    code = 1
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            break
        if pid == asked:
            code = os.waitstatus_to_exitcode(status)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stderr.write(f"{used.ru_utime + used.ru_stime:.1f} s of a core\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
