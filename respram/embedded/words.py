"""Settings as keywords: the names of the options with underscores, as in the TOML file.
Checked before anything starts.
"""

import difflib
from collections.abc import Mapping

from respram.config.options import BY_NAME
from respram.config.settings import Config, load
from respram.errors import ConfigError

Setting = str | int | float | bool


def flags_of(settings: Mapping[str, Setting]) -> dict[str, str]:
    flags = {name.replace("_", "-"): spell(value) for name, value in settings.items()}
    for name in flags:
        if name not in BY_NAME:
            near = difflib.get_close_matches(name, BY_NAME, n=1)
            raise ConfigError(f"there is no option {name!a}" + (f"; did you mean {near[0]!a}?" if near else ""))
    return flags


def spell(value: Setting) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def config_of(flags: Mapping[str, str]) -> Config:
    """Makes the Config, or raises ConfigError. Environment variables are ignored: a test is the same on every
    machine."""
    return load(dict(flags), {})
