"""redis-benchmark: its own tests of strings, one by one, pipelined or not.
What is checked is that it runs, not how fast.
"""

import re
import subprocess

from telling import AUTH_PORT, HOST, PASSWORD, PORT, check, same, say, true

BENCHMARK = "redis-benchmark"
TESTS = ("ping_inline", "ping_mbulk", "set", "get", "incr", "mset")


def run(*words, port=PORT):
    command = [BENCHMARK, "-h", HOST, "-p", str(port), "-n", "2000", "-c", "20", "--csv", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.stdout, result.stderr, result.returncode


def passes(*words, port=PORT):
    out, err, code = run(*words, port=port)
    same((code, "ERR" in err, "NOPERM" in err), (0, False, False))
    rows = [line for line in out.splitlines()[1:] if line.startswith('"')]
    true(rows and all(float(re.findall(r'"([\d.]+)"', row)[0]) > 0 for row in rows), "requests per second", out + err)


say("version", subprocess.run([BENCHMARK, "--version"], capture_output=True, text=True, check=True).stdout.split()[1])
for name in TESTS:
    check(name, lambda name=name: passes("-t", name))
    check(f"{name}-pipelined", lambda name=name: passes("-t", name, "-P", "16", "-r", "1000"))
check("resp3", lambda: passes("-3", "-t", "get,set"))
check("threads", lambda: passes("--threads", "2", "-t", "get"))
check("auth", lambda: passes("-a", PASSWORD, "-t", "get", port=AUTH_PORT))
check("own-command", lambda: passes("set", "bench:__rand_int__", "v", "ex", "60"))
check(
    "lists-refused",
    lambda: true("refused by design" in "".join(run("-t", "lpush")[:2]), "a refusal", run("-t", "lpush")),
)
say("done")
