"""`respram status`: prints the state of an enclave, for people and for scripts. It needs no extra."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from respram.cli.gateway import take_urls
from respram.cli.terminal import coloured, progress
from respram.config.options import read_whole
from respram.errors import ConfigError
from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.live import look_once
from respram.gateway.settings import read_targets
from respram.gateway.target import Target

FLAGS = {"url": True, "url-file": True, "json": False, "wait": True}
HELP = """respram status: print the state of an enclave.

  --url URL         a node (default redis://127.0.0.1:6379, or RESPRAM_URL); repeat it to name nodes to fall back on
  --url-file FILE   a file of such URLs, one a line
  --json            print one JSON object
  --wait SECONDS    wait until all is well, at most this long, and show how far a node has filled up

Exit code: 0 all is well, 1 no node answers, 2 the command line is wrong, 3 a node is not ready or does not answer its
peers, 4 the login is wrong or lacks a right.
"""
WAIT_S_MAX = 24 * 3600  # for `--wait`: a node that is not ready within a day will not become ready
LOOK_S = 0.5  # between two checks
STYLES = (("state      ready", "bold green"), ("state", "bold yellow"), ("problem", "bold red"))
LAG_MS_MAX = 10_000  # a peer with a larger lag is reported as a problem
GOOD = ("", "online", "alive", "ready", "left")


def run_status(
    words: list[str], variables: Mapping[str, str], parse: Callable[[list[str], Mapping[str, bool]], dict[str, str]],
    say: Callable[[str], None], complain: Callable[[str], None],
) -> int:  # fmt: skip
    urls, rest = take_urls(words)
    flags = parse(rest, FLAGS)
    targets = read_targets(flags, urls, variables)
    try:
        found = _look(targets, _seconds(flags.get("wait", "0")))
    except NodesGone:
        complain(f"respram: no node answers at {', '.join(map(str, targets))}")
        return 1
    except (WrongLogin, Refusal, Busy) as error:
        complain(f"respram: the node refused the request: {getattr(error, 'word', error)}")
        return 4
    problems = problems_of(found)
    if "json" in flags:
        say(json.dumps({**found, "problems": problems}))
    else:
        say = coloured(say, STYLES)
        for line in screen(found, problems):
            say(line)
    return 3 if problems else 0


def _seconds(text: str) -> int:
    try:
        return read_whole(text, 0, WAIT_S_MAX)
    except ValueError as error:
        raise ConfigError(f"--wait must be {error}") from None


def _look(targets: Sequence[Target], wait_s: int) -> Mapping[str, Any]:
    """The last look: the first one without problems, or the one when the time was up. NodesGone, and what else is
    refused.
    """
    end_s = time.monotonic() + wait_s
    shown = progress()
    try:
        while True:
            over = time.monotonic() >= end_s
            try:
                found = look_once(targets)
            except NodesGone:
                if over:
                    raise
                shown.show("waiting for a node", 0, 0)
            else:
                if over or not problems_of(found):
                    return found
                shown.show(*_step(found))
            time.sleep(LOOK_S)
    finally:
        shown.close()


def _step(found: Mapping[str, Any]) -> tuple[str, int, int, str]:
    """What is waited for: of the asked node how far it has filled up, of the others how many are well."""
    if found["state"] == "joining" and not found["reduced"]:
        return "filling up from peers", found["bootstrap_percent"], 100, ""
    others = [node for node in found["nodes"] if not node["own"]]
    good = sum(node["state"] in GOOD and node["lag_ms"] <= LAG_MS_MAX for node in others)
    return f"{found['state']}, waiting for nodes", good, len(others), "well"


def problems_of(found: Mapping[str, Any]) -> list[str]:
    problems = [f"this node is {found['state']}"] if found["state"] != "ready" else []
    for node in found["nodes"]:
        if node["state"] not in GOOD:
            problems.append(f"{node['address']} is {node['state']}")
        elif node["lag_ms"] > LAG_MS_MAX:
            problems.append(f"{node['address']} is {node['lag_ms'] / 1000:.0f} s behind")
    return problems


def screen(found: Mapping[str, Any], problems: list[str]) -> list[str]:
    seconds = found["minute"]["seconds"]
    about = "about " if found["minute"]["looked"] < found["minute"]["keys"] else ""
    lines = [
        f"state      {found['state']}"
        + (f", {found['bootstrap_percent']}% filled up" if found["state"] == "joining" and not found["reduced"] else "")
        + (f"   respram {found['version']}, {found['engine']} engine" if found["version"] else ""),
        f"keys       {found['keys']:,}   {about}{sum(seconds):,} end within a minute, {about}{sum(seconds[:10]):,} "
        "within ten seconds",
    ]
    if found["reduced"]:
        lines.append("           this user may not ask for more (INFO)")
    else:
        late = f"the last late one by {found['late_by_ms']} ms" if found["late_by_ms"] else "none more than 0.1 s late"
        lines += [
            f"memory     {found['used_memory']:,} bytes",
            f"forgotten  {found['forgotten_values']:,} values, {found['forgotten_bytes']:,} bytes wiped, {late}",
            f"refused    {found['refused_deletes']:,} deletes, {found['refused_others']:,} others, "
            f"{found['denied_auth']:,} wrong passwords",
            f"clients    {found['clients']:,}",
        ]
    for number, node in enumerate(found["nodes"]):
        facts = [
            "asked" if node["own"] else node["state"],
            node["role"],
            node["enclave"],
            f"{node['lag_ms']} ms behind" if node["lag_ms"] else "",
        ]
        lines.append(
            f"{'nodes' if not number else '':<10} {node['address']}   {', '.join(fact for fact in facts if fact)}"
        )
    return [*lines, *(f"problem    {problem}" for problem in problems)]


