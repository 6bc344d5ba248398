"""`redis-cli -c` and `redis-benchmark --cluster` on three nodes, one of which is lost and comes back."""

import os
import re
import shutil
import subprocess
import time

HOST = os.environ["RESPRAM_HOST"]
PORTS = os.environ["RESPRAM_ENCLAVE"].split(",")
KEYS = [f"cluster-{number}" for number in range(100)]
FAILOVER_S = 30.0
CLI, BENCHMARK = (shutil.which(name) or name for name in ("redis-cli", "redis-benchmark"))


def cli(port, *words, given=""):
    command = (CLI, "-c", "-h", HOST, "-p", port, *words)
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def forwarded():
    return sum(int(re.search(r"forwarded_commands:(\d+)", cli(port, "INFO", "replication"))[1]) for port in PORTS)


def await_slots():
    """A node that had no core for long has no slots for a while, and redis-benchmark wants those of all."""
    end = time.monotonic() + FAILOVER_S
    while time.monotonic() < end:
        nodes = cli(PORTS[0], "CLUSTER", "NODES").splitlines()
        if len(nodes) == len(PORTS) and all(len(node.split()) > 8 for node in nodes):
            return
        time.sleep(0.1)


def count_all(port):
    """All numbers, or what else it said."""
    lines = cli(port, given="".join(f"INCR {key}\n" for key in KEYS)).split("\n")
    answers = [line for line in lines if re.fullmatch(r"\(integer\) \d+|\d+", line)]
    return "" if len(answers) == len(KEYS) else " ".join(lines)[:200]


def expect(name, fact, got=""):
    print(f"ok {name}" if fact else f"fail {name} got={' '.join(str(got).split())[:200]}", flush=True)


def ask(word, answer):
    print(word, flush=True)
    return input().strip() == answer


print("version", cli(PORTS[0], "--version").split()[1], flush=True)
said = cli(PORTS[0], "PING")
expect("connect", said == "PONG\n", said)
await_slots()
before = forwarded()
bench = (BENCHMARK, "--cluster", "-h", HOST, "-p", PORTS[0], "-t", "incr", "-n", "3000", "-c", "6", "-r", "1000", "-q")
done = subprocess.run(bench, capture_output=True, text=True, timeout=60)
more = forwarded() - before
said = done.stdout + done.stderr
expect("route", "INCR: " in said and "rror" not in said and more <= 150, f"{more} forwarded: {said[-100:]}")
said = cli(PORTS[0], given="MSET {tag}1 a {tag}2 b\nMGET {tag}1 {tag}2\n")
expect("tags", said.endswith("OK\na\nb\n"), said)
said = cli(PORTS[0], given="GET {deal}1\nMULTI\nSET {deal}1 a\nINCR {deal}2\nEXEC\n")
expect("transaction", said.endswith("QUEUED\nQUEUED\nOK\n1\n"), said)
said = cli(PORTS[0], "SPUBLISH", "shard", "hello")
expect("shard-messages", said.strip() == "0", said)
lost = ask("kill", "killed")
began = time.monotonic()
said = "nothing"
while said and time.monotonic() < began + FAILOVER_S:
    said = count_all(PORTS[0])
print(f"figure failover_ms={(time.monotonic() - began) * 1000:.0f}")
expect("failover", lost and not said, said)
back = ask("start", "started")
said = count_all(PORTS[1])
expect("return", back and not said, said)
print("done", flush=True)
