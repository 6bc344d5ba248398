"""Django REST framework's throttling, with its counters in the node by Django's own Redis backend."""

import django
import rest_framework
from django.conf import settings
from django.urls import path
from telling import HOST, PORT, check, same, say

settings.configure(
    SECRET_KEY="of the matrix",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://{HOST}:{PORT}"}
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_THROTTLE_RATES": {"anon": "3/minute"},
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from rest_framework.throttling import AnonRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Limited(APIView):
    throttle_classes = (AnonRateThrottle,)

    def get(self, request):
        return Response("in")


urlpatterns = [path("limited", Limited.as_view())]


def throttled():
    same([APIClient().get("/limited").status_code for _ in range(5)], [200, 200, 200, 429, 429])
    same(APIClient().get("/limited", REMOTE_ADDR="127.0.0.9").status_code, 200)


say("version", rest_framework.VERSION)
check("throttle", throttled)
say("done")
