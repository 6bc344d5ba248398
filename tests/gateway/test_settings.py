"""What the gateway can be told."""

from pathlib import Path

import pytest

from respram.errors import ConfigError
from respram.gateway.settings import FLAGS, HELP, WORDS, load


def test_without_a_word_it_is_alone_with_itself() -> None:
    found = load({}, (), {})
    assert found.hosts == ("127.0.0.1",) and found.port == 8080 and found.rules.anonymous and found.quorum
    assert [str(target) for target in found.targets] == ["127.0.0.1:6379"]


def test_beyond_loopback_one_has_to_log_in_unless_told_otherwise() -> None:
    assert not load({"bind": "0.0.0.0"}, (), {}).rules.anonymous
    assert not load({"bind": "127.0.0.1,10.0.0.1"}, (), {}).rules.anonymous
    assert load({"bind": "0.0.0.0", "unprotected": "yes"}, (), {}).rules.anonymous


def test_flags_win_over_variables_and_urls_are_hidden_in_a_file(tmp_path: Path) -> None:
    variables = {"RESPRAM_GATEWAY_PORT": "81", "RESPRAM_URL": "redis://a redis://b:7000"}
    assert load({}, (), variables).port == 81 and load({"port": "82"}, (), variables).port == 82
    assert [str(one) for one in load({}, (), variables).targets] == ["a:6379", "b:7000"]
    file = tmp_path / "urls"
    file.write_text("redis://:word@c\nredis://d\n")
    assert [str(one) for one in load({"url-file": str(file)}, (), variables).targets] == ["c:6379", "d:6379"]


@pytest.mark.parametrize("words", [
    {"port": "x"}, {"max-body": "0"}, {"allow-host": "a/b"}, {"allow-origin": "evil"}, {"quorum": "all"},
    {"tls-cert": "x"},
    {"url-file": "/nowhere"}, {"bind": "a b/c"}, {"max-connections": "0"},
])  # fmt: skip
def test_what_is_wrong_is_one_line(words: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load(words, (), {})
    assert "\n" not in str(refused.value)


def test_the_help_names_every_word() -> None:
    assert all(f"--{word.name}" in HELP for word in WORDS) and {word.name for word in WORDS} < set(FLAGS)
