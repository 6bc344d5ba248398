"""What a family draws for one stream: the steps, and what they need around them."""

from typing import NamedTuple

from compat.oracle.stream import Step


class Plan(NamedTuple):
    steps: tuple[Step, ...]
    config: tuple[tuple[bytes, bytes], ...] = ()
    whole_only: bool = False
