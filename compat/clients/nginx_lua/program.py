"""nginx with lua-nginx-redis (Debian's name of lua-resty-redis), as Debian packages them: each check is a request to
nginx.

The checks themselves are in `checks.lua` and run in a worker of nginx, on its own sockets.
"""

import os
import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from ports import reserve
from telling import restart, say

CONFIG = """
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
master_process off;
pid {here}/nginx.pid;
error_log {here}/error.log;
env RESPRAM_HOST;
env RESPRAM_PORT;
env RESPRAM_AUTH_PORT;
env RESPRAM_PASSWORD;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
    lua_package_path "{here}/?.lua;/usr/share/lua/5.1/?.lua;;";
    server {{
        listen 127.0.0.1:{port};
        location / {{ content_by_lua 'require("checks")(ngx.var.uri:sub(2))'; }}
    }}
}}
"""
NGINX = "nginx"
START_S = 15.0


def asked(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=20) as answer:
        return answer.read().decode(errors="replace").strip()


def reached(port, nginx):
    end = time.monotonic() + START_S
    while time.monotonic() < end and nginx.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def main():
    here = Path("nginx").resolve()
    here.mkdir(exist_ok=True)
    (here / "checks.lua").write_text(Path("checks.lua").read_text())
    port = reserve()
    (here / "nginx.conf").write_text(CONFIG.format(here=here, port=port))
    nginx = subprocess.Popen([NGINX, "-p", str(here), "-c", str(here / "nginx.conf")], env=os.environ)
    try:
        if not reached(port, nginx):
            say("fail", "connect", f"expected=nginx got={(here / 'error.log').read_text()[-200:]}")
            return
        say("version", asked(port, "version"))
        for name in re.findall(r"^checks\['([\w-]+)'\]", Path("checks.lua").read_text(), re.MULTILINE):
            if name == "restart":
                restart()
            said = asked(port, name)
            say("ok" if said == "ok" else "fail", name, "" if said == "ok" else said)
    finally:
        nginx.terminate()
        nginx.wait(10)
    say("skip", "resp3", "this client speaks RESP2 only")
    say("skip", "tls", "this version has none")
    say("done")


main()
