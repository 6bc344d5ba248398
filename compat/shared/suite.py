"""Runs tests that others wrote, by pytest, and says each of them by name.

What is expected to end otherwise is a list of patterns of names with a reason each, in files beside the program:
`left.txt` for tests that ask for what respram does not have, and `limits.txt` for those that meet a refusal by
design. A test of `limits.txt` that passes is a failure here, so that no list outlives its reason. Of `left.txt`
nothing is run. A name without the brackets of its parameters stands for the test with each of them.

    # the reason for all that follow
    TestThis.test_that*
"""

import fnmatch
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from telling import say

REPORT = Path("report.xml").resolve()


def listed(path):
    """Pattern and reason, in the order of the file."""
    pairs, reason = [], ""
    for line in Path(path).read_text().splitlines() if Path(path).exists() else ():
        if line.startswith("#"):
            reason = line[1:].strip()
        elif line.strip():
            pairs.append((line.strip(), reason))
    return pairs


def reason_for(name, pairs):
    names = {name, name.partition("[")[0]}
    return next((reason for pattern, reason in pairs if any(fnmatch.fnmatchcase(one, pattern) for one in names)), "")


def run(folder, words, least, **environment):
    """Runs pytest in the folder; says the tests. Fewer than `least` is no run of the suite."""
    left, limits = listed("left.txt"), listed("limits.txt")
    here = Path.cwd()
    REPORT.unlink(missing_ok=True)
    paths = os.pathsep.join([str(here), os.environ["RESPRAM_SOURCE"]])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "leaving", f"--junitxml={REPORT}", "-W", "ignore"]
    result = subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, errors="replace", check=False,
        env={**os.environ, "PYTHONPATH": paths, "SUITE_LEFT": str(here / "left.txt"), **environment},
    )  # fmt: skip
    told = tell(limits, left)
    if told < least:
        say("fail", "suite", f"expected=at least {least} tests got={told}: {(result.stdout + result.stderr)[-250:]}")


def tell(limits, left):
    if not REPORT.exists():
        return 0
    count, seen = 0, {}
    for case in ElementTree.parse(REPORT).iter("testcase"):  # noqa: S314 - its own report
        name = f"{case.get('classname').split('.')[-1]}.{case.get('name')}"
        name = re.sub(r"\s+", "-", re.sub(r"0x[0-9a-f]+", "0x", name))
        seen[name] = seen.get(name, 0) + 1
        shown = name if seen[name] == 1 else f"{name}-{seen[name]}"
        failed = [one for one in case if one.tag in ("failure", "error")]
        skipped = [one for one in case if one.tag == "skipped"]
        by_design = reason_for(name, limits)
        count += 1
        if skipped:
            say("skip", shown, reason_for(name, left) or skipped[0].get("message"))
        elif failed and by_design:
            say("limit", shown, by_design)
        elif failed:
            say("fail", shown, f"expected=a pass got={failed[0].get('message')}")
        elif by_design:
            say("fail", shown, f"expected={by_design} got=a pass")
        else:
            say("ok", shown)
    return count
