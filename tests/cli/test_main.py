"""The command line: what is printed where, and the exit codes that scripts rely on."""

import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

import respram.server.serve
from respram import __version__
from respram.cli.main import EVERYDAY, HELP_COLUMNS, default_of, everyday_help, main, parse_flags, serve_help
from respram.config.limits import Limits
from respram.config.options import OPTIONS, Option
from respram.config.settings import Config
from respram.errors import BindError, ConfigError
from respram.server.serve import reach
from tests.live import SOON_S

Run = Callable[..., tuple[int, str, str]]
SECRET = "open-sesame"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Instead of a node: the configurations that one would have been started with."""
    configs: list[Config] = []

    def run(config: Config, say: Callable[[str], None] | None = None) -> int:
        configs.append(config)
        return 0

    monkeypatch.setattr(respram.server.serve, "run", run)
    return configs


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, **variables: str) -> tuple[int, str, str]:
        code = main(words, variables)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_the_fixed_names_reach_the_node(run: Run, served: list[Config]) -> None:
    words = (
        "serve --bind 127.0.0.1 --port 7001 --peer-port 17001 --join 10.0.0.1:1,10.0.0.2:2 --advertise 10.0.0.3:3 "
        "--enclave blue "
        "--default-ttl 60 --max-ttl 120 --maxmemory 100mb --requirepass word --engine pure"
    )
    assert run(*words.split()) == (0, "", "")
    (config,) = served
    assert (config.bind, config.port, config.peer_port, config.enclave, config.engine) == (("127.0.0.1",), 7001, 17001,
                                                                                           "blue", "pure")
    assert (config.default_ttl_s, config.max_ttl_s, config.maxmemory_bytes, config.requirepass) == (60, 120, 100 << 20,
                                                                                                    "word")
    assert (config.join, config.advertise) == ((("10.0.0.1", 1), ("10.0.0.2", 2)), ("10.0.0.3", 3))
    assert config.limits == Limits()


def test_a_flag_that_takes_no_value_and_one_with_an_equals_sign(run: Run, served: list[Config]) -> None:
    assert run("serve", "--unprotected", "--bind=0.0.0.0", "--slowlog-log-slower-than", "-1",
               "--requirepass=--port")[0] == 0
    assert served[0].unprotected and served[0].bind == ("0.0.0.0",)
    assert served[0].limits.slow_threshold_us == -1
    assert served[0].requirepass == "--port"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("serve --port 99999", "--port must be a whole number from 0 to 65535"),
        ("serve --prot 1", "did you mean --port?"),
        ("serve 6379", "unknown argument '6379'"), ("serve -p 1", "unknown argument '-p'"),
        ("serve --port", "needs a value"),
        ("serve --port --bind 127.0.0.1", "--port needs a value"), ("sevre", "unknown command 'sevre'"),
        ("serve --config /nowhere.toml", "cannot be read"), ("serve --bind 0.0.0.0", "--unprotected"),
        ("serve --engine fast", "one of auto, native, pure"), ("ping --port 0", "--port must be"),
        ("ping --loud", "unknown argument"),
        ("ping --password-file /nowhere", "cannot be read"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line_and_exit_code_2(run: Run, served: list[Config], words: str, expected: str) -> None:
    code, out, err = run(*words.split())
    assert (code, out, served) == (2, "", [])
    assert expected in err
    assert re.fullmatch(r"respram: [^\n]+\n", err)


def test_a_taken_port_is_one_line_and_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(config: Config, say: object) -> int:
        raise BindError(f"cannot listen on port {config.port}")

    monkeypatch.setattr(respram.server.serve, "run", taken)
    assert run("serve", "--port", "7001") == (1, "", "respram: cannot listen on port 7001\n")


def test_a_node_that_cannot_have_what_was_asked_for_says_so_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: Config, say: object) -> int:
        raise ConfigError("--engine native:\nit is not built")

    monkeypatch.setattr(respram.server.serve, "run", refuse)
    assert run("serve") == (2, "", "respram: --engine native: it is not built\n")


def test_the_exit_code_of_the_node_is_that_of_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respram.server.serve, "run", lambda config, say: 3)
    assert run("serve")[0] == 3


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_printed(run: Run, word: str) -> None:
    assert run(word) == (0, f"respram {__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_the_commands(run: Run, words: list[str]) -> None:
    code, out, _ = run(*words)
    assert code == 0
    assert all(f"respram {name}" in out for name in ("serve", "ping", "--version"))


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_serve_help_has_one_line_per_option_with_its_default_and_unit(option: Option) -> None:
    (line,) = [line for line in serve_help().splitlines() if re.match(rf"  --{option.name}( |$)", line)]
    assert (option.default or "none") in line
    assert option.metavar in line and option.why in line
    assert option.unit not in ("seconds", "milliseconds", "microseconds") or f"{option.default} {option.unit}" in line
    assert default_of(option) in line


def test_help_is_given_without_reading_settings(run: Run) -> None:
    assert run("serve", "--help", "--port", "wrong", RESPRAM_PORT="wrong")[0] == 0
    assert run("ping", "-h")[0] == 0


def test_the_last_of_a_repeated_flag_counts() -> None:
    assert parse_flags(["--port", "1", "--port=2"], {"port": True}) == {"port": "2"}


# -- as a process ---------------------------------------------------------------------------------
def python_m_respram(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RESPRAM_")}
    return subprocess.run(
        [sys.executable, "-m", "respram", *words],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
        env=kept | variables,
    )


def test_python_m_respram_is_the_command() -> None:
    done = python_m_respram("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"respram {__version__}\n", "")


def test_a_real_taken_port_ends_the_process_with_1_and_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = python_m_respram(
            "serve", "--engine", "pure", "--port", str(listener.getsockname()[1]), RESPRAM_REQUIREPASS=SECRET
        )
    assert done.returncode == 1
    assert re.fullmatch(r"respram: cannot listen on [^\n]+\n", done.stderr)
    assert SECRET not in done.stdout + done.stderr


def test_a_wrong_setting_ends_the_process_with_2_and_one_line_before_anything_is_loaded() -> None:
    done = python_m_respram("serve", RESPRAM_MAX_TTL="soon")
    assert done.returncode == 2
    assert re.fullmatch(r"respram: RESPRAM_MAX_TTL must be [^\n]+\n", done.stderr)


def test_everyday_help_is_in_groups_and_fits_a_terminal() -> None:
    text = everyday_help()
    assert all(len(line) <= HELP_COLUMNS for line in text.splitlines()) and "--help-all" in text
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert shown == [f"--{name}" for names in EVERYDAY.values() for name in names] and len(shown) < len(OPTIONS) / 2


def test_all_of_the_help_is_there_when_asked_for(run: Run) -> None:
    assert run("serve", "--help-all")[1] == serve_help() and run("serve", "--help")[1] == everyday_help()
    assert "umask 077" in run("secret", "--help")[1]


@pytest.mark.parametrize("words", [["man"], ["completion", "bash"], ["serve", "--help-all"]])
def test_who_has_read_enough_sees_no_traceback(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "respram", *words], stdout=writer, stderr=subprocess.PIPE,
                          timeout=SOON_S, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_mistyped_command_gets_a_suggestion(run: Run) -> None:
    assert "did you mean respram serve?" in run("sevre")[2] and "use respram serve, " in run("xyz")[2]


def test_who_sits_at_a_terminal_is_told_when_the_node_is_ready() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "respram", "serve", "--port", "0", "--peer-port", "0", "--log-level", "warning"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while b"\n" not in said.partition(b"ready: redis-cli -p ")[2]:
            said += os.read(ours, 4096)
        port = int(said.partition(b"redis-cli -p ")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as one:
            one.sendall(b"PING\r\n")
            assert one.recv(16) == b"+PONG\r\n"
    finally:
        process.terminate()
        process.wait(SOON_S)
        os.close(ours)


@pytest.mark.parametrize(
    ("listener", "spelled", "command"),
    [
        ("clients", "127.0.0.1:6379,[::1]:6379", "redis-cli -p 6379"),
        ("clients", "10.0.0.7:6380", "redis-cli -h 10.0.0.7 -p 6380"),
        ("tls_clients", "[fd00::7]:6380", "redis-cli --tls -h fd00::7 -p 6380"),
        ("unix_clients", "/run/respram.sock:0", "redis-cli -s /run/respram.sock"),
    ],
)
def test_redis_cli_is_named_with_what_reaches_the_node(listener: str, spelled: str, command: str) -> None:
    assert reach(listener, spelled) == command
