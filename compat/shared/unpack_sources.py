"""Fetches the source distributions that `sources.txt` names (`name==version`), for the test suites inside them.

They are unpacked into `sources/`; nothing of them is built or installed. Without the file there is nothing to do.
"""

import subprocess
import sys
import tarfile
from pathlib import Path

FETCH = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary=:all:", "--dest",
         "fetched")
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11 has it from 3.11.4 on
wanted = Path("sources.txt").read_text().split() if Path("sources.txt").exists() else []
for name in wanted:
    subprocess.run([sys.executable, *FETCH, name], check=True)
for archive in sorted(Path("fetched").glob("*.tar.gz")):
    with tarfile.open(archive) as file:
        file.extractall("sources", **SAFELY)  # noqa: S202 - archives whose versions are pinned
