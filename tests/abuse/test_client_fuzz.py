"""The short form of `python -m tests.abuse.client_fuzz`: a few thousand commands of whatever the catalogue has, on both
engines.
"""

import random
import re

import pytest

from tests.abuse.client_fuzz import ARGS, COMMANDS_BY_NAME, NEVER, Draw, fuzz, judge
from tests.engine.conftest import ENGINES
from tests.live import running

COMMANDS = {"native": 6_000, "pure": 1_500}


@pytest.mark.parametrize("engine", list(ENGINES))
def test_random_commands_cost_nobody_else_memory_or_time(engine: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    with running(*ARGS, engine=engine) as node:
        seen, grown, sent = fuzz(node, seed, COMMANDS[engine])
        assert sent >= COMMANDS[engine]
        judge(engine, seen, grown, f"seed {seed}")


def test_what_is_drawn_is_all_that_is_served_but_what_ends_the_node() -> None:
    draw = Draw(random.Random(1))
    names = {draw.argv()[0].lower() for _ in range(6_000)}
    assert names == {re.split(rb"\|", command.name)[0] for command in COMMANDS_BY_NAME}
    assert not any(command.name in NEVER for command in COMMANDS_BY_NAME)
