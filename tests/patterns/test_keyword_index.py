"""Searches over documents that expire."""

import pytest

from respram.patterns import KeywordIndex, TooMany, keyword_index
from tests.patterns.conftest import World


def ids(world: World, index: KeywordIndex, query: str) -> list[str]:  # type: ignore[type-arg]
    return [found.doc_id for found in world(index.search(query))]


def test_documents_are_found_by_every_word_of_the_query(world: World) -> None:
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    world(index.add("d1", {"content": "Keys leave when their time is up"}))
    world(index.add("d2", {"content": "Time, gentlemen!"}))
    assert ids(world, index, "TIME") == ["d1", "d2"]
    assert ids(world, index, "keys time") == ["d1"]
    assert ids(world, index, "keys gentlemen") == ids(world, index, "unheard") == ids(world, index, " ") == []
    assert world(index.search("gentlemen"))[0].document == {"content": "Time, gentlemen!"}


def test_adding_twice_is_adding_once(world: World) -> None:
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    for _ in range(2):
        world(index.add("d1", {"content": "same"}))
    assert world(index.postings.get("same")) == ["d1"]


def test_an_expired_document_leaves_the_results_and_then_the_index(world: World) -> None:
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    world(index.add("old", {"content": "word"}))
    world(index.documents.set("old", {"content": "word"}, ttl_s=0.05))
    world.until(lambda: ids(world, index, "word") == [])
    world(index.add("new", {"content": "word"}))
    assert world(index.postings.get("word")) == ["new"]


def test_documents_added_at_once_are_all_found(world: World) -> None:
    indexes = [KeywordIndex(world.another(), world.name, ttl_s=600) for _ in range(6)]
    adds = (lambda each=each, at=at: each.add(f"d{at}", {"content": "word"}) for at, each in enumerate(indexes))
    assert world.together(*adds) == [["word"]] * 6
    assert len(ids(world, indexes[0], "word")) == 6


def test_too_many_words_are_refused_before_anything_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyword_index, "WORDS_MAX", 2)
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    with pytest.raises(TooMany):
        world(index.add("d", {"content": "one two three"}))
    assert world(index.documents.get("d")) is None


def test_a_word_of_too_many_documents_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyword_index, "POSTINGS_MAX", 1)
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    world(index.add("d1", {"content": "word"}))
    with pytest.raises(TooMany, match="keywords"):
        world(index.add("d2", {"content": "word"}))
    assert ids(world, index, "word") == ["d1"]


def test_texts_that_look_alike_are_found_alike(world: World) -> None:
    index = KeywordIndex(world.client, world.name, ttl_s=600)
    world(index.add("composed", {"content": "caf\u00e9"}))
    world(index.add("decomposed", {"content": "CAFE\u0301"}))
    assert ids(world, index, "cafe\u0301") == ids(world, index, "Caf\u00e9") == ["composed", "decomposed"]
