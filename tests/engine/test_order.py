"""The order of a sorted set: the tree against a sorted list, with nodes so small that it grows deep."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from math import inf, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respram.engine.pure import order
from respram.engine.pure.order import Inner, Node, Order
from respram.engine.ranking import Item
from respram.engine.scores import SCORE, score_of

SCORES = (0.0, 1.0, -1.0, 0.5, 1e300, -inf, inf, 5e-324)
names = st.binary(max_size=2)
scores = st.sampled_from(SCORES)


@pytest.fixture(autouse=True, scope="module")
def small_nodes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "LEAF_MAX", 4)
        patch.setattr(order, "INNER_MAX", 4)
        yield


def check(tree: Order, items: list[Item]) -> None:
    assert len(tree) == len(items)
    assert tree.from_rank(0, len(items) + 1, downwards=False) == items
    if items:
        assert tree.from_rank(len(items) - 1, len(items) + 1, downwards=True) == items[::-1]
        assert sound(tree.root) == items


def sound(node: Node, root: bool = True) -> list[Item]:
    """What stands below it; every first, size and height on the way is right."""
    if not isinstance(node, Inner):
        assert 0 < len(node) <= order.LEAF_MAX
        return node.items
    assert (2 if root else 1) <= len(node) <= order.INNER_MAX
    below = [sound(child, root=False) for child in node.children]
    assert node.firsts == [items[0] for items in below] and node.sizes == [len(items) for items in below]
    assert {child.height for child in node.children} == {node.height - 1}
    return [item for items in below for item in items]


@given(st.lists(st.tuples(names, scores), max_size=120), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_members_come_and_go_in_order(changes: list[tuple[bytes, float]], random: Random) -> None:
    tree, items, held = Order(), list[Item](), dict[bytes, float]()
    for name, score in changes:
        if name in held:
            tree.remove(name, SCORE.pack(held[name]))
            items.remove((held.pop(name), name))
        else:
            tree.add(name, SCORE.pack(score))
            held[name] = score
            insort(items, (score, name))
    check(tree, items)
    rest = list(held)
    random.shuffle(rest)
    for name in rest:
        tree.remove(name, SCORE.pack(held[name]))
        items.remove((held[name], name))
        check(tree, items)
    assert len(tree) == 0 and tree.from_rank(0, 1, downwards=False) == []


@given(st.dictionaries(names, scores, max_size=60), scores, st.none() | names, st.booleans())
@settings(deadline=None, max_examples=300)
def test_a_place_is_the_number_of_those_before_it(
    held: dict[bytes, float], score: float, name: bytes | None, after: bool
) -> None:
    tree = Order()
    for one, its in held.items():
        tree.add(one, SCORE.pack(its))
    items = sorted((its, one) for one, its in held.items())
    if name is None:
        before = sum(its <= score if after else its < score for its, _ in items)
    else:
        before = (bisect_right if after else bisect_left)(items, (score, name))
    assert tree.place(score, name, after) == before


@given(st.dictionaries(names, scores, min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 60), st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_walk_begins_at_its_rank(held: dict[bytes, float], start: int, count: int, downwards: bool) -> None:
    tree = Order()
    for one, its in held.items():
        tree.add(one, SCORE.pack(its))
    items = sorted((its, one) for one, its in held.items())
    expected = [] if start >= len(items) else items[start::-1][:count] if downwards else items[start : start + count]
    assert tree.from_rank(start, count, downwards) == expected


def test_nodes_stay_about_two_thirds_full_whatever_came_and_went() -> None:
    random, tree = Random(5), Order()
    held = {b"%d" % number: random.random() for number in range(2_000)}
    for name, score in held.items():
        tree.add(name, SCORE.pack(score))
    for name in random.sample(sorted(held), 1_900):
        tree.remove(name, SCORE.pack(held.pop(name)))
    check(tree, sorted((score, name) for name, score in held.items()))
    assert leaves(tree.root) <= 100 // (order.LEAF_MAX // 4)


def leaves(node: Node) -> int:
    return sum(leaves(child) for child in node.children) if isinstance(node, Inner) else 1


def test_what_is_no_score_counts_as_nothing() -> None:
    assert score_of(b"") == score_of(b"1234567") == score_of(SCORE.pack(nan)) == 0.0
    assert score_of(SCORE.pack(-2.5)) == -2.5 == score_of(SCORE.pack(-2.5) + b"and more")
