"""What a program says about itself, line by line, and what follows from it.

    ok NAME                         the check passed
    fail NAME expected=A got=B      it did not
    limit NAME reason               what respram refuses by design, and what this client or framework makes of it
    skip NAME reason                the client has no such thing, or the node does not
    cannot REASON                   what this is for cannot be had on respram; the limits say what was seen
    version TEXT                    of what is tested
    figure TEXT                     what was measured on the way: told beside the verdict, and judged by nobody
    restart                         end the node and start it again at the same address; answered by a line on its input
    kill, start                     the same with the second of three nodes of a cluster: end it at once, start it again
    done                            the program came to its end

All other lines are chatter, kept for the case that something fails. Nothing is read or started here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

REASON_CHARS_MAX = 300  # of a failure's text in the result
FIGURES_MAX = 16  # figures of one run
BUSY_LOAD = 4.0  # load per processor from which on the times of a run are those of the machine as well
PASSED, FAILED, LIMITED, SKIPPED = "ok", "fail", "limit", "skip"


@dataclass(frozen=True, slots=True)
class Check:
    state: str
    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one run. `missing` says why there was none: then nothing is counted."""

    version: str = ""
    checks: tuple[Check, ...] = ()
    missing: str = ""
    figures: tuple[str, ...] = ()
    cannot: str = ""  # the reason why the feature cannot be used here

    def named(self, state: str) -> list[Check]:
        return [check for check in self.checks if check.state == state]

    @property
    def counted(self) -> int:
        """What was put to the test: passes, failures, and refusals by design that were seen as such."""
        return sum(check.state != SKIPPED for check in self.checks)

    @property
    def passed(self) -> int:
        return len(self.named(PASSED))

    @property
    def is_good(self) -> bool:
        return bool(self.counted) and not self.named(FAILED)

    @property
    def word(self) -> str:
        if self.missing:
            return "not run"
        if not self.is_good:
            return "fails"
        if self.cannot:
            return "cannot"
        return "works except" if self.named(LIMITED) else "works"


def judge(lines: Iterable[str], expected: tuple[str, ...] = (), ended: str = "") -> Verdict:
    """`expected`: the checks that must be named. `ended`: why the program stopped, if it did not stop by itself."""
    checks: list[Check] = []
    figures: list[str] = []
    version, cannot, done = "", "", False
    for line in lines:
        word, _, rest = line.rstrip().partition(" ")
        name, _, reason = rest.partition(" ")
        if word in (PASSED, FAILED, LIMITED, SKIPPED) and name:
            checks.append(Check(word, name, reason[:REASON_CHARS_MAX]))
        elif word == "version":
            version = rest
        elif word == "figure" and rest and len(figures) < FIGURES_MAX:
            figures.append(rest[:REASON_CHARS_MAX])
        elif word == "cannot" and rest:
            cannot = rest[:REASON_CHARS_MAX]
        elif word == "done" and not rest:
            done = True
    names = [check.name for check in checks]
    checks += [Check(FAILED, name, "named twice") for name in sorted({name for name in names if names.count(name) > 1})]
    checks += [
        Check(FAILED, name, "expected=a result got=nothing")
        for name in expected
        if name not in names and (names or done)
    ]
    if not done or ended:
        checks.append(Check(FAILED, "end", f"expected=done got={ended or 'the program ended early'}"))
    return Verdict(version, tuple(checks), figures=tuple(figures), cannot=cannot)


def with_load(verdict: Verdict, load: float, processors: int) -> Verdict:
    """A verdict with figures also says how busy the machine was, if it was: times are longer there."""
    if not verdict.figures or load < BUSY_LOAD * processors:
        return verdict
    return replace(verdict, figures=(*verdict.figures, f"on a busy machine: load {load:.0f}, {processors} processors"))
