"""Configuration by environment."""

import pytest

from respram.patterns import ContentMissing, ContentStore, EnvironmentConfig
from tests.patterns.conftest import World


def test_each_environment_has_its_configuration_over_the_defaults(world: World) -> None:
    configs = EnvironmentConfig(ContentStore(world.client, ttl_s=600))
    world(configs.publish("dev", {"url": "http://localhost:8080"}))
    world(configs.publish("prod", {"url": "https://example.org", "retries": 9}))
    actor = EnvironmentConfig(ContentStore(world.another(), configs.store.id))
    assert world(actor.load("dev", {"retries": 3})) == {"url": "http://localhost:8080", "retries": 3}
    assert world(actor.load("prod", {"retries": 3}))["retries"] == 9
    assert world(actor.environments()) == ["dev", "prod"]


def test_when_it_expired_the_defaults_hold_or_it_is_missing(world: World) -> None:
    configs = EnvironmentConfig(ContentStore(world.client, ttl_s=300))
    world(configs.publish("dev", {"url": "x"}))
    assert world(EnvironmentConfig(ContentStore(world.client, configs.store.id, 900)).keep("dev"))
    key = configs.store.label_key("config:environment:dev")
    assert world.raw.pttl(key) > 300_000
    world.expire(key)
    assert world(configs.load("dev", {})) == {}
    assert not world(configs.keep("dev"))
    with pytest.raises(ContentMissing):
        world(configs.load("dev"))
