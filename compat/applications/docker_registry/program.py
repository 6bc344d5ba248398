"""docker-registry with its cache of blob descriptors in Redis: push, pull, mount into another repository, delete, and
what is gone is gone.
"""

import hashlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from ports import reserve
from telling import HOST, PORT, check, same, say, true

START_S = 20
CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {place}}}
  cache: {{blobdescriptor: redis}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
redis: {{addr: "{host}:{redis}", db: 0, dialtimeout: 5s, readtimeout: 5s, writetimeout: 5s}}
"""


class Registry:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def __call__(self, method, path, body=None, **headers):
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(
            url, body, {name.replace("_", "-"): value for name, value in headers.items()}, method=method
        )
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read()

    def push_blob(self, name, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        status, headers, _ = self("POST", f"/v2/{name}/blobs/uploads/")
        same(status, 202)
        location = headers["Location"]
        location += ("&" if "?" in location else "?") + "digest=" + digest
        same(self("PUT", location, data, Content_Type="application/octet-stream")[0], 201)
        return digest


def starts(process, registry):
    end = time.monotonic() + START_S
    while True:
        true(process.poll() is None, "it starts", Path("registry.log").read_text()[-300:])
        try:
            same(registry("GET", "/v2/")[0], 200)
            return
        except urllib.error.URLError:
            true(time.monotonic() < end, "it answers")
            time.sleep(0.1)


def trouble():
    """What the registry logs of its cache, which it does without where it can."""
    lines = [line for line in Path("registry.log").read_text().splitlines() if "level=error" in line
             and "unknown tag" not in line]
    lines = [line for line in lines if 'err.code="blob unknown"' not in line]
    true(not lines, "no error of the cache", lines[:1])


def main():
    told = subprocess.run(["docker-registry", "--version"], capture_output=True, text=True, check=False)
    say("version", (told.stdout or told.stderr).split()[-1].removeprefix("v"))
    manifest_type = "application/vnd.docker.distribution.manifest.v2+json"
    with TemporaryDirectory() as place:
        port = reserve()
        Path("config.yml").write_text(CONFIG.format(place=place, port=port, host=HOST, redis=PORT))
        process = subprocess.Popen(["docker-registry", "serve", "config.yml"], stdout=Path("registry.log").open("w"),
                                   stderr=subprocess.STDOUT)
        registry, layer, settings = Registry(port), b"layer " * 1000, b'{"architecture":"amd64"}'
        pushed = {}

        def push():
            pushed["layer"], pushed["config"] = registry.push_blob("app", layer), registry.push_blob("app", settings)
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": manifest_type,
                "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(settings),
                           "digest": pushed["config"]},
                "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer),
                            "digest": pushed["layer"]}],
            }).encode()  # fmt: skip
            status, headers, _ = registry("PUT", "/v2/app/manifests/1.0", manifest, Content_Type=manifest_type)
            same(status, 201)
            pushed["manifest"] = headers["Docker-Content-Digest"]

        def pull():
            for _ in range(3):
                same(registry("GET", "/v2/app/manifests/1.0", Accept=manifest_type)[0], 200)
                same(registry("HEAD", f"/v2/app/blobs/{pushed['layer']}")[0], 200)
                same(registry("GET", f"/v2/app/blobs/{pushed['layer']}")[2], layer)

        def mount():
            same(registry("POST", f"/v2/other/blobs/uploads/?mount={pushed['layer']}&from=app")[0], 201)
            same(registry("HEAD", f"/v2/other/blobs/{pushed['layer']}")[0], 200)

        def not_theirs():
            same(registry("HEAD", f"/v2/stranger/blobs/{pushed['layer']}")[0], 404)

        def delete():
            same(registry("DELETE", f"/v2/app/blobs/{pushed['layer']}")[0], 202)
            same(registry("HEAD", f"/v2/app/blobs/{pushed['layer']}")[0], 404)
            same(registry("HEAD", f"/v2/other/blobs/{pushed['layer']}")[0], 200)

        def delete_manifest():
            same(registry("DELETE", f"/v2/app/manifests/{pushed['manifest']}")[0], 202)
            same(registry("GET", "/v2/app/manifests/1.0", Accept=manifest_type)[0], 404)

        try:
            check("starts", lambda: starts(process, registry))
            for name, call in (
                ("push", push), ("pull", pull), ("mount", mount), ("not-in-a-repository-that-has-it-not", not_theirs),
                ("delete", delete),
                ("delete-manifest", delete_manifest), ("cache-in-order", trouble),
            ):  # fmt: skip
                check(name, call)
        finally:
            process.kill()
            process.wait()
    say("done")


main()
