"""ACL: users made, shown, changed and removed, and what that means for who is connected."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from respram.commands import acl
from respram.commands.acl_user import hash_of
from respram.config.settings import Config
from respram.errors import ClientError

from .rig import NIL, OK, ONE, ZERO, Client, Reference, Rig, array, bulk

LINES = [
    b"SETUSER u +nosuch", b"SETUSER u +@nosuch", b"SETUSER u foo", b"SETUSER u %X~a", b"SETUSER u +client|nosuch",
    b"SETUSER u allkeys ~a", b"SETUSER u allchannels &a", b"SETUSER u", b"LIST", b"USERS", b"GETUSER nobody",
    b"GETUSER default",
    b"GETUSER u", b"CAT nosuch", b"CAT", b"CAT a b", b"GENPASS 0", b"GENPASS 4097", b"GENPASS x", b"GENPASS 1 2",
    b"SAVE", b"LOAD",
    b"DELUSER default", b"DELUSER nobody", b"LOG x", b"LOG RESET", b"LOG 1 2", b"WHOAMI", b"NOSUCH", b"GETUSER",
    b"SETUSER",
    b"SETUSER v on >p ~a:* %R~b &c +client|id", b"GETUSER v", b"LIST", b"SETUSER v +get -get nopass resetkeys",
    b"LIST", b"SETUSER v reset", b"LIST", b"DELUSER u v nobody", b"LIST",
    b"SETUSER u (", b"SETUSER u )", b"SETUSER u (+get", b"SETUSER u (+get ~a on", b"SETUSER u (on)",
    b"SETUSER u ((+get))",
    b"SETUSER u (+nosuch)", b"SETUSER u (~* ~a)", b"SETUSER u (reset)", b"SETUSER u +config|", b"GETUSER u",
    b"SETUSER u on ~a:* +get (+set ~b:*) (+publish &n*) (%R~c:* allcommands) ()", b"LIST", b"GETUSER u",
    b"DRYRUN u get b:1", b"DRYRUN u set b:1 x", b"DRYRUN u set a:1 x", b"DRYRUN u publish x y",
    b"DRYRUN u publish n1 y",
    b"DRYRUN u mget a:1 b:1", b"DRYRUN u mset b:1 v c:2 v", b"DRYRUN u mget c:1 b:1", b"DRYRUN u get c:1",
    b"DRYRUN u ping",
    b"SETUSER u clearselectors", b"LIST", b"SETUSER u (+set ~b:*)", b"SETUSER u reset", b"LIST", b"DELUSER u",
]  # fmt: skip


class File:
    """A users file in memory."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def read(self) -> bytes:
        return self.content

    def write(self, content: bytes) -> None:
        self.content = content


def test_answers_are_those_of_a_real_server(client: Client, reference: Reference) -> None:
    try:
        for line in LINES:
            words = (b"ACL", *line.split(b" "))
            assert client(*words) == reference(*words), line
    finally:
        reference(b"ACL", b"DELUSER", b"u", b"v")


def test_one_wrong_rule_and_nothing_is_changed(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"+get")
    before = client(b"ACL", b"GETUSER", b"u")
    assert client(b"ACL", b"SETUSER", b"u", b"+set", b"off", b"nonsense").startswith(
        b"-ERR Error in ACL SETUSER modifier 'nonsense'"
    )
    assert client(b"ACL", b"GETUSER", b"u") == before
    assert client(b"ACL", b"SETUSER", b"v", b"nonsense").startswith(b"-ERR")
    assert client(b"ACL", b"GETUSER", b"v") == NIL


def test_a_password_is_not_repeated_in_an_error(client: Client) -> None:
    for rule in (b"<hunter2", b"#hunter2", b"!hunter2", b"(>hunter2", b"(>hunter2)", b"(+get >hunter2)"):
        assert b"hunter2" not in client(b"ACL", b"SETUSER", b"u", rule)


def test_several_passwords_serve_and_one_can_be_taken_away(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b">old", b">new", b"+ping")
    assert client.other()(b"AUTH", b"u", b"old") == OK
    client(b"ACL", b"SETUSER", b"u", b"<old")
    assert client.other()(b"AUTH", b"u", b"old").startswith(b"-WRONGPASS")
    assert client.other()(b"HELLO", b"3", b"AUTH", b"u", b"new").startswith(b"%7")


def test_a_user_that_is_off_is_not_let_in_but_may_stay(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b">p", b"+ping", b"+acl|whoami")
    user = client.other()
    user(b"AUTH", b"u", b"p")
    client(b"ACL", b"SETUSER", b"u", b"off")
    assert client.other()(b"AUTH", b"u", b"p").startswith(b"-WRONGPASS")
    assert user(b"ACL", b"WHOAMI") == bulk(b"u")


def test_a_removed_user_is_disconnected(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+@all")
    user = client.other()
    user(b"AUTH", b"u", b"x")
    assert client(b"ACL", b"DELUSER", b"u", b"nobody") == ONE
    assert user.line.closed and not client.line.closed
    assert client(b"ACL", b"DELUSER", b"u") == ZERO


def test_a_listener_that_may_no_longer_listen_is_disconnected(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+@all", b"&a", b"&b*")
    one, two = client.other(), client.other()
    for other in (one, two):
        other(b"AUTH", b"u", b"x")
    one(b"SUBSCRIBE", b"a")
    two(b"PSUBSCRIBE", b"b*")
    client(b"ACL", b"SETUSER", b"u", b"resetchannels", b"&b*")
    assert one.line.closed and not two.line.closed


def test_rights_change_for_who_is_connected(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+get", b"~*")
    user = client.other()
    user(b"AUTH", b"u", b"x")
    assert user(b"SET", b"k", b"v").startswith(b"-NOPERM")
    client(b"ACL", b"SETUSER", b"u", b"+@all")
    assert user(b"SET", b"k", b"v") == OK


def test_requirepass_and_the_default_user_are_one(client: Client) -> None:
    client(b"CONFIG", b"SET", b"requirepass", b"pw")
    assert client(b"ACL", b"LIST") == array(bulk(b"user default on #" + hash_of(b"pw") + b" ~* &* +@all"))
    stranger = client.other()
    assert stranger(b"GET", b"k") == b"-NOAUTH Authentication required.\r\n"
    client(b"ACL", b"SETUSER", b"default", b">second")
    assert stranger(b"AUTH", b"second") == OK
    client(b"ACL", b"SETUSER", b"default", b"off")
    assert client.other()(b"AUTH", b"pw").startswith(b"-WRONGPASS")
    assert client.other()(b"PING").startswith(b"-NOAUTH")


def test_a_node_on_the_network_is_not_opened(rig: Rig) -> None:
    rig.node.config = replace(Config(), bind=("0.0.0.0",))
    rig.node.password = b"pw"
    client = rig.connect()
    client(b"AUTH", b"pw")
    assert client(b"ACL", b"SETUSER", b"default", b"nopass").startswith(b"-ERR a node that listens beyond loopback")
    assert rig.connect()(b"PING").startswith(b"-NOAUTH")
    rig.node.users_file = File(b"user default on nopass ~* +@all\n")
    assert b"listens beyond loopback" in client(b"ACL", b"LOAD")
    assert rig.connect()(b"PING").startswith(b"-NOAUTH")


def test_genpass_has_the_bits_asked_for(client: Client) -> None:
    one, two = client(b"ACL", b"GENPASS"), client(b"ACL", b"GENPASS")
    assert one.startswith(b"$64\r\n") and one != two
    assert client(b"ACL", b"GENPASS", b"5").startswith(b"$2\r\n")
    assert client(b"ACL", b"GENPASS", b"4096").startswith(b"$1024\r\n")


def test_every_category_but_those_of_other_types_has_commands(client: Client) -> None:
    assert bulk(b"get") in client(b"ACL", b"CAT", b"READ") and bulk(b"client|kill") in client(b"ACL", b"CAT", b"admin")
    assert client(b"ACL", b"CAT", b"geo") == b"*0\r\n"


def test_saved_users_are_loaded_again(client: Client) -> None:
    file = client.conn.node.users_file = File()
    client(b"ACL", b"SETUSER", b"u", b"on", b">p", b"~a*", b"+@read", b"-mget")
    listed = client(b"ACL", b"LIST")
    assert client(b"ACL", b"SAVE") == OK and b"hunter" not in file.content
    client(b"ACL", b"DELUSER", b"u")
    assert client(b"ACL", b"LOAD") == OK
    assert client(b"ACL", b"LIST") == listed


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"user u on\nuser u off\n", b"line 2: the user appears twice"),
        (b"\nu on >hunter2", b"line 2 should start with user <username>"),
        (b"user u on #hunter2", b"line 1: The password hash must be"),
        (b"user u +nosuch", b"line 1: Unknown command"),
        (b"user " + b"x" * 2000, b"line 1: ERR Usernames"),
        (b"x" * (acl.FILE_BYTES_MAX + 1), b"longer than"),
        (b"\xff\x00\xfe", b"line 1 should start"),
    ],
)  # fmt: skip
def test_a_wrong_file_changes_nothing_and_is_not_quoted(client: Client, content: bytes, complaint: bytes) -> None:
    client(b"ACL", b"SETUSER", b"keep", b"on", b">p")
    before = client(b"ACL", b"LIST")
    client.conn.node.users_file = File(content)
    reply = client(b"ACL", b"LOAD")
    assert reply.startswith(b"-ERR ") and complaint in reply and b"hunter2" not in reply
    assert client(b"ACL", b"LIST") == before


def test_a_file_without_a_default_user_leaves_requirepass_standing(rig: Rig) -> None:
    rig.node.password = b"pw"
    rig.node.users_file = File(b"user u on >p +@all ~*\n")
    acl.load(rig.node, None)
    assert rig.connect()(b"PING").startswith(b"-NOAUTH") and rig.connect()(b"AUTH", b"pw") == OK


def test_a_file_that_cannot_be_read_is_an_error(rig: Rig) -> None:
    class Broken:
        def read(self) -> bytes:
            raise PermissionError(13, "Permission denied")

        def write(self, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    rig.node.users_file = Broken()
    with pytest.raises(ClientError, match="Permission denied"):
        acl.load(rig.node, None)
    assert b"No space left" in rig.connect()(b"ACL", b"SAVE")


def test_clients_are_found_by_their_user(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"u", b"on", b"nopass", b"+@all")
    user: Callable[..., bytes] = client.other()
    user(b"AUTH", b"u", b"x")
    assert b"user=u " in client(b"CLIENT", b"LIST")
    assert client(b"CLIENT", b"KILL", b"USER", b"u") == ONE
    assert client(b"CLIENT", b"KILL", b"USER", b"nobody") == b"-ERR No such user 'nobody'\r\n"
