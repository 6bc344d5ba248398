"""The forge's files are data: they parse, and what they run exists. Nothing here runs them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.interpreters import PROMISED

ROOT = Path(__file__).parent.parent
FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
FORMS = [path for path in sorted((FORGE / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def parsed(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in parsed(path)["jobs"].values():
        yield from job["steps"]


def test_there_is_a_workflow_for_changes_and_one_for_tags() -> None:
    test, release = parsed(FORGE / "workflows/test.yml"), parsed(FORGE / "workflows/release.yml")
    assert set(test[True]) == {"push", "pull_request"}  # YAML 1.1 reads `on` as a truth
    assert list(release[True]["push"]) == ["tags"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_is_bounded_and_may_only_read_unless_it_says_so(path: Path) -> None:
    found = parsed(path)
    assert found["permissions"] == {"contents": "read"}
    for name, job in found["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 90 and job["runs-on"] and job["steps"], name
    writing = [name for name, job in found["jobs"].items() if "permissions" in job]
    assert writing == (["publish"] if path.name == "release.yml" else [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_of_this_project_exists(path: Path) -> None:
    ran = [step["run"] for step in steps(path) if "run" in step]
    made = [target for line in ran for target in re.findall(r"\bmake ([a-z-]+)", line)]
    assert set(made) <= TARGETS and made
    named = [word for line in ran for word in re.findall(r"(?:bash|-r) (\S+)", line)]
    assert all((ROOT / word).exists() for word in named)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_step_runs_or_uses_something_of_a_named_version(path: Path) -> None:
    for step in steps(path):
        assert ("run" in step) != ("uses" in step)
        assert "uses" not in step or re.fullmatch(r"[a-z-]+/[a-z-]+@(v\d+|release/v\d+)", step["uses"])
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
        # What somebody else may write (a title, a branch) must not become a piece of a shell command.
        assert "github.event" not in step.get("run", "") and "github.head_ref" not in step.get("run", "")


def test_the_workflow_tests_every_python_that_is_promised() -> None:
    matrix = parsed(FORGE / "workflows/test.yml")["jobs"]["matrix"]
    assert matrix["strategy"]["matrix"]["python"] == [name for name in PROMISED if not name.endswith("t")]


def test_only_what_was_tried_is_published() -> None:
    jobs = parsed(FORGE / "workflows/release.yml")["jobs"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert jobs["publish"]["environment"]
    assert any("cibuildwheel" in step.get("run", "") for step in jobs["wheels"]["steps"])
    assert any(step.get("run") == "make release" for step in jobs["archive"]["steps"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_every_form_for_issues_has_what_the_forge_asks_of_it(path: Path) -> None:
    form = parsed(path)
    assert form["name"] and form["description"] and form["body"]
    kinds = {"markdown": "value", "input": "label", "textarea": "label", "checkboxes": "label"}
    for field in form["body"]:
        assert field["attributes"][kinds[field["type"]]]
    named = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(named) == len(set(named)) > 1
