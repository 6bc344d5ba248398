"""redis-cli and valkey-cli, `program.py redis-cli|valkey-cli`: what people type into it, at a terminal and in scripts.
"""

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

from telling import AUTH_PORT, HOST, PASSWORD, PORT, TLS_CA, TLS_PORT, Left, check, in_ms, restart, same, say, true

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
        os.write(master, b"set ")  # redis-cli shows a hint for the arguments that follow
        read_until(master, rb"key value \[NX\|XX")
        os.write(master, b"typed value EX 60\r")
        read_until(master, rb"(?s)OK\r\n.*> ")  # what is typed before the next prompt is discarded
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


def form(name, *options):
    def run():
        same(cli("set", name, "v", *options), "OK")
        left = int(cli("pttl", name))
        true(50_000 < left <= 61_000, "50000..61000 ms", left)

    check(name, run)


def kept():
    cli("set", "kept", "a", "ex", "60")
    same(
        [cli("set", "kept", "b", "keepttl"), cli("get", "kept"), 50 < int(cli("ttl", "kept")) <= 60], ["OK", "b", True]
    )


def shortened():
    cli("set", "shortened", "v", "ex", "600")
    same(
        [cli("expire", "shortened", "100"), cli("expire", "missing", "100"), 95 < int(cli("ttl", "shortened")) <= 100],
        ["1", "0", True],
    )


def once():
    same(
        [cli("set", "once", "a", "ex", "60", "nx"), cli("set", "once", "b", "ex", "60", "nx"), cli("get", "once")],
        ["OK", "", "a"],
    )


def counted():
    same(
        [cli("incr", "n"), cli("incrby", "n", "5"), cli("decr", "n"), cli("incrbyfloat", "f", "1.5")],
        ["1", "6", "5", "1.5"],
    )


def typed_in(*lines):
    """Commands on standard input, one connection for all: what it printed, line by line."""
    return cli(given="".join(f"{line}\n" for line in lines).encode()).splitlines()


def delete_in_multi():
    said = typed_in("MULTI", "SET sibling v EX 60", "DEL sibling", "EXEC", "GET sibling")
    same(
        (said[:4], "NOPERM 'del' is refused by design" in said[4], said[-1]),
        (["OK", "QUEUED", "QUEUED", "OK"], True, "v"),
    )


def watched():
    process, master = at_a_terminal()
    try:
        read_until(master, rb"> ")
        cli("set", "watched", "1", "ex", "60")
        for given, answer in (
            ("watch watched", rb"OK"),
            ("multi", rb"OK"),
            ("set watched 3 ex 60", rb"QUEUED"),
            ("exec", rb"\(nil\)"),
        ):
            if given == "multi":
                same(cli("set", "watched", "2", "ex", "60"), "OK")
            os.write(master, given.encode() + b"\r")
            # typed before the next prompt, it would be thrown away
            read_until(master, rb"(?s)" + answer + rb"\r\n.*> ")
        same(cli("get", "watched"), "2")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def heard(channel, act, *words):
    """What a subscriber prints while `act` is done again and again, until all words are there."""
    process = subprocess.Popen([CLI, "-h", HOST, "-p", str(PORT), "subscribe", channel], stdout=subprocess.PIPE)
    said, end = b"", time.monotonic() + 10
    try:
        while not all(word in said for word in words) and time.monotonic() < end:
            act()
            while select.select([process.stdout], [], [], 0.2)[0] and (
                piece := os.read(process.stdout.fileno(), 65536)
            ):
                said += piece
    finally:
        process.terminate()
        process.wait(5)
        process.stdout.close()
    contains(said.decode(), *(word.decode() for word in words))


def binary():
    value = bytes(range(255, -1, -1)) + b"\r\n$-1\r\n"
    name = "".join(f"\\x{code:02x}" for code in range(256))
    same(cli("-x", "set", "bytes", given=value), "OK")
    same(
        cli(given=f'SET "{name}" v EX 60\nGET "{name}"\nSTRLEN bytes\n'.encode()).split(), ["OK", "v", str(len(value))]
    )
    result = subprocess.run([CLI, "-h", HOST, "-p", str(PORT), "get", "bytes"], capture_output=True, check=True)
    same(result.stdout, value + b"\n")


def mebibyte():
    value = bytes(range(256)) * 4096
    same([cli("-x", "set", "large", given=value), cli("strlen", "large")], ["OK", str(1 << 20)])
    result = subprocess.run([CLI, "-h", HOST, "-p", str(PORT), "get", "large"], capture_output=True, check=True)
    true(result.stdout == value + b"\n", "the same mebibyte", len(result.stdout))


def encrypted():
    if not TLS_PORT:
        raise Left("the node has no TLS for clients")
    same(cli("--tls", "--cacert", TLS_CA, "ping", port=TLS_PORT), "PONG")


def survived():
    """One that stays open tells at the next command that the connection is gone, and connects again by itself for the
    one after.
    """
    process, master = at_a_terminal()
    try:
        read_until(master, rb"> ")
        restart()
        os.write(master, b"ping\r")
        read_until(master, rb"not connected> ")
        os.write(master, b"set after v ex 60\r")
        read_until(master, rb"OK\r\n")
        same(cli("get", "after"), "v")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def main():
    say("version", subprocess.run([CLI, "--version"], capture_output=True, check=True).stdout.split()[1].decode())
    check("connect", lambda: same(cli("ping"), "PONG"))
    check("interactive", interactive)
    check("resp2", lambda: contains(cli("--no-raw", "hello"), '"server"', '"proto"\n 6) (integer) 2'))
    check("resp3", lambda: contains(cli("-3", "--no-raw", "hello"), '1# "server" => "redis"', '"proto" => (integer) 3'))
    check("pipeline", filled)
    check("scan", scanned)
    strings()
    check("binary", binary)
    check("mebibyte", mebibyte)
    check("stdin", lambda: same(cli("-x", "set", "whole", given=b"a\nb"), "OK") or same(cli("strlen", "whole"), "3"))
    modes()
    check(
        "publish-subscribe",
        lambda: heard("news", lambda: cli("publish", "news", "hello"), b"subscribe", b"message", b"news", b"hello"),
    )
    check(
        "expired-event",
        lambda: heard("__keyevent@0__:expired", lambda: cli("set", "brief", "v", "px", "50"), b"message", b"brief"),
    )
    check(
        "select",
        lambda: same(
            [cli("-n", "5", "get", "a"), cli("-n", "99", "ping")],
            ["", "PONG\nSELECT 99 failed: ERR DB index is out of range"],
        ),
    )
    check("auth", lambda: same(cli("--no-auth-warning", "-a", PASSWORD, "ping", port=AUTH_PORT), "PONG"))
    check("auth-refused", lambda: contains(cli("ping", port=AUTH_PORT), "NOAUTH Authentication required."))
    check(
        "del-refused",
        lambda: contains(cli("del", "a"), "NOPERM 'del' is refused by design") or same(cli("get", "a"), "v"),
    )
    check("del-in-multi", delete_in_multi)
    check(
        "exit-code",
        lambda: same(subprocess.run([CLI, "-e", "-p", str(PORT), "del", "a"], capture_output=True).returncode, 1),
    )
    check("restart", survived)
    check("tls", encrypted)
    say("done")


def strings():
    form("set-ex", "ex", "60")
    form("set-px", "px", "60000")
    form("set-exat", "exat", str(in_ms(60_000) // 1000))
    form("set-pxat", "pxat", str(in_ms(60_000)))
    check("set-keepttl", kept)
    check("default-ttl", lambda: same([cli("set", "bare", "v"), int(cli("ttl", "bare")) > 0], ["OK", True]))
    check("get", lambda: same([cli("set", "a", "v", "ex", "600"), cli("get", "a")], ["OK", "v"]))
    check("get-missing", lambda: same(cli("--no-raw", "get", "missing"), "(nil)"))
    check("mget", lambda: same(cli("mget", "set-ex", "missing", "set-px").split("\n"), ["v", "", "v"]))
    check("set-nx", once)
    check("expire", shortened)
    check("ttl", lambda: same([cli("ttl", "missing"), 40 < int(cli("ttl", "set-ex")) <= 60], ["-2", True]))
    check("incr", counted)
    check(
        "multi",
        lambda: same(
            typed_in("MULTI", "SET m 1 EX 60", "INCR m", "GET m", "EXEC"), ["OK", *["QUEUED"] * 3, "OK", "2", "2"]
        ),
    )
    check("watch", watched)


def modes():
    """What it does besides sending commands."""
    check("bigkeys", lambda: biggest("--bigkeys", "has 1048576 bytes"))
    check("memkeys", lambda: biggest("--memkeys", "bytes"))
    check("hotkeys", lambda: contains(cli("--hotkeys"), "maxmemory policy"))
    check("stat", lambda: shows(rb"\n\d+ +[\d.]+[BKMG] +\d+ +\d+ +\d+ ", "--stat", "-i", "0.2"))
    check("latency", lambda: shows(rb"min: \d+, max: \d+, avg: [\d.]+ \([1-9]\d* samples\)", "--latency"))
    check("latency-history", lambda: shows(rb"samples\) -- \d\.\d+ seconds range", "--latency-history", "-i", "1"))
    check("info", lambda: contains(cli("info"), "redis_version:", "role:master", "db0:keys="))
    check("json", lambda: contains(cli("--json", "get", "a"), '"v"'))
    check("eval", lambda: contains(cli("fcall", "f", "0"), "NOPERM", "keeps no functions"))


main()
