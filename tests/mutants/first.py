"""For pytest, when it looks for planted faults: all tests are collected once, and run in a fork for each fault.

`-p tests.mutants.first`. MUTANTS_FDS are three file descriptors: from the first comes a line for each fault, with the
rank of each test (the lowest comes first; once there are ranks, a test without one is left out) and the seconds of a
core that may be spent; the second takes how the fork ended; to the third each test is written as it begins, and again
with its time as it ends, so that the last line of a process that crashed says where.

No test may load the C core as it is collected, since the fork loads the one with the fault. Hypothesis generates the
same inputs each time, and does not look for the smallest that fails.
"""

import json
import os
import resource
import signal
import sys
import time

import pytest
from hypothesis import HealthCheck, Phase, settings

BEGUN = "begun"
CORE = "respram.engine.native"
# What asks for ever more memory is detected before the machine has no more; as address space, of which guards map much.
MEMORY_BYTES = 8 << 30
PATIENCE_S = 3_600  # for who waits for ever and takes no core

settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


class Told:
    def __init__(self, file: int) -> None:
        self.file = file
        self.at = 0.0

    def write(self, what: str, test: str) -> None:
        os.write(self.file, f"{what}\t{test}\n".encode())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.at = time.process_time()
        self.write(BEGUN, nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.write(f"{time.process_time() - self.at:.4f}", nodeid)


def descriptors() -> tuple[int, int, int]:
    asked, ended, told = map(int, os.environ["MUTANTS_FDS"].split())
    return asked, ended, told


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("mutants")
    config.pluginmanager.register(Told(descriptors()[2]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """None in a fork, where pytest goes on and runs the tests."""
    if session.testsfailed or any(name.startswith(CORE) for name in sys.modules):
        raise pytest.UsageError(f"tests cannot be collected, or load {CORE} as they are")
    asked, ended, _ = descriptors()
    with os.fdopen(asked, closefd=False) as lines:
        for line in lines:
            ranks, cpu_s = json.loads(line)
            fork = os.fork()
            if not fork:
                resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
                signal.alarm(PATIENCE_S)
                if ranks:
                    session.items = [item for item in session.items if item.nodeid in ranks]
                    session.items.sort(key=lambda item: ranks[item.nodeid])
                return None
            _, status = os.waitpid(fork, 0)
            os.write(ended, f"{status}\n".encode())
    return True
