"""scrapy-redis' filter of requests that were seen, over two crawls."""

from importlib.metadata import version

import redis
from scrapy import Request
from scrapy_redis.dupefilter import RFPDupeFilter
from telling import HOST, PORT, check, same, say

say("version", version("scrapy-redis"))
seen = RFPDupeFilter(redis.Redis(HOST, PORT), "seen:crawl")
check("first-is-new", lambda: same(seen.request_seen(Request("http://a.test/1")), False))
check("second-is-known", lambda: same(seen.request_seen(Request("http://a.test/1")), True))
check("another-is-new", lambda: same(seen.request_seen(Request("http://a.test/2")), False))
check("clear", lambda: seen.clear())
check("new-after-clearing", lambda: same(seen.request_seen(Request("http://a.test/1")), False))
say("done")
