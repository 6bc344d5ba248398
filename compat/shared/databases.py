"""A MariaDB of a program's own, for applications that keep their records in one: reached by a socket, gone at the end.
"""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

START_S = 60


@contextlib.contextmanager
def mariadb(sql):
    """The folder where it lives and listens at `db.sock`, after it was told these statements."""
    with tempfile.TemporaryDirectory() as place:
        data, socket = f"{place}/data", f"{place}/db.sock"
        words = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root"]
        words += ["--auth-root-authentication-method=normal"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        words = [
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            "--user=root",
            "--skip-networking",
        ]
        server = subprocess.Popen([*words, f"--pid-file={place}/pid", f"--log-error={place}/log"])
        try:
            end = time.monotonic() + START_S
            words = ["mariadb", "--no-defaults", f"--socket={socket}", "-e", sql]
            while subprocess.run(words, check=False, capture_output=True).returncode:
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"MariaDB does not answer: {Path(place, 'log').read_text()[-300:]}")
                time.sleep(0.2)
            yield Path(place)
        finally:
            server.terminate()
            server.wait(30)
