"""Schemathesis holds the gateway's answers against its own OpenAPI document. It is imported by the tests that run it:
each process of a run collects every file."""

import functools
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from respram.gateway.openapi import document
from tests import dear
from tests.gateway.faces import LiveGateway

if TYPE_CHECKING:
    import schemathesis

BODY_BYTES_MAX = 16 << 20
DOCUMENT: Any = document("", BODY_BYTES_MAX)
# Of each operation, where its parameters stand.
PLACES = {
    f"{method.upper()} {path}": {
        one["in"] for one in (*each.get("parameters", ()), *each[method].get("parameters", ()))
    }
    for path, each in DOCUMENT["paths"].items()
    for method in each
    if method != "parameters"
}


@functools.cache
def operations() -> dict[str, Any]:
    import schemathesis

    every: list[Any] = list(schemathesis.openapi.from_dict(DOCUMENT).get_all_operations())
    return {one.label: one for one in (result.ok() for result in every)}


def test_the_document_is_the_one_that_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == document("", BODY_BYTES_MAX)
    assert len(operations()) == 10 and operations().keys() == PLACES.keys()
    assert all(
        (bool(one.query), bool(one.headers)) == ("query" in PLACES[label], "header" in PLACES[label])
        for label, one in operations().items()
    )


ENDING = [label for label in PLACES if label != "GET /v1/watch"]
RIGHT = [(label, "positive") for label in ENDING]
WRONG = [(label, "negative") for label in ENDING if PLACES[label] & {"query", "header"}]


@pytest.mark.parametrize("examples", dear.first(1, [8, 100]))
@pytest.mark.parametrize(("label", "mode"), RIGHT + WRONG)
def test_answers_are_as_described(label: str, mode: str, examples: int, gateway: LiveGateway) -> None:
    """To requests that the document allows, and to others."""
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi

    every = [
        not_a_server_error, openapi.content_type_conformance, openapi.response_headers_conformance,
        openapi.response_schema_conformance, openapi.status_code_conformance, openapi.unsupported_method,
    ]  # fmt: skip
    operation = operations()[label]
    answers: set[int] = set()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    def holds(case: "schemathesis.Case[Any]") -> None:
        answers.add(case.call_and_validate(base_url=gateway.base, checks=every).status_code)

    holds()
    assert answers
    if mode == "negative":
        assert any(400 <= code < 500 for code in answers)
