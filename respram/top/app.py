"""The live page in a terminal: an enclave, what passes, the next minute of forgetting, receipts and refusals.
Textual draws it.

The same look once a second as the page has (`gateway/live.py`), over one or several nodes: with several, the first that
answers is shown, and the others are rows of its enclave.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Header, Sparkline, Static

from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.live import EVERY_S, Look
from respram.gateway.nodes import Nodes
from respram.gateway.store import Store
from respram.gateway.target import Target

HISTORY_S = 60  # seconds of rates in the graph
RECEIPTS_MAX = 100  # lines in the list of receipts

Overview = Mapping[str, Any]


class Top(App[int]):
    TITLE = "respram"
    CSS = """
    .row { height: auto; }
    .panel { border: round $primary; padding: 0 1; height: auto; width: 1fr; }
    Sparkline { height: 4; width: 1fr; }
    #nodes, #receipts { height: auto; max-height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "quit", "Quit"), Binding("p", "pause", "Pause")]

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__()
        self.link_nodes = Nodes(targets)
        self.look = Look(Store(self.link_nodes, False, 1.0), None)
        self.before: Overview | None = None
        self.paused = False
        self.rates: dict[str, deque[float]] = {
            name: deque([0.0] * HISTORY_S, HISTORY_S) for name in ("writes", "hits", "misses")
        }

    def compose(self) -> ComposeResult:
        yield Header(show_clock=True)
        yield Static("connecting", id="numbers", classes="panel", markup=False)
        with Horizontal(classes="row"):
            with Vertical(classes="panel") as enclave:
                enclave.border_title = "enclave"
                yield DataTable(id="nodes", cursor_type="none", zebra_stripes=True)
            with Vertical(classes="panel") as receipts:
                receipts.border_title = "receipts"
                yield DataTable(id="receipts", cursor_type="none", zebra_stripes=True)
        with Vertical(classes="panel") as minute:
            minute.border_title = "the next minute of forgetting"
            yield Sparkline([0.0] * HISTORY_S, id="minute")
            yield Static("", id="minute-note", markup=False)
        with Horizontal(classes="row"):
            for name, title in (
                ("writes", "writes"),
                ("hits", "reads that found a key"),
                ("misses", "reads that did not"),
            ):
                with Vertical(classes="panel") as panel:
                    panel.border_title = title
                    yield Sparkline([0.0] * HISTORY_S, id=name)
                    yield Static("", id=f"{name}-now", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#nodes", DataTable).add_columns("node", "state", "role", "behind")
        self.query_one("#receipts", DataTable).add_columns("values", "bytes wiped")
        # Restores the terminal before the end.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(EVERY_S, self.refresh_all)
        self.call_later(self.refresh_all)

    async def on_unmount(self) -> None:
        self.link_nodes.close()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self.sub_title = "paused" if self.paused else ""

    async def refresh_all(self) -> None:
        if self.paused:
            return
        try:
            self.show(await self.look.once())
        except (NodesGone, Busy):
            self.query_one("#numbers", Static).update("no node answers; trying again")
        except (WrongLogin, Refusal) as error:
            self.query_one("#numbers", Static).update(f"the node refused the request: {getattr(error, 'word', error)}")

    def show(self, now: Overview) -> None:
        self.query_one("#numbers", Static).update(numbers_of(now))
        seconds = now["minute"]["seconds"]
        self.query_one("#minute", Sparkline).data = seconds
        about = "about " if now["minute"]["looked"] < now["minute"]["keys"] else ""
        of_all = f"{about}{sum(seconds):,} of {now['minute']['keys']:,} keys"
        self.query_one("#minute-note", Static).update(f"{of_all}; {about}{sum(seconds[:10]):,} in ten seconds")
        table = self.query_one("#nodes", DataTable)
        table.clear()
        for node in now["nodes"]:
            table.add_row(node["address"], node["state"] or "asked", node["role"],
                          f"{node['lag_ms']} ms" if node["lag_ms"] else "")
        if self.before is not None:
            self.pass_on(self.before, now)
        self.before = now

    def pass_on(self, before: Overview, now: Overview) -> None:
        passed_s = max(now["at_ms"] - before["at_ms"], 1) / 1000
        for name, rates in self.rates.items():
            rates.append(max(now[name] - before[name], 0) / passed_s)
            self.query_one(f"#{name}", Sparkline).data = list(rates)
            self.query_one(f"#{name}-now", Static).update(f"{rates[-1]:,.0f} a second")
        values = now["forgotten_values"] - before["forgotten_values"]
        table = self.query_one("#receipts", DataTable)
        if values > 0 and table.row_count < RECEIPTS_MAX:
            table.add_row(f"{values:,}", f"{now['forgotten_bytes'] - before['forgotten_bytes']:,}")


def numbers_of(now: Overview) -> str:
    rows = [f"state {now['state']}", f"keys {now['keys']:,}", f"memory {now['used_memory']:,}",
            f"clients {now['clients']:,}",
            f"forgotten {now['forgotten_values']:,}", f"stubs {now['stubs']:,}",
            f"refused {now['refused_deletes'] + now['refused_others']:,}"]  # fmt: skip
    late = f"   last late one by {now['late_by_ms']} ms" if now["late_by_ms"] else ""
    return "   ".join(rows) + late


def run(targets: Sequence[Target]) -> int:
    Top(targets).run()
    return 0
