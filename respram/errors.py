"""The errors of a node, split by whose fault they are.

A client's fault is answered with the text that Redis would send. A peer's fault closes the link and is
counted. A wrong setting ends the process with one line that says what to change. Anything else is a
bug here and is left to surface. Only exception classes may live in this file, and no message may ever
carry a value; a setting may be quoted where it holds no secret.
"""


class ClientError(Exception):
    """An error for a client: `text` is everything after the `-`, as in `ERR syntax error`."""

    text: bytes

    def __init__(self, text: str | bytes) -> None:
        self.text = text.encode() if isinstance(text, str) else text
        super().__init__(self.text)

    @staticmethod
    def saying(text: bytes) -> type["ClientError"]:
        """The class of all errors with this text. A text that has a name is such a class: `raise` makes a new error of
        a class each time. One error that is raised again and again would keep the frames of all its raises, and with
        them the replies that were being made.
        """

        class Said(ClientError):
            def __init__(self) -> None:
                pass  # the text is that of the class

        Said.text = text
        return Said

    def __str__(self) -> str:
        return self.text.decode("utf-8", "backslashreplace")


class AllowanceError(Exception):
    """A command has read more bytes of values than one may; `dispatch` tells its client."""


class PeerError(Exception):
    """A peer sent something invalid: its link is closed and counted."""


class ConfigError(Exception):
    """A setting is wrong; the message is one line that names it and says what to change. Exit code 2."""


class BindError(ConfigError):
    """An address cannot be listened on, because it is taken or not allowed. Exit code 1."""
