"""`respram cluster --watch`: shows the nodes live, as `respram top` does, in the terminal that started them.

The view is a process of its own. It takes the terminal, and its failure does not harm the nodes. While it runs, the
nodes' lines are held back. The nodes stop when the user quits the view, and the view ends when a node does.
"""

import importlib.util
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from respram.errors import ConfigError

STOP_S = 5.0  # for the view to restore the terminal
LINES_MAX = 200  # lines of the nodes that are held back, and shown if a node ends by itself


class View:
    def __init__(self, urls: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        # Not a flag: other users of the machine can read flags.
        self.environment = {**environment, "RESPRAM_URL": " ".join(urls)}
        self.say = say
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        self.process: subprocess.Popen[bytes] | None = None
        self.code = 0  # 1: the view ended by itself

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "respram", "top"], env=self.environment)

    def tell(self, line: str) -> None:
        """Shows a line of a node, or holds it back while the view has the terminal."""
        if self.process is None:
            self.say(line)
        else:
            self.lines.append(line)

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self, *, failed: bool) -> None:
        """Ends the view, and shows the nodes' last lines if one of them failed."""
        if self.process is None:
            return
        self.code = 1 if self.process.poll() else 0
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        for line in self.lines if failed else ():
            self.say(line)


def check_terminal() -> None:
    """Raises ConfigError unless there is a terminal and the extra; called before anything is started."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("--watch needs a terminal; without --watch the nodes' log lines are printed")
    if importlib.util.find_spec("textual") is None:
        raise ConfigError("--watch needs textual, which is not installed: pip install 'respram[top]'")


def url_of(host: str, port: int, password: str) -> str:
    login = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{f'[{host}]' if ':' in host else host}:{port}"
