"""The index of the C core, step by step: table_check.c is compiled together with table.c, and looks at every line."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.engine.conftest import PURE_ONLY
from tests.live import SOON_S

ROOT = Path(__file__).parent.parent.parent
CORE = ROOT / "respram/engine/native"
SEEDS = range(1, 4)

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="there is no C compiler here")


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the small bounds of the sanitizers' build: all that happens to large tables happens to small ones."""
    program = tmp_path_factory.mktemp("table") / "check"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    words = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Werror", "-DRESPRAM_PLAIN_BLOCKS", f"-I{CORE}"]
    made = subprocess.run(
        [compiler, *words, str(Path(__file__).with_name("table_check.c")), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return program


@pytest.mark.skipif(sys.platform != "linux", reason="the core's pages are Linux's")
@pytest.mark.parametrize("seed", SEEDS)
def test_every_record_is_found_and_every_line_keeps_its_rules(checker: Path, seed: int) -> None:
    done = subprocess.run([str(checker), str(seed)], capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("grown ")
