"""The errors, by whose fault they are."""

from respram.errors import BindError, ClientError, ConfigError, PeerError


def test_a_client_error_holds_its_text_as_bytes_however_it_was_given() -> None:
    assert ClientError("ERR syntax error").text == ClientError(b"ERR syntax error").text == b"ERR syntax error"


def test_a_client_error_can_be_shown_whatever_bytes_it_holds() -> None:
    assert str(ClientError(b"ERR unknown command '\xff'")) == "ERR unknown command '\\xff'"


def test_an_error_whose_text_has_a_name_is_made_anew_by_each_raise() -> None:
    """The same object would keep the frames of all its raises, and grow with each."""
    named = ClientError.saying(b"ERR no such thing")
    assert named.text == b"ERR no such thing"
    raised = []
    for _ in range(2):
        try:
            raise named
        except ClientError as error:
            raised.append(error)
    first, second = raised
    assert first is not second and first.text == second.text == b"ERR no such thing"
    assert str(first) == "ERR no such thing"


def test_a_fault_of_one_side_is_not_caught_as_the_others() -> None:
    assert issubclass(BindError, ConfigError)
    assert not issubclass(PeerError, ClientError | ConfigError)
    assert not issubclass(ConfigError, ClientError)
