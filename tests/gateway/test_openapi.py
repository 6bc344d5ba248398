"""Schemathesis holds the gateway's answers against its own OpenAPI document."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from respram.gateway.openapi import document
from tests.gateway.faces import LiveGateway

CHECKS = (
    not_a_server_error, content_type_conformance, response_headers_conformance, response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)  # fmt: skip
BODY_BYTES_MAX = 16 << 20
schema = schemathesis.openapi.from_dict(document("", BODY_BYTES_MAX))
OPERATIONS = {one.label: one for one in (result.ok() for result in schema.get_all_operations())}  # type: ignore[union-attr]


def test_the_document_is_the_one_that_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == document("", BODY_BYTES_MAX)
    assert len(OPERATIONS) == 10


ENDING = [label for label in OPERATIONS if label != "GET /v1/watch"]
RIGHT = [(label, GenerationMode.POSITIVE) for label in ENDING]
WRONG = [(label, GenerationMode.NEGATIVE) for label in ENDING if OPERATIONS[label].query or OPERATIONS[label].headers]


@pytest.mark.parametrize(("label", "mode"), RIGHT + WRONG, ids=lambda one: str(getattr(one, "value", one)))
def test_answers_are_as_described(label: str, mode: GenerationMode, gateway: LiveGateway) -> None:
    """To requests that the document allows, and to others."""
    operation = OPERATIONS[label]
    answers: set[int] = set()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: "schemathesis.Case[Any]") -> None:
        answers.add(case.call_and_validate(base_url=gateway.base, checks=list(CHECKS)).status_code)

    holds()
    assert answers
    if mode == GenerationMode.NEGATIVE:
        assert any(400 <= code < 500 for code in answers)
