"""The plot: for each row, server CPU per command relative to Redis's. The only file that needs matplotlib."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.compare import THEIRS, Result, cpu_ratio
from benchmarks.figures import Ratio
from benchmarks.servers import KINDS, BenchError

COLOURS = {"native": "#1b6ca8", "valkey": "#c05746", "memcached": "#8a9a5b", "pure": "#a9bcd0", "floor": "#444444"}
PNG_DOTS_PER_INCH = 130
TITLE = "Server CPU per command, relative to Redis: shorter bars are better\n(a bar with two white strokes is cut)"
RATIO_SHOWN_MAX = 4.0  # longer bars are cut, and the figure is written at their end


def library() -> ModuleType:
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise BenchError(
            "the plot needs matplotlib: pip install -r benchmarks/requirements.txt, or --no-plot"
        ) from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "respram"  # the same figures give the same file
    return matplotlib


def bars(results: list[Result]) -> dict[str, list[float | None]]:
    """Ratios to Redis by server, in the order of rows; None where there is none to be had."""
    found: dict[str, list[float | None]] = {}
    for name in COLOURS:
        ratios = [cpu_ratio(result, name) for result in results]
        if any(isinstance(one, Ratio) for one in ratios):
            found[name] = [one.value if isinstance(one, Ratio) else None for one in ratios]
    return found


def draw(results: list[Result], path: Path) -> None:
    """Writes the plot beside `path`, once as SVG and once as PNG."""
    library()
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    found = bars(results)
    marks = [name for name in found if name == "floor"]
    series = [name for name in found if name not in marks]
    height = 0.8 / max(1, len(series))
    figure, axes = pyplot.subplots(figsize=(9, 1.9 + len(results) * (0.16 + 0.13 * len(series))))
    for at, name in enumerate(series):
        for line, value in enumerate(found[name]):
            where = line - 0.4 + height * (at + 0.5)
            if value is None:
                axes.text(0.01, where, "too noisy", fontsize=6, va="center", color=COLOURS[name])
                continue
            label = KINDS[name].label if line == _first(found[name]) else None
            shown = min(value, RATIO_SHOWN_MAX)
            axes.barh(where, shown, height * 0.92, color=COLOURS[name], label=label)
            if value > shown:
                for mark in (0.1, 0.06):
                    slant = ([shown - mark - 0.01, shown - mark + 0.01], [where + height / 2, where - height / 2])
                    axes.plot(*slant, color="white", linewidth=1.5)
            axes.text(shown + 0.02, where, f"{value:.2f}", fontsize=6, va="center")
    for name in marks:
        for line, value in enumerate(found[name]):
            if value is not None:
                label = KINDS[name].label if line == _first(found[name]) else None
                axes.vlines(value, line - 0.42, line + 0.42, color=COLOURS[name], linewidth=1.4, label=label)
    axes.axvline(1, color="#c0392b", linewidth=1, label=KINDS[THEIRS].label)
    axes.set_yticks(range(len(results)), [result.row.title for result in results], fontsize=7)
    axes.set_ylim(len(results) - 0.5, -0.5)
    longest = max([1.0, *(one for values in found.values() for one in values if one)])
    axes.set_xlim(0, min(RATIO_SHOWN_MAX, longest) * 1.1)
    axes.set_xlabel("server CPU per command / Redis's", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    inch = 1 / figure.get_figheight()
    title = figure.suptitle(TITLE, fontsize=11, x=0.5, y=1 - 0.15 * inch, va="top")
    title.set_in_layout(False)  # its room, and the legend's, are left free below
    figure.legend(*axes.get_legend_handles_labels(), fontsize=7, ncols=len(found) + 1, loc="upper center",
                  bbox_to_anchor=(0.5, 1 - 0.55 * inch), frameon=False)  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.8 * inch))
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
    pyplot.close(figure)


def _first(values: list[float | None]) -> int:
    return next(at for at, value in enumerate(values) if value is not None)
