"""The papers of a release: SHA256SUMS, and a statement of provenance that says from what and how the files were made.

The statement has the in-toto form (v1) with the SLSA predicate (v1). It is unsigned here: a workflow that has an
identity signs it when it publishes. Everything in it is a digest, a version or a word: no path, no host, no user.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BUILD_TYPE = "urn:respram:make-release:v1"
BUILDER = "urn:respram:checkout"
DIGEST = re.compile(r"^(?:FROM |ARG BASE=)(\S+)@sha256:([0-9a-f]{64})", re.MULTILINE)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(files: Iterable[Path]) -> str:
    """As `sha256sum --check` reads them."""
    return "".join(f"{sha256(path)}  {path.name}\n" for path in sorted(files))


def materials(root: Path, commit: str) -> list[dict[str, Any]]:
    """What went in: the commit, every lock file (each pins its packages by hash), and the base images by digest."""
    found: list[dict[str, Any]] = [{"uri": "git:respram", "digest": {"gitCommit": commit}}]
    found += [
        {"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(root.glob("requirements*.lock"))
    ]
    images = dict(DIGEST.findall((root / "Dockerfile").read_text()))
    return found + [{"name": image, "digest": {"sha256": digest}} for image, digest in sorted(images.items())]


def normal(name: str) -> str:
    """A package's name as all spellings of it are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def not_pinned(bill: dict[str, Any], pins: dict[str, str]) -> list[str]:
    """The components of an SBOM that have another version in a lock file, or are not in it."""
    return [
        f"{one['name']} {one['version']}" for one in bill["components"]
        if pins.get(normal(one["name"])) != one["version"]
    ]  # fmt: skip


def with_version(bill: dict[str, Any], version: str) -> dict[str, Any]:
    """The SBOM with the version of what it is about. Its maker reads pyproject.toml, where the version is dynamic."""
    subject = bill["metadata"]["component"] | {"version": version}
    subject["purl"] = f"pkg:pypi/{subject['name']}@{version}"
    return bill | {"metadata": bill["metadata"] | {"component": subject}}


def provenance(
    files: Iterable[Path], root: Path, commit: str, builder: dict[str, str], started: str, ended: str
) -> str:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(files)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"target": "release"},
                "resolvedDependencies": materials(root, commit),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": builder},
                "metadata": {"startedOn": started, "finishedOn": ended},
            },
        },
    }
    return json.dumps(statement, indent=1) + "\n"
