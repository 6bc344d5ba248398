"""The table of messages holds together: every word is spelled one way and documented."""

from pathlib import Path
from typing import get_args

from respram.wire.messages import MESSAGES, SEQUENCED, Message


def test_the_union_the_table_and_the_sequenced_agree() -> None:
    assert set(get_args(Message)) == set(MESSAGES)
    assert set(SEQUENCED) <= set(MESSAGES)


def test_every_message_is_in_the_protocols_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    missing = [message.word for message in MESSAGES if f"`{message.word.decode()}" not in page]
    assert not missing
