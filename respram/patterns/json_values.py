"""JSON values to and from bytes, with advice for callers that pass bytes. Nothing else may live in this file."""

import json
from types import UnionType
from typing import Any

from respram.patterns.errors import NotJson, Unreadable

Json = Any  # dict, list, str, int, float, bool or None, nested; a type checker has no name for it


def to_json(value: Json) -> bytes:
    """Compact JSON. Raises NotJson for bytes, for what JSON has no form for, and for NaN and the infinities."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_refuse).encode()
    except NotJson:
        raise
    except RecursionError:
        raise NotJson("the value is nested too deeply, or contains itself") from None
    except (TypeError, ValueError) as error:
        raise NotJson(
            "the value is not JSON: keys must be texts, numbers finite, texts free of lone surrogates, nothing may "
            "contain itself"
        ) from error


def _refuse(part: object) -> Json:
    if isinstance(part, bytes | bytearray | memoryview):
        raise NotJson(
            "bytes are not JSON: store a small binary as base64 text beside its mime_type,"
            " a larger one in a ContentStore, and its hash here"
        )
    raise NotJson(f"JSON has no form for {type(part).__name__}: turn it into dicts, lists, texts and numbers first")


def from_json(data: bytes, what: str) -> Json:
    """Parses JSON. Raises Unreadable, which names what was read but never its content."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Unreadable(f"{what} is not JSON: another program wrote to this key, choose other names") from None


def document(data: bytes, what: str, /, **kinds: type | UnionType) -> dict[str, Json]:
    """A JSON object that has at least these fields, each of its kind."""
    found = from_json(data, what)
    if not isinstance(found, dict) or not all(
        field in found and isinstance(found[field], kinds[field]) for field in kinds
    ):
        raise Unreadable(
            f"{what} was not written by this pattern: another program wrote to this key, choose other names"
        )
    return found
