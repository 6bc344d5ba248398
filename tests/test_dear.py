"""The list of tests that `make test` leaves out names tests that there are."""

from pathlib import Path

from tests import dear, prices

ROOT = Path(__file__).parents[1]


def test_each_name_is_that_of_a_test() -> None:
    assert len(dear.named()) > 50
    for name in dear.named():
        path, *_, last = name.partition("[")[0].split("::")
        assert f"def {last}(" in (ROOT / path).read_text() or last == "runTest", name


def test_no_test_of_the_source_is_left_out() -> None:
    assert not [name for name in dear.named() if name.startswith(prices.ALWAYS)]
