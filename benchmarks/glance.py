"""The picture of the README: server CPU per command of its rows, beside Redis's. Text in, SVG out; nothing measures.

It stands on a card of its own, so that it reads the same on a light page and on a dark one.
"""

from html import escape
from pathlib import Path

from benchmarks.compare import OURS, THEIRS, Result, cpu_ratio
from benchmarks.figures import Ratio, Refusal
from benchmarks.servers import KINDS, ROOT
from benchmarks.tables import SHORT_ROWS

PLACE = ROOT / "benchmarks/results/glance.svg"
TITLE = "Server CPU per command, relative to Redis"
DIRECTION = (
    "Shorter bars are better. 1.0 is Redis on the same machine, in turns. P: commands sent before a reply is awaited"
)
# Ours first. Those that a run did not have are left out.
COLOURS = {OURS: "#1b6ca8", "valkey": "#c05746", "memcached": "#66753a"}
SHOWN_MAX = 1.5  # longer bars are cut, marked, and end with their figure
WIDTH, LEFT, RIGHT, TOP = 800, 286, 730, 108  # of the card, and of the bars in it
BAR, GAP, BELOW = 18, 16, 20
FIGURE = 40  # room of a figure, which stands in its bar
STYLE = (
    ".card { fill: #fff; stroke: #cfd8dc } .text { fill: #263238 } .soft { fill: #546e7a; font-size: 13px } "
    ".title { fill: #263238; font-size: 18px; font-weight: 600 } .redis { stroke: #b71c1c; stroke-width: 2 } "
    ".within { fill: #fff } .cut { stroke: #fff; stroke-width: 3 }"
)


def drawn(results: list[Result]) -> str:
    rows = [result for result in results if result.row.title in SHORT_ROWS]
    names = [name for name in COLOURS if any(result.values(name, "cpu_us") for result in rows)]
    step = BAR * len(names) + GAP
    foot = TOP + step * len(rows)
    body = [line for at, result in enumerate(rows) for line in _row(result, names, TOP + step * at + GAP // 2)]
    one = _x(1.0)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {foot + BELOW}" role="img" font-size="14"',
        f'  font-family="ui-sans-serif, system-ui, sans-serif"><title>{TITLE}: {escape(_told(rows))}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="1" y="1" width="{WIDTH - 2}" height="{foot + BELOW - 2}" rx="10"/>',
        f'<text class="title" x="24" y="34">{TITLE}</text>',
        f'<text class="soft" x="24" y="56">{DIRECTION}</text>',
        *_legend(names, any(_is_cut(cpu_ratio(result, name)) for result in rows for name in names)),
        f'<path class="redis" d="M{one} {TOP} V{foot}"/>',
        *body,
        f'<path d="M{LEFT} {TOP} V{foot}" stroke="#546e7a"/>',
        "</svg>",
    ]) + "\n"  # fmt: skip


def write(results: list[Result], path: Path = PLACE) -> None:
    path.write_text(drawn(results))


def _legend(names: list[str], has_cuts: bool) -> list[str]:
    lines, x = [], 24
    for name in names:
        lines.append(f'<rect x="{x}" y="76" width="16" height="14" rx="2" fill="{COLOURS[name]}"/>')
        lines.append(f'<text class="text" x="{x + 23}" y="88">{KINDS[name].label}</text>')
        x += 50 + 8 * len(KINDS[name].label)
    lines.append(f'<path class="redis" d="M{x + 8} 74 V92"/><text class="text" x="{x + 18}" y="88">Redis</text>')
    if has_cuts:
        x += 82
        lines.append(f'<rect x="{x}" y="76" width="28" height="14" rx="2" fill="#90a4ae"/>{_cut(x + 14, 76, 14)}')
        lines.append(f'<text class="text" x="{x + 36}" y="88">bar is cut; its figure stands beside it</text>')
    return lines


def _row(result: Result, names: list[str], top: int) -> list[str]:
    middle = top + BAR * len(names) // 2
    lines = [f'<text class="text" x="{LEFT - 10}" y="{middle + 5}" text-anchor="end">{result.row.title}</text>']
    for at, name in enumerate(names):
        found, y = cpu_ratio(result, name), top + BAR * at
        if isinstance(found, Refusal):
            lines.append(f'<text class="soft" x="{LEFT + 6}" y="{y + 13}">{escape(found.reason)}</text>')
            continue
        end = _x(min(found.value, SHOWN_MAX))
        lines.append(f'<rect x="{LEFT}" y="{y + 1}" width="{end - LEFT}" height="{BAR - 2}" fill="{COLOURS[name]}"/>')
        if _is_cut(found):
            lines.append(_cut(end - 16, y + 1, BAR - 2))
        weight = ' font-weight="600"' if name == OURS else ""
        is_within = end - LEFT >= FIGURE and not _is_cut(found)
        place = f'class="within" x="{end - 6}" text-anchor="end"' if is_within else f'class="text" x="{end + 6}"'
        lines.append(f'<text {place} y="{y + 14}"{weight}>{found.value:.2f}</text>')
    return lines


def _x(value: float) -> int:
    return round(LEFT + (RIGHT - LEFT) * value / SHOWN_MAX)


def _is_cut(found: Ratio | Refusal) -> bool:
    return isinstance(found, Ratio) and found.value > SHOWN_MAX


def _cut(x: int, y: int, height: int) -> str:
    """Two white strokes through a bar that is longer than it is drawn."""
    strokes = "".join(f"M{x + shift} {y + height} L{x + shift + 6} {y} " for shift in (-6, 1)).strip()
    return f'<path class="cut" d="{strokes}"/>'


def _told(rows: list[Result]) -> str:
    """For who cannot see it."""
    ours = [(result.row.title, cpu_ratio(result)) for result in rows]
    return "; ".join(f"{title}: {found.value:.2f}" for title, found in ours if isinstance(found, Ratio)) + (
        f" ({KINDS[OURS].label} / {KINDS[THEIRS].label})"
    )
