"""The tables of options and limits as Markdown; `python -m tests.reference` puts them into docs/operating.md.

The text around them is written by hand; what stands between the two marks of a table is not.
"""

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from respram.cli.main import default_of
from respram.config.limits import Limits, bound_of
from respram.config.options import OPTIONS, spell_size

PAGE = Path(__file__).parent.parent / "docs/operating.md"


def options_table() -> str:
    rows = [
        ("`--config FILE`", "`RESPRAM_CONFIG`", "", "none", "A TOML file with settings."),
        *(
            (
                f"`--{one.name}{' ' + one.metavar if one.metavar else ''}`",
                f"`{one.variable}`",
                f"`{one.key}`",
                default_of(one),
                one.why,
            )
            for one in OPTIONS
        ),
    ]
    return _table("options", ("flag", "variable", "key in the file", "default", "meaning"), rows)


def limits_table() -> str:
    rows = []
    for one in fields(Limits):
        said, start = bound_of(one), getattr(Limits(), one.name)
        value = spell_size(start) if one.name.endswith("bytes_max") else str(start)
        rows.append((f"`{one.name}`", value, f"`--{said.option}`" if said.option else "fixed", said.why))
    return _table("limits", ("limit", "default", "moved by", "why"), rows)


def _table(name: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"<!-- {name} -->\n{body}\n<!-- end of {name} -->"


def main() -> None:
    text = PAGE.read_text()
    for name, table in (("options", options_table()), ("limits", limits_table())):
        text, count = re.subn(
            rf"<!-- {name} -->.*?<!-- end of {name} -->", table.replace("\\", r"\\"), text, flags=re.DOTALL
        )
        assert count == 1, f"{PAGE} has no place for the table of {name}"
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
