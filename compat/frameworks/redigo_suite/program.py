"""redigo's own tests, from its module: all of them, those of its examples included.

The suite starts its server itself, by a path that may be given: `server` relays to the node. `limits.txt` has what
meets a refusal by design, with reasons; a test there that passes is a failure.
"""

import os
import re
import subprocess
from pathlib import Path

import suite
from ports import reserve
from telling import say

LEAST = 75
RESULT = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) ")


def main():
    os.chmod("server", 0o700)
    say("version", re.search(r"redigo v(\S+)", Path("go.mod").read_text())[1])
    words = [
        "./suite",
        "-test.v",
        "-test.timeout=100s",
        f"-redis-server={os.path.abspath('server')}",
        f"-redis-port={reserve()}",
    ]
    said = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    limits, told = suite.listed("limits.txt"), 0
    for state, name in RESULT.findall(said.stdout):
        reason, told = suite.reason_for(name, limits), told + 1
        if state == "SKIP":
            say("skip", name, "skipped by the suite")
        elif (state == "PASS") == (not reason):
            say("ok" if state == "PASS" else "limit", name, reason)
        else:
            say("fail", name, f"expected={reason or 'a pass'} got={state}")
    if told < LEAST:
        say("fail", "suite", f"expected=at least {LEAST} tests got={told}: {(said.stdout + said.stderr)[-250:]}")
    say("done")


main()
