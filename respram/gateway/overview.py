"""What a node says of itself and its enclave, as the answers that REPRAM's HTTP has: health, status, topology."""

from respram.gateway.answers import Problem
from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.nodes import Nodes, facts, info_fields, spell
from respram.gateway.target import Login

HEALTHY = {"loading": "joining", "joining": "joining", "alone": "joining", "isolated": "isolated"}


async def health(nodes: Nodes, login: Login | None, *, detailed: bool) -> dict[str, object]:
    """The health; 503 if no node answers. A request that lacks a necessary login learns no more than that."""
    try:
        link = await nodes.link(login)
        state, info = await link.batch([(b"RESPRAM", b"STATE"), (b"INFO", b"respram")])
    except (NodesGone, Busy):
        raise Problem(503, "No node answers.", ((b"retry-after", b"1"),)) from None
    except WrongLogin:
        return {"status": "healthy"}  # a node has replied
    word = spell(state) if not isinstance(state, Refusal) else "ready"
    found: dict[str, object] = {"status": HEALTHY.get(word, "healthy")}
    if detailed:
        fields = info_fields(info)
        found |= {"node_id": fields.get("node_number", ""), "network": fields.get("network", ""),
                  "enclave": fields.get("enclave", "")}
    return found


async def status(nodes: Nodes, login: Login | None) -> dict[str, object]:
    link = await nodes.link(login)
    reply = await link.call(b"INFO", b"everything")
    fields = info_fields(reply)
    base = await health(nodes, login, detailed=True)
    names = ("used_memory", "used_memory_rss", "used_memory_peak", "maxmemory")
    return {
        **base, "version": fields.get("respram_version", ""), "engine": fields.get("engine", ""),
        "uptime": f"{fields.get('uptime_in_seconds', '0')}s", "keys": _whole(fields.get("records")),
        "memory": {name: _whole(fields.get(name)) for name in names},
        "default_ttl": _whole(fields.get("default_ttl_s")),
        "max_ttl": _whole(fields.get("max_ttl_s")), "refused_deletes": _whole(fields.get("refused_deletes")),
    }  # fmt: skip


async def topology(nodes: Nodes, login: Login | None) -> dict[str, object]:
    link = await nodes.link(login)
    reply, info = await link.batch([(b"RESPRAM", b"TOPOLOGY"), (b"INFO", b"respram")])
    if isinstance(reply, Refusal) and reply.word != "ERR":
        raise reply
    fields = info_fields(info)
    own = fields.get("node_number", "")
    peers = []
    for row in reply if isinstance(reply, list) else ():
        one = facts(row)
        host, _, port = one.get("address", "").rpartition(":")
        if one.get("node") != own:
            more = {name: one.get(name, "") for name in ("role", "parent", "status")}
            peers.append(
                {
                    "id": one.get("node", ""),
                    "address": host,
                    "port": _whole(port),
                    "enclave": one.get("enclave", ""),
                    **more,
                }
            )
    return {"node_id": own, "enclave": fields.get("enclave", ""), "peers": peers}


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
