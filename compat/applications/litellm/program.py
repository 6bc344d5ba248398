"""LiteLLM's proxy with its cache and its counters in the node: answers are kept, told apart, and gone in time; models
have limits.
"""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

from ports import reserve
from telling import HOST, PORT, check, same, say, true

START_S = 120
KEY = "sk-" + secrets.token_hex(32)
CONFIG = """\
model_list:
  - {{model_name: parrot, litellm_params: {{model: openai/parrot, api_key: none, mock_response: Hello}}}}
  - {{model_name: rare, litellm_params: {{model: openai/rare, api_key: none, mock_response: Hello, rpm: 2}}}}
litellm_settings:
  cache: true
  cache_params: {{type: redis, host: {host}, port: {port}, ttl: 60}}
router_settings: {{redis_host: {host}, redis_port: {port}, routing_strategy: usage-based-routing-v2, num_retries: 0}}
general_settings: {{master_key: {key}}}
"""


class Proxy:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def __call__(self, path, words=None):
        body = None if words is None else json.dumps(words).encode()
        request = urllib.request.Request(
            self.base + path, body, {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        )
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read()

    def ask(self, text, model="parrot", **more):
        status, headers, body = self(
            "/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], **more}
        )
        return status, headers, json.loads(body).get("id")


def starts(process, proxy):
    end = time.monotonic() + START_S
    while True:
        true(process.poll() is None, "it starts", Path("litellm.log").read_text()[-300:])
        try:
            same(proxy("/health/liveliness")[0], 200)
            return
        except (urllib.error.URLError, ConnectionError):
            true(time.monotonic() < end, "it answers")
            time.sleep(0.5)


def main():
    say("version", version("litellm"))
    port = reserve()
    Path("config.yaml").write_text(CONFIG.format(host=HOST, port=PORT, key=KEY))
    words = [
        str(Path(sys.executable).parent / "litellm"),
        "--config",
        "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    process = subprocess.Popen(words, stdout=Path("litellm.log").open("w"), stderr=subprocess.STDOUT, env=env)
    proxy = Proxy(port)

    def settles(call):
        """The cache is written behind the answer."""
        end = time.monotonic() + 5
        while True:
            try:
                return call()
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def keeps():
        first = proxy.ask("one")
        same(first[0], 200)
        settles(lambda: same(proxy.ask("one")[2], proxy.ask("one")[2]))

    def tells_apart():
        true(proxy.ask("one")[2] != proxy.ask("two")[2], "two answers")

    def pings():
        status, _, body = proxy("/cache/ping")
        same(status, 200)
        same(json.loads(body)["ping_response"], True)

    def ends():
        life = {"cache": {"ttl": 2}}
        proxy.ask("brief", **life)
        settles(lambda: same(proxy.ask("brief")[2], proxy.ask("brief")[2]))
        before = proxy.ask("brief")[2]
        settles(lambda: true(proxy.ask("brief")[2] != before, "a fresh answer"))

    def limits():
        found = [proxy.ask(f"rare {number}", "rare")[0] for number in range(6)]
        same(found[0], 200)
        true(429 in found, "429 beyond two a minute", found)

    try:
        check("starts", lambda: starts(process, proxy))
        for name, call in (
            ("ping-the-cache", pings), ("answers-are-kept", keeps), ("and-told-apart", tells_apart), ("expire", ends),
            ("limit-of-a-model", limits),
        ):  # fmt: skip
            check(name, call)
    finally:
        process.kill()
        process.wait()
    say("done")


main()
