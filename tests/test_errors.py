"""The errors, by whose fault they are."""

from respram.errors import BindError, ClientError, ConfigError, PeerError


def test_a_client_error_holds_its_text_as_bytes_however_it_was_given() -> None:
    assert ClientError("ERR syntax error").text == ClientError(b"ERR syntax error").text == b"ERR syntax error"


def test_a_client_error_can_be_shown_whatever_bytes_it_holds() -> None:
    assert str(ClientError(b"ERR unknown command '\xff'")) == "ERR unknown command '\\xff'"


def test_a_fault_of_one_side_is_not_caught_as_the_others() -> None:
    assert issubclass(BindError, ConfigError)
    assert not issubclass(PeerError, ClientError | ConfigError)
    assert not issubclass(ConfigError, ClientError)
