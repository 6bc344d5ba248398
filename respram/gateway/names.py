"""Names of keys as text.
A key is any bytes; JSON, headers and pages hold text, so what is no UTF-8 is percent-encoded.
"""

from urllib.parse import quote_from_bytes


def text_of(key: bytes) -> str | None:
    """The key as text, or None where it is none that every reader of JSON takes."""
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        return None


def quoted(key: bytes) -> str:
    """The key percent-encoded for a path or a query."""
    return quote_from_bytes(key, safe="")


def shown(key: bytes) -> dict[str, str]:
    """`{"key": text}`, or `{"key_encoded": "%FF..."}` where there is no text."""
    text = text_of(key)
    return {"key": text} if text is not None else {"key_encoded": quoted(key)}
