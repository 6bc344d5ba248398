"""The exporter for Prometheus, as Debian packages it: what it reads from a node, and what it says when there is none.
"""

import re
import socket
import subprocess
import urllib.error
import urllib.request

from ports import reserve
from telling import AUTH_PORT, HOST, PASSWORD, PORT, TLS_CA, TLS_PORT, check, restart, same, say, true, until

EXPORTER = "prometheus-redis-exporter"


class Exporter:
    def __init__(self, url, *more):
        self.port = reserve()
        words = [EXPORTER, "-web.listen-address", f"127.0.0.1:{self.port}", "-redis.addr", url, *more]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        true(until(self.page), "a page of metrics")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(5)

    def page(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return ""

    def value(self, name):
        found = re.search(rf"^{re.escape(name)} ([-+\d.e]+)$", self.page(), re.MULTILINE)
        true(found, f"the metric {name}", self.page()[-100:])
        return float(found[1])


def put(line):
    with socket.create_connection((HOST, PORT)) as wire:
        wire.sendall(line)
        return wire.recv(100)


def whole():
    same(put(b"SET counted v EX 600\r\n"), b"+OK\r\n")
    true(put(b"DEL counted\r\n").startswith(b"-NOPERM"), "a refusal")
    with Exporter(f"redis://{HOST}:{PORT}") as exporter:
        check("up", lambda: same(exporter.value("redis_up"), 1))
        check("keys", lambda: same(exporter.value('redis_db_keys{db="db0"}'), 1))
        check("expiring", lambda: same(exporter.value('redis_db_keys_expiring{db="db0"}'), 1))
        check("clients", lambda: true(exporter.value("redis_connected_clients") >= 1, "a client"))
        check("memory", lambda: true(exporter.value("redis_memory_used_bytes") > 0, "bytes"))
        check("commands", lambda: true(exporter.value('redis_commands_total{cmd="set"}') >= 1, "a SET"))
        check("uptime", lambda: true(exporter.value("redis_uptime_in_seconds") >= 0, "seconds"))
        check("slowlog", lambda: true(exporter.value("redis_slowlog_length") >= 0, "a length"))
        check("scrape", lambda: same(exporter.value("redis_exporter_last_scrape_error{err=\"\"}"), 0))
        check("restart", lambda: (restart(), same(exporter.value("redis_up"), 1)))


def authenticated():
    with Exporter(f"redis://{HOST}:{AUTH_PORT}", "-redis.password", PASSWORD) as exporter:
        same(exporter.value("redis_up"), 1)


def refused():
    with Exporter(f"redis://{HOST}:{AUTH_PORT}", "-redis.password", "wrong") as exporter:
        same(exporter.value("redis_up"), 0)


def encrypted():
    with Exporter(f"rediss://localhost:{TLS_PORT}", "-tls-ca-cert-file", TLS_CA) as exporter:
        same(exporter.value("redis_up"), 1)


version = subprocess.run([EXPORTER, "-version"], capture_output=True, text=True, check=False)
say("version", re.search(r"Exporter ([\w.+~-]+)", version.stdout + version.stderr)[1])
whole()
check("auth", authenticated)
check("auth-refused", refused)
check("tls", encrypted)
say("done")
