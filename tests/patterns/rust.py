"""Document 003's Rust read as Python: a line-by-line rewriting of just what that document uses.
No compiler; it fails on what it does not know.

Types, borrows and awaits go; `if let Some(x) = y` asks for None; a struct is a Thing with its fields; macros become
what they print or compare. The indentation of the document is Python's already.
"""

import itertools
import json
import re
from typing import Any

from respram.patterns import ContentRef, ContentStore


def fields(found: "re.Match[str]") -> str:
    return "Thing(" + re.sub(r"(\w+): ", r"\1=", found[2]) + ")"


def defined(found: "re.Match[str]") -> str:
    return f"{found[1]}def {found[2]}(" + re.sub(r": [^,]+", "", found[3]) + "):"


RULES = tuple((re.compile(pattern), put) for pattern, put in (
    (r"/\*.*?\*/", ""), (r"(?:^|\s)//.*$", ""), (r"\.await\??", ""), (r"&mut |&(?=\w)", ""), (r"\?(?=[;.,)])", ""),
    (r"\?$", ""),
    (r"\.as_bytes\(\)\.to_vec\(\)", ".encode()"), (r"\.to_string\(\)|\.clone\(\)", ""), (r"\.(hash|id)\(\)", r".\1"),
    (r"String::from_utf8\((\w+)\)", r"\1.decode()"), (r"vec!\[(.*?)\]", r"[\1]"), (r"\bVec::new\(\)", "[]"),
    (r"\bHashMap::new\(\)", "{}"),
    (r"\.into_iter\(\)\.filter\(\|l\| l\.starts_with\((\w+)\)\)\.collect\(\)", r".beginning(\1)"),
    (r"format!\((\"[^\"]*\"), (.*?)\)(?=[;)]|$)", r"\1.format(\2)"),
    (r"println!\((\"[^\"]*\"), (.*)\);", r"printed(\1.format(\2))"),
    (r"assert_eq!\((.*), (.*)\);", r"assert \1 == \2"), (r"(\S+)\.insert\((.+), (.+)\);", r"\1[\2] = \3"),
    (r"\.push\(", ".append("),
    (r"^(\s*)(?:async )?fn (\w+)\((.*)\) -> .*\{$", defined),
    (r"\b(if|while) let Some\((\w+)\) = (.+) \{$", r"\1 (\2 := \3) is not None:"), (r"\} else \{$", "else:"),
    (r"\bfor \((\w+), (\w+)\) in (.+) \{$", r"for \1, \2 in pairs(\3):"),
    (r"\bfor (\w+) in (.+) \{$", r"for \1 in \2:"),
    (r"\bif !(.+) \{$", r"if not \1:"), (r"\bif (.+) \{$", r"if \1:"),
    (r"\blet (?:mut )?(\w+)(?:: [^=]+)? = ", r"\1 = "),
    (r"^(\s*)return Ok\((.*)\);", r"\1return \2"), (r"^(\s*)Ok\(\(\)\)$", r"\1return None"),
    (r"^(\s*)Ok\((.*)\)$", r"\1return \2"),
    (r"^(\s*)Err\(Error::new\((.*)\)\)$", r"\1raise LookupError(\2)"),
    (r"\b([A-Z]\w+) \{ (.*?),? *\};", fields), (r"\b[A-Z]\w+ \{$", "Thing("),
    (r"\bSome\((.*)\)(?=[,;]|$)", r"\1"), (r"\b(\w+)::(\w+)", r"\1_\2"), (r"\b(\w+)::(\w+)", r"\1_\2"),
))  # fmt: skip


class Thing:
    """A struct: its fields, and nothing else."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Names(list[str]):
    def beginning(self, prefix: str) -> list[str]:
        return [each for each in self if each.startswith(prefix)]


def python(rust: str) -> str:
    """The block as Python."""
    lines: list[str] = []
    inside = ""  # the indentation of a struct's literal, whose end is a parenthesis
    literal = skipped = False
    joined = re.sub(r"\n\s*(?=\.\w)", "", rust)
    for line in joined.splitlines():
        bare = line.strip()
        if skipped or bare.startswith(("#[derive", "struct ")):
            skipped = not bare.endswith("}") and not bare.startswith("#[derive")
            continue
        for pattern, put in RULES:
            line = pattern.sub(put, line)
        bare, indentation = line.strip(), line[: len(line) - len(line.lstrip())]
        if literal and bare in ("};", "});"):
            lines.append(inside + ("))" if bare == "});" else ")"))
            literal = False
        elif literal:
            lines.append(re.sub(r"^(\s*)(\w+): ", r"\1\2=", line))
        elif bare.endswith("Thing("):
            lines.append(line)
            literal, inside = True, indentation
        elif bare not in ("}", ""):
            lines.append(re.sub(r";$", "", line))
    return "\n".join(lines) + "\n"


class Bincode:
    """What is serialised in one process and read in it again."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Any] = {}
        self.numbers = itertools.count()

    def serialize(self, thing: Any) -> bytes:
        data = b"package %d" % next(self.numbers)
        self.kept[data] = thing
        return data


class Stores:
    """The document's ContentStore on one client, with the methods' own names."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def new(self) -> Any:
        return Store(ContentStore(self.client, ttl_s=60))

    def from_id(self, store_id: str) -> Any:
        return Store(ContentStore(self.client, store_id, ttl_s=60))


class Store:
    """Every method is the library's; only the list of labels can be filtered as the document does."""

    def __init__(self, store: ContentStore[Any]) -> None:
        self.inner = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def list_labels(self) -> Names:
        return Names(self.inner.list_labels())


def names(client: Any, printed: list[str]) -> dict[str, Any]:
    """What the document takes from its language and its libraries."""
    stores, bincode = Stores(client), Bincode()

    def to_vec(thing: Any) -> bytes:
        return json.dumps(thing, default=vars).encode()

    def from_slice(data: bytes) -> Any:
        return json.loads(data, object_hook=lambda fields: Thing(**fields))

    def pairs(found: Any) -> Any:
        return list(found.items()) if isinstance(found, dict) else found

    clock = type("Clock", (), {"timestamp": lambda self: 1_781_234_567})
    return {
        "ContentStore_new": stores.new, "ContentStore_from_id": stores.from_id, "store_new": stores.new,
        "ContentRef_new": ContentRef,
        "serde_json_to_vec": to_vec, "serde_json_from_slice": from_slice, "bincode_serialize": bincode.serialize,
        "bincode_deserialize": bincode.kept.__getitem__, "chrono_Utc_now": clock, "Thing": Thing, "pairs": pairs,
        "printed": printed.append, "store": stores.new(),
    }  # fmt: skip
