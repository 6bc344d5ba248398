"""`respram man`: prints the manual page, made from the same tables as the help."""

import re
from collections.abc import Mapping

from respram import __version__
from respram.config.options import BY_NAME, OPTIONS, Option

HELP = """respram man: print the manual page of respram.

  respram man | man -l -
  respram man > /usr/local/share/man/man1/respram.1
"""


def page(usage: str, groups: Mapping[str, tuple[str, ...]]) -> str:
    """The manual page in the macros of man(7)."""
    summary, *lines = usage.splitlines()
    commands = [found.groups() for line in lines if (found := re.match(r"  (respram .*?)\s{2,}(\S.*)", line))]
    out = [
        f'.TH RESPRAM 1 "" "respram {__version__}" "User Commands"',
        ".SH NAME",
        "respram \\- a server for short-lived data that speaks the Redis protocol",
        ".SH SYNOPSIS",
        ".B respram serve",
        "[OPTIONS]",
        ".br",
        ".B respram",
        "COMMAND [OPTIONS]",
        ".SH DESCRIPTION",
        escape(summary),
        ".SH COMMANDS",
    ]
    for command, meaning in commands:
        out += [".TP", f".B {escape(command)}", escape(meaning)]
    listed = {name for names in groups.values() for name in names}
    for title, names in (
        *groups.items(),
        ("other options", tuple(one.name for one in OPTIONS if one.name not in listed)),
    ):
        out.append(f'.SH "SERVE: {escape(title).upper()}"')
        for name in names:
            out += _option(BY_NAME[name])
    out += [
        ".SH ENVIRONMENT",
        "Each option of",
        ".B respram serve",
        "is also a variable:",
        ".B RESPRAM_MAX_TTL",
        "for",
        escape("--max-ttl."),
        ".SH EXIT STATUS",
        "0: success. 1: the machine did not allow it, or no node answered. 2: the command line or a setting is wrong.",
        ".SH SEE ALSO",
        ".BR redis-cli (1)",
    ]
    return "\n".join(out) + "\n"


def _option(option: Option) -> list[str]:
    head = f".BR {escape('--' + option.name)}" + (f' " {escape(option.metavar)}"' if option.metavar else "")
    default = f" Default: {option.default}." if option.default else ""
    return [".TP", head, escape(option.why + default)]


def escape(text: str) -> str:
    """Hyphens that can be copied, and no line that roff takes for a request."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + plain if plain[:1] in (".", "'") else plain
