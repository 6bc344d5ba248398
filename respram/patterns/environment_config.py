"""Configuration by environment on a ContentStore. Nothing else may live in this file.

    configs = EnvironmentConfig(store)
    configs.publish("dev", {"url": "http://localhost:8080"})
    EnvironmentConfig(ContentStore(other_client, store.id)).load("dev", defaults={"retries": 3})

A program with the store's id and the name of its environment finds its configuration. Not promised: that it stays
without its publisher. Publish again (or `keep`) before ttl_s, and have defaults. Do not store credentials here: whoever
reaches the node can read them.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import ContentMissing
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.steps import C, operation


@dataclass(frozen=True, slots=True)
class EnvironmentConfig(Generic[C]):
    store: ContentStore[C]

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def publish(self, environment: str, config: dict[str, Json]) -> Steps[None]:
        yield from self.store.store_at_label.steps(f"config:environment:{environment}", to_json(config))

    @operation
    def load(self, environment: str, defaults: dict[str, Json] | None = None) -> Steps[dict[str, Json]]:
        """The defaults with the published configuration over them. Raises ContentMissing without either."""
        found = yield from self.store.get_content_by_label.steps(f"config:environment:{environment}")
        if found is None and defaults is None:
            raise ContentMissing(
                f"no configuration for {environment!r} is published: publish it, or load with defaults"
            )
        return {**(defaults or {}), **(document(found, f"configuration of {environment!r}") if found else {})}

    @operation
    def keep(self, environment: str) -> Steps[bool]:
        """Restarts the configuration's TTL; False when it is gone."""
        return (yield from self.store.touch_label.steps(f"config:environment:{environment}"))

    @operation
    def environments(self) -> Steps[list[str]]:
        labels = yield from self.store.list_labels.steps("config:environment:")
        return [label.split(":", 2)[2] for label in labels]
