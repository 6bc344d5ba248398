"""The gateway's HTTP as an OpenAPI 3.1 document.
Schemathesis holds the answers against it (tests/gateway/test_openapi.py).
"""

from typing import Any

from respram import __version__
from respram.gateway.data import TTL_S_MAX
from respram.gateway.listing import LIMIT_MAX
from respram.gateway.requests import PREFIX_BYTES_MAX

Json = dict[str, Any]


def _text(description: str, **more: Any) -> Json:
    return {"description": description, "schema": {"type": "string", **more}}


def _whole(description: str) -> Json:
    return {"description": description, "schema": {"type": "integer", "minimum": 0}}


PROBLEM: Json = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PROBLEMS = {
    400: "The request cannot be understood; the detail says what is expected.",
    401: "A login is needed, or this one is wrong.",
    403: "This user may not do that, or a page of another site asked.",
    404: "The key does not exist, or its TTL has ended.",
    405: "Not allowed here. Nothing can be deleted.",
    408: "The body took too long.",
    412: "The condition does not hold for the present value.",
    413: "The value is too large.",
    421: "The name in Host is not one of the gateway's.",
    429: "Too many wrong passwords came from this address.",
    501: "The node publishes no events.",
    502: "The node answered with an error.",
    503: "No node answers, or too much is under way. Try again later.",
    507: "The memory for records is full.",
}
ANYWHERE = (400, 401, 403, 421, 429, 502, 503)
LIFE = {
    "X-Remaining-TTL": _whole("Seconds that surely remain."), "X-TTL-Remaining": _whole("The same."),
    "X-Original-TTL": _whole("Seconds that it had when it was written."),
    "X-Created-At": _text("When it was written.", format="date-time"),
    "Age": _whole("Seconds since it was written."), "Expires": _text("When it is forgotten."),
    "Cache-Control": _text("How long a cache may keep it: never longer than the key lives."),
}  # fmt: skip
WRITTEN = {"ETag": _text("The value's tag, for If-Match."), "X-Remaining-TTL": LIFE["X-Remaining-TTL"],
           "X-TTL-Remaining": LIFE["X-TTL-Remaining"]}
BYTES: Json = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
PLAIN: Json = {"text/plain": {"schema": {"type": "string"}}}
TTL: Json = {
    "name": "ttl", "in": "query",
    "description": "Seconds to live. Comes before X-TTL; without both the node's default.",
    "schema": {"type": "integer", "minimum": 1, "maximum": TTL_S_MAX},
}  # fmt: skip
X_TTL: Json = {**TTL, "name": "X-TTL", "in": "header", "description": "Seconds to live."}
QUORUM: Json = {
    "name": "quorum", "in": "query", "description": "Whether to wait until most nodes of the enclave hold the value.",
    "schema": {"enum": ["majority", "none"]},
}  # fmt: skip
TAGS: Json = {"schema": {"type": "string", "pattern": r'^(\*|"[0-9a-f]{32}")$'}}
IF_MATCH: Json = {"name": "If-Match", "in": "header",
                  "description": "Only if the value is this one; *: only if there is one.", **TAGS}
IF_NONE_MATCH: Json = {"name": "If-None-Match", "in": "header",
                       "description": "Only if it is another; * on PUT: only if there is none.", **TAGS}
PREFIX: Json = {
    "name": "prefix", "in": "query", "description": "Only keys that begin so.",
    "schema": {"type": "string", "maxLength": PREFIX_BYTES_MAX // 4},
}  # fmt: skip
LIMIT: Json = {
    "name": "limit", "in": "query", "description": "How many at most.",
    "schema": {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX},
}  # fmt: skip
CURSOR: Json = {"name": "cursor", "in": "query", "description": "Begin behind this key.", "schema": {"type": "string"}}
KEY: Json = {
    "name": "key", "in": "path", "required": True, "description": "Any bytes, percent-encoded where they have to be.",
    "schema": {"type": "string", "minLength": 1},
}  # fmt: skip


def _operation(name: str, summary: str, answers: dict[int, Json], problems: tuple[int, ...] = (), **more: Any) -> Json:
    right = {str(code): answer for code, answer in answers.items()}
    return {"operationId": name, "summary": summary, "responses": right | _problems(*ANYWHERE, *problems), **more}


def _problems(*codes: int) -> Json:
    return {str(code): {"description": PROBLEMS[code], **PROBLEM} for code in sorted(set(codes))}


def _json(description: str, schema: str) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def document(root: str, body_bytes_max: int) -> Json:
    body = {"required": True, "description": f"The value, at most {body_bytes_max} bytes.", "content": BYTES}
    accepted = {
        "description": "Stored on one node; most of the others were not heard in time.",
        "headers": WRITTEN,
        "content": PLAIN,
    }
    paths: Json = {
        "/v1/data/{key}": {
            "parameters": [KEY],
            "get": _operation("read", "Read a value", {
                200: {"description": "The value.", "headers": LIFE | {"ETag": WRITTEN["ETag"]}, "content": BYTES},
                304: {"description": "It is the one that you have.", "headers": LIFE},
            }, (404, 412), parameters=[IF_MATCH, IF_NONE_MATCH]),
            "head": _operation("exists", "Ask whether a key is there, and for how long", {
                200: {"description": "It is there.", "headers": LIFE},
                304: {"description": "It is the one that you have.", "headers": LIFE},
            }, (404, 412), parameters=[IF_MATCH, IF_NONE_MATCH]),
            "put": _operation("write", "Write a value, over any that is there", {
                201: {"description": "Stored, by most nodes if that was asked.", "headers": WRITTEN, "content": PLAIN},
                200: {"description": "The same, where If-Match held.", "headers": WRITTEN, "content": PLAIN},
                202: accepted,
            }, (408, 412, 413, 507), parameters=[TTL, X_TTL, QUORUM, IF_MATCH, IF_NONE_MATCH], requestBody=body),
        },
        "/v1/data": {
            "post": _operation("create", "Write a value under a key of its own", {
                201: {**_json("Stored.", "Created"), "headers": {"Location": _text("Where it is.")}},
                202: {**_json("Stored on one node.", "Created"), "headers": {"Location": _text("Where it is.")}},
            }, (408, 413, 507), parameters=[TTL, X_TTL, QUORUM], requestBody=body),
        },
        "/v1/keys": {
            "get": _operation(
                "list", "List keys, in the order of their bytes",
                {200: _json("The keys that this user may read.", "Keys")},
                parameters=[PREFIX, LIMIT, CURSOR],
            ),
        },
        "/v1/watch": {
            "get": _operation("watch", "Hear of keys as they are written and forgotten", {
                200: {"description": "Events set, expire, expired and lost.",
                      "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            }, (501,), parameters=[PREFIX]),
        },
        "/v1/health": {"get": {
            "operationId": "health", "summary": "Ask whether a node answers", "security": [],
            "responses": {"200": _json("One does.", "Health")} | _problems(401, 403, 421, 503),
        }},
        "/v1/status": {"get": _operation("status", "The node in numbers",
                                         {200: _json("What it says of itself.", "Status")})},
        "/v1/metrics": {"get": _operation("metrics", "The gateway and its node in numbers, for Prometheus", {
            200: {"description": "Prometheus's text format, or OpenMetrics where that is accepted.", "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            }},
        })},
        "/v1/topology": {"get": _operation("topology", "The other nodes",
                                           {200: _json("All of the network.", "Topology")})},
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "respram", "version": __version__,
            "description": "A store that forgets on schedule: every key has a time to live, none can be deleted.",
        },
        "servers": [{"url": root or "/"}],
        "security": [{}, {"basic": []}, {"bearer": []}],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": {
            "basic": {"type": "http", "scheme": "basic", "description": "An ACL user of the node."},
            "bearer": {"type": "http", "scheme": "bearer",
                       "description": "USER:PASSWORD, or the password of the user default."},
        }},
    }  # fmt: skip


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


STRING: Json = {"type": "string"}
INTEGER: Json = {"type": "integer"}
SCHEMAS: Json = {
    "Problem": _object(["type", "title", "status", "detail"], type=STRING, title=STRING, status=INTEGER, detail=STRING),
    "Created": _object(["key", "ttl_seconds"], key={"type": "string", "format": "uuid"}, ttl_seconds=INTEGER),
    "Keys": _object(
        ["keys"], keys={"type": "array", "items": STRING},
        keys_encoded={"type": "array", "items": STRING, "description": "Names that are no UTF-8, percent-encoded."},
        next_cursor=STRING, next={"type": "string", "description": "The path to ask next."},
    ),
    "Health": _object(["status"], status={"enum": ["healthy", "joining", "isolated"]}, node_id=STRING, network=STRING,
                      enclave=STRING),
    "Status": _object(["status", "memory"], status=STRING, memory={"type": "object"}, keys=INTEGER, uptime=STRING),
    "Topology": _object(["node_id", "peers"], node_id=STRING, enclave=STRING,
                        peers={"type": "array", "items": {"type": "object"}}),
}  # fmt: skip
