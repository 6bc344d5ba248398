"""redis-cli and valkey-cli, `program.py redis-cli|valkey-cli`: what people type into it, at a terminal and in scripts."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from telling import AUTH_PORT, HOST, PASSWORD, PORT, TLS_CA, TLS_PORT, Left, check, restart, same, say, true

CLI = sys.argv[1]
KEYS = 500


def cli(*words, given=None, seconds=20, port=PORT):
    command = [CLI, "-h", HOST, "-p", str(port), *words]
    result = subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    return (result.stdout + result.stderr).decode("utf-8", "replace").strip()


def at_a_terminal(*words):
    """redis-cli at a terminal of 100 columns: the process, and the other end of the terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [CLI, "-h", HOST, "-p", str(PORT), *words]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    return process, master


def read_until(master, pattern, seconds=10.0):
    """What the terminal showed until the pattern was there; without it, a difference."""
    said, end = b"", time.monotonic() + seconds
    while not re.search(pattern, said) and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                said += os.read(master, 65536)
            except OSError:
                break
    true(re.search(pattern, said), pattern, said[-200:])
    return said


def shows(pattern, *words):
    """A command that runs until it is interrupted shows this at a terminal."""
    process, master = at_a_terminal(*words)
    try:
        read_until(master, pattern)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(master)


def contains(text, *words):
    for word in words:
        true(word in text, word, text)


def interactive():
    """At a terminal it asks COMMAND DOCS, and then completes and hints from the answer."""
    process, master = at_a_terminal()
    try:
        read_until(master, rb"> ")
        os.write(master, b"set ")  # the hint for what follows
        read_until(master, rb"key value \[NX\|XX")
        os.write(master, b"typed value EX 60\r")
        read_until(master, rb"(?s)OK\r\n.*> ")  # typed before the next prompt, it would be thrown away
        os.write(master, b"help get\r")
        read_until(master, rb"(?s)summary:.*group:.*string.*> ")
        os.write(master, b"del typed\r")
        read_until(master, rb"(?s)\(error\) NOPERM 'del' is refused by design.*> ")
        os.write(master, b"quit\r")
        same(process.wait(5), 0)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def filled():
    commands = "".join(f"SET cli:{number} {'x' * (number + 1)} EX 600\r\n" for number in range(KEYS))
    contains(cli("--pipe", given=commands.encode()), f"errors: 0, replies: {KEYS}")


def scanned():
    same(sorted(cli("--scan", "--pattern", "cli:*").split()), sorted(f"cli:{number}" for number in range(KEYS)))


def biggest(option, words):
    contains(said := cli(option), "Biggest string found", words)
    sampled = int(re.search(r"Sampled (\d+) keys", said)[1])
    true(sampled >= KEYS, f"at least {KEYS} keys sampled", sampled)


def subscribed():
    process = subprocess.Popen([CLI, "-h", HOST, "-p", str(PORT), "subscribe", "news"], stdout=subprocess.PIPE)
    try:
        end = time.monotonic() + 5
        while cli("publish", "news", "hello") != "1" and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.1)
    finally:
        process.terminate()
    contains(process.communicate(timeout=5)[0].decode(), "subscribe", "message", "news", "hello")


def encrypted():
    if not TLS_PORT:
        raise Left("the node has no TLS for clients")
    same(cli("--tls", "--cacert", TLS_CA, "ping", port=TLS_PORT), "PONG")


def survived():
    restart()
    same(cli("ping"), "PONG")


def main():
    say("version", subprocess.run([CLI, "--version"], capture_output=True, check=True).stdout.split()[1].decode())
    check("connect", lambda: same(cli("ping"), "PONG"))
    check("interactive", interactive)
    check("resp3", lambda: contains(cli("-3", "--no-raw", "hello"), '1# "server" => "redis"', '"proto" => (integer) 3'))
    check("pipe", filled)
    check("scan", scanned)
    check("set-get", lambda: same([cli("set", "a", "v", "ex", "60"), cli("get", "a"), cli("ttl", "missing")], ["OK", "v", "-2"]))
    check("stdin", lambda: same(cli("-x", "set", "whole", given=b"a\nb"), "OK") or same(cli("strlen", "whole"), "3"))
    check("bigkeys", lambda: biggest("--bigkeys", f"has {KEYS} bytes"))
    check("memkeys", lambda: biggest("--memkeys", "bytes"))
    check("hotkeys", lambda: contains(cli("--hotkeys"), "maxmemory policy"))
    check("stat", lambda: shows(rb"\n\d+ +[\d.]+[BKMG] +\d+ +\d+ +\d+ ", "--stat", "-i", "0.2"))
    check("latency", lambda: shows(rb"min: \d+, max: \d+, avg: [\d.]+ \([1-9]\d* samples\)", "--latency"))
    check("latency-history", lambda: shows(rb"samples\) -- \d\.\d+ seconds range", "--latency-history", "-i", "1"))
    check("info", lambda: contains(cli("info"), "redis_version:", "role:master", "db0:keys="))
    check("json", lambda: contains(cli("--json", "get", "a"), '"v"'))
    check("eval", lambda: contains(cli("eval", "return 1", "0"), "NOPERM", "runs no scripts"))
    check("subscribe", subscribed)
    check("select", lambda: same([cli("-n", "5", "get", "a"), cli("-n", "99", "ping")], ["", "PONG\nSELECT 99 failed: ERR DB index is out of range"]))
    check("auth", lambda: same(cli("--no-auth-warning", "-a", PASSWORD, "ping", port=AUTH_PORT), "PONG"))
    check("auth-refused", lambda: contains(cli("ping", port=AUTH_PORT), "NOAUTH Authentication required."))
    check("del-refused", lambda: contains(cli("del", "a"), "NOPERM 'del' is refused by design"))
    check("exit-code", lambda: same(subprocess.run([CLI, "-e", "-p", str(PORT), "del", "a"], capture_output=True).returncode, 1))
    check("restart", survived)
    check("tls", encrypted)
    say("done")


main()
