"""A Django site with a cache, and people who log in and out: `program.py CACHE_BACKEND SESSION_ENGINE`."""

import os
import subprocess
import sys
import time

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from telling import ENCLAVE, HOST, PORT, Refused, check, raises, same, say, true, until

sys.path.append(os.environ["RESPRAM_SOURCE"])
BACKEND, ENGINE = sys.argv[1:3]
ADAPTED = BACKEND.startswith("respram")


def store(port=PORT, **more):
    return {"BACKEND": BACKEND, "LOCATION": f"redis://{HOST}:{port}", **more}


settings.configure(
    SECRET_KEY="of the matrix",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={
        "default": store(),
        "other": store(KEY_PREFIX="other"),
        "again": store(),
        **{f"node{port}": store(port) for port in ENCLAVE},
    },
    SESSION_ENGINE=ENGINE,
    USE_TZ=True,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth import authenticate, login, logout  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client, override_settings  # noqa: E402


def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def enter(request):
    login(request, authenticate(request, username="ada", password="lovelace"))
    return HttpResponse("in")


def leave(request):
    logout(request)
    return HttpResponse("out")


def who(request):
    return HttpResponse(request.user.username or "nobody")


urlpatterns = [path("visit", visit), path("enter", enter), path("leave", leave), path("who", who)]
cache, other, again = caches["default"], caches["other"], caches["again"]


def by_design(name, call, what, left=None):
    """With the adapter it works; without, the refusal reaches the application as an error. `left` looks at what it
    leaves behind.
    """

    def run():
        if ADAPTED:
            call()
        else:
            raises(call, "refused by design")
            if left:
                left()
            raise Refused(what)

    check(name, run)


def body(client, url):
    return client.get(url).content.decode()


def cookie(client):
    return client.cookies["sessionid"].value


def with_cookie(value):
    client = Client()
    client.cookies["sessionid"] = value
    return client


# -- the cache ------------------------------------------------------------------------------------
def stored():
    value = {"a": [1, 2.5, None], "b": b"\x00\xff", "c": "\u00e9"}
    cache.set("value", value, 60)
    same((cache.get("value"), cache.get("missing"), cache.get("missing", 7), "value" in cache), (value, None, 7, True))


def several():
    cache.set_many({"m1": 1, "m2": "two"}, 60)
    same(cache.get_many(["m1", "m2", "m3"]), {"m1": 1, "m2": "two"})
    same(cache.get_or_set("made", lambda: "once", 60), "once")


def counted():
    cache.set("n", 1, 60)
    same([cache.incr("n"), cache.incr("n", 5), cache.decr("n"), cache.get("n")], [2, 7, 6, 6])
    raises(lambda: cache.incr("no number"), "not found")


def added():
    same([cache.add("once", 1, 60), cache.add("once", 2, 60), cache.get("once")], [True, False, 1])


def timed():
    cache.set("brief", 1, 1)
    cache.set("touched", 1, 1)
    same(cache.touch("touched", 60), True)
    time.sleep(1.1)
    same([cache.get("brief"), cache.get("touched"), cache.touch("brief", 60)], [None, 1, False])


def versions():
    cache.set("v", "one", 60, version=1)
    cache.set("v", "two", 60, version=2)
    same([cache.get("v"), cache.get("v", version=2)], ["one", "two"])


def deleted():
    cache.set("gone", 1, 60)
    cache.set_many({"g1": 1, "g2": 2}, 60)
    same([cache.delete("gone"), cache.get("gone"), "gone" in cache, cache.delete("gone")], [True, None, False, False])
    same([cache.add("gone", 2, 60), cache.get("gone")], [True, 2])
    cache.delete_many(["g1", "g2"])
    same(cache.get_many(["g1", "g2"]), {})


def not_at_all():
    cache.set("zero", 1, 60)
    cache.set("zero", 2, 0)
    same([cache.get("zero"), cache.add("zero 2".replace(" ", "-"), 1, 0), cache.get("zero-2")], [None, True, None])


def for_ever():
    cache.set("forever", 1, None)
    cache.set("touched", 1, 60)
    same([cache.touch("touched", None), cache.get("forever")], [True, 1])


def cleared():
    cache.set("cleared", 1, 60)
    other.set("kept", 1, 60)
    same(again.get("cleared"), 1)
    cache.clear()
    same([cache.get("cleared"), cache.add("cleared", 2, 60)], [None, True])
    same([again.get("cleared"), other.get("kept"), elsewhere()], [2, 1, "2"])


def elsewhere():
    """What another process reads: of a clear it knows only from the node."""
    words = [sys.executable, __file__, BACKEND, ENGINE, "read", "cleared"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


# -- sessions -------------------------------------------------------------------------------------
def visited():
    client = Client()
    same([body(client, "/visit"), body(client, "/visit"), body(with_cookie(cookie(client)), "/visit")], ["1", "2", "3"])


def fresh_login():
    client = Client()
    same([body(client, "/enter"), body(client, "/who")], ["in", "ada"])


def rotated():
    client = Client()
    body(client, "/visit")
    before = cookie(client)
    body(client, "/enter")
    true(cookie(client) != before, "a new cookie at login")
    same([body(client, "/who"), body(client, "/visit"), body(with_cookie(before), "/visit")], ["ada", "2", "1"])


def logged_out():
    client = Client()
    body(client, "/enter")
    before = cookie(client)
    same(body(with_cookie(before), "/who"), "ada")
    body(client, "/leave")
    same([body(client, "/who"), body(with_cookie(before), "/who")], ["nobody", "nobody"])


def still_in():
    client = Client()
    body(client, "/enter")
    before = cookie(client)
    raises(lambda: body(client, "/leave"), "refused by design")
    same(body(with_cookie(before), "/who"), "ada")


def value_stays():
    cache.set("stays", 1, 60)
    raises(lambda: cache.delete("stays"), "refused by design")
    same(cache.get("stays"), 1)


def left_everywhere():
    """A site that runs once at each node of an enclave: a logout at one is a logout at all."""
    client = Client()
    with override_settings(SESSION_CACHE_ALIAS=f"node{ENCLAVE[0]}"):
        body(client, "/enter")
    before = cookie(client)
    for port in ENCLAVE:
        true(until(lambda port=port: known_at(port, before) == "ada", 15), "the session on every node")
    with override_settings(SESSION_CACHE_ALIAS=f"node{ENCLAVE[0]}"):
        body(client, "/leave")
    for port in ENCLAVE:
        true(until(lambda port=port: known_at(port, before) == "nobody", 15), "no session on any node")


def known_at(port, value):
    with override_settings(SESSION_CACHE_ALIAS=f"node{port}"):
        return body(with_cookie(value), "/who")


def main():
    if sys.argv[3:4] == ["read"]:
        print(cache.get(sys.argv[4]))
        return
    say("version", django.get_version())
    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", password="lovelace")
    check("get-set", stored)
    check("many", several)
    check("incr", counted)
    check("add", added)
    check("timeout-touch", timed)
    check("version", versions)
    by_design("delete", deleted, "delete raises, and the value stays", value_stays)
    by_design("timeout-zero", not_at_all, "a timeout of 0 is a delete")
    by_design("timeout-none", for_ever, "touch(key, None) is PERSIST")
    by_design("clear", cleared, "clear is FLUSHDB")
    check("session", visited)
    check("session-login", fresh_login)
    by_design("session-rotation", rotated, "login from an anonymous session raises: the old one cannot be deleted")
    by_design("session-logout", logged_out, "logout raises, and the old cookie still logs in", still_in)
    by_design("logout-everywhere", left_everywhere, "as on one node")
    say("done")


main()
