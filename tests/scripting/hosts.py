"""A host that answers scripts from a dictionary, and the runtime that tests share."""

from respram.scripting.runtime import ENCODED, FAULT, STATUS, Answer, Outcome, Runtime

MEMORY_BYTES = 16 << 20


class Echo:
    """Answers `name` with its argument; ends a script after so many ticks."""

    def __init__(self, ticks_max: int = 3_000) -> None:
        self.ticks = 0
        self.ticks_max = ticks_max
        self.called: list[list[bytes]] = []
        self.reply = b""

    def call(self, argv: list[bytes]) -> Answer:
        self.called.append(argv)
        if argv[0] == b"status":
            return Answer(None, STATUS, argv[1])
        if argv[0] == b"fault":
            return Answer(None, FAULT, b"-" + argv[1])
        if argv[0] == b"encoded":
            return Answer(None, ENCODED, self.reply)
        if argv[0] == b"fail":
            raise RuntimeError("a bug of the host")
        if argv[0] == b"big":
            return Answer(b"x" * (8 << 20))
        return Answer(argv[1] if len(argv) > 1 else False)

    def may(self, argv: list[bytes]) -> bool | None:
        return True

    def set_proto(self, proto: int) -> None:
        self.proto = proto

    def log(self, level: int, size: int) -> None:
        self.logged = (level, size)

    def tick(self) -> int:
        self.ticks += 1
        return 1 if self.ticks > self.ticks_max else 0


def evaluate(runtime: Runtime, text: str, *arguments: bytes, host: Echo | None = None, proto: int = 2) -> Outcome:
    outcome = runtime.run(runtime.compile(text.encode("latin-1")), host or Echo(), [], list(arguments), proto)
    runtime.is_worn()  # as whoever owns it asks after each script: it collects
    return outcome
