"""Alert rules and the dashboard: valid, and about numbers that there are."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

import respram
from tests.live import SOON_S
from tests.server.test_metrics import samples

DEPLOY = Path(__file__).parent.parent / "deploy"
RULES = DEPLOY / "prometheus/respram.rules.yml"
DASHBOARD = DEPLOY / "grafana/respram.json"
METRIC = re.compile(r"\brespram_[a-z_]+")

# What Grafana's importer needs of a dashboard (schema version 39): the parts that are used here, strictly.
TARGET = {
    "type": "object", "required": ["refId", "expr"],
    "properties": {"refId": {"type": "string", "pattern": "^[A-Z]$"}, "expr": {"type": "string", "minLength": 1}},
}  # fmt: skip
PLACE = {
    "type": "object", "required": ["x", "y", "w", "h"], "additionalProperties": False,
    "properties": {
        "x": {"type": "integer", "minimum": 0, "maximum": 23}, "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24}, "h": {"type": "integer", "minimum": 1},
    },
}  # fmt: skip
PANEL = {
    "type": "object", "required": ["id", "type", "title", "gridPos", "targets", "datasource", "fieldConfig"],
    "properties": {
        "id": {"type": "integer"}, "type": {"enum": ["stat", "timeseries", "heatmap"]},
        "title": {"type": "string", "minLength": 1},
        "gridPos": PLACE, "targets": {"type": "array", "minItems": 1, "items": TARGET},
    },
}  # fmt: skip
SCHEMA = {
    "type": "object", "required": ["title", "uid", "schemaVersion", "panels", "templating", "time"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-z]{1,40}$"}, "schemaVersion": {"const": 39},
        "panels": {"type": "array", "minItems": 8, "items": PANEL},
        "templating": {"type": "object", "required": ["list"], "properties": {"list": {
            "type": "array", "items": {"type": "object", "required": ["name", "type", "query"]},
        }}},
    },
}  # fmt: skip


def test_prometheus_accepts_the_rules_and_each_alert_fires_when_it_should() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        assert not os.environ.get("RESPRAM_REQUIRE_ALL"), "the check installs Debian's prometheus for promtool"
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    for words in (["check", "rules", str(RULES)], ["test", "rules", str(RULES.with_name("respram.tests.yml"))]):
        done = subprocess.run([tool, *words], capture_output=True, text=True, timeout=SOON_S, check=False)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    content = json.loads(DASHBOARD.read_text())
    jsonschema.validate(content, SCHEMA)
    panels = content["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y) for panel in panels for at in [panel["gridPos"]] for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]  # fmt: skip
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24, "panels lie beside each other"
    broken = {**content, "panels": [{**panels[0], "type": "pie"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_both_ask_for_numbers_that_nodes_tell() -> None:
    with respram.Enclave(2, engine="pure", metrics_port=0) as nodes, nodes[0].client() as client:
        client.set("a", "b", ex=60)
        with pytest.raises(Exception, match="refused"):
            client.delete("a")
        told = {name.partition(",")[0] for name in samples(nodes[0].metrics_port)}
    for path in (RULES, DASHBOARD):
        asked = set(METRIC.findall(path.read_text()))
        assert len(asked) > 5 and asked - told == set(), path.name
