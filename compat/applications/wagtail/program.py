"""Wagtail with django-redis for its cache and its sessions: an editor logs in, writes a page, publishes, deletes, logs
out; old cookies are dead.
"""

import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from telling import HOST, PORT, check, same, say, true

place = tempfile.TemporaryDirectory()
settings.configure(
    SECRET_KEY="k" * 50, DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, STATIC_URL="/static/",
    MEDIA_ROOT=place.name,
    MEDIA_URL="/media/", WAGTAIL_SITE_NAME="Site", WAGTAILADMIN_BASE_URL="http://testserver",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(place.name, "db"))}},
    CACHES={
        name: {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://{HOST}:{PORT}/0", "KEY_PREFIX": name}
        for name in ("default", "renditions")
    },
    SESSION_ENGINE="django.contrib.sessions.backends.cache", SESSION_CACHE_ALIAS="default",
    INSTALLED_APPS=[
        "wagtail.contrib.redirects", "wagtail.contrib.settings", "wagtail.contrib.simple_translation", "wagtail.embeds",
        "wagtail.sites",
        "wagtail.users", "wagtail.snippets", "wagtail.documents", "wagtail.images", "wagtail.search", "wagtail.admin",
        "wagtail", "modelcluster",
        "taggit", "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
        "django.contrib.sessions", "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]},
    }],
)  # fmt: skip
import django  # noqa: E402

django.setup()
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402
from wagtail import urls as wagtail_urls  # noqa: E402
from wagtail.admin import urls as admin_urls  # noqa: E402
from wagtail.models import Page, Site  # noqa: E402

urlpatterns = [path("admin/", include(admin_urls)), path("", include(wagtail_urls))]
PASSWORD = "a long password of ada"


def csrf(client, where):
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(where).content.decode())
    true(found, "a form")
    return found[1]


def login(client):
    token = csrf(client, "/admin/login/")
    answer = client.post(
        "/admin/login/", {"username": "ada", "password": PASSWORD, "next": "/admin/", "csrfmiddlewaretoken": token}
    )
    same(answer.status_code, 302)
    same(client.get("/admin/").status_code, 200)


def main():
    say("version", version("wagtail"))
    call_command("migrate", verbosity=0)
    get_user_model().objects.create_superuser("ada", "ada@example.org", PASSWORD)
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    home = Page.objects.get(depth=2)
    kept = {}

    def enters():
        login(client)
        kept["id"] = client.cookies["sessionid"].value

    def edits():
        where = f"/admin/pages/{home.pk}/edit/"
        form = {"title": "Changed", "slug": home.slug, "csrfmiddlewaretoken": csrf(client, where),
                "action-publish": "1", "comments-TOTAL_FORMS": 0}
        form |= {"comments-INITIAL_FORMS": 0, "comments-MIN_NUM_FORMS": 0, "comments-MAX_NUM_FORMS": ""}
        same(client.post(where, form).status_code, 302)
        same(Page.objects.get(pk=home.pk).title, "Changed")

    def moves_the_site():
        site = Site.objects.get()
        same(Site.find_for_request(client.get("/admin/").wsgi_request), site)
        site.site_name = "Other"
        site.save()  # deletes the cached paths of sites
        same(cache.get("wagtail_site_root_paths"), None)

    def deletes():
        child = home.add_child(instance=Page(title="Child", slug="child"))
        where = f"/admin/pages/{child.pk}/delete/"
        same(client.post(where, {"csrfmiddlewaretoken": csrf(client, where)}).status_code, 302)
        true(not Page.objects.filter(slug="child").exists(), "the page is gone")

    def leaves():
        token = client.cookies["csrftoken"].value
        same(client.post("/admin/logout/", {"csrfmiddlewaretoken": token}).status_code, 302)
        same(client.get("/admin/").status_code, 302)

    def old_cookie():
        thief = Client(raise_request_exception=False)
        thief.cookies["sessionid"] = kept["id"]
        same(thief.get("/admin/").status_code, 302)

    def caches():
        cache.set("k", [1, "two"], 60)
        same([cache.get("k"), cache.incr("n", 1) if cache.add("n", 1, 60) else None, cache.delete("k"), cache.get("k")],
             [[1, "two"], 2, True, None])

    for name, call in (
        ("login", enters), ("edit-and-publish", edits), ("change-the-site", moves_the_site), ("delete-a-page", deletes),
        ("logout", leaves),
        ("old-cookie-is-dead", old_cookie), ("login-again", lambda: login(client)), ("cache", caches),
        ("cache-clear-by-pattern", lambda: true(cache.delete_pattern("*") >= 0, "a count")),
    ):  # fmt: skip
        check(name, call)
    say("done")


if __name__ == "__main__":
    main()
