# One service of the shop, in Python's standard library. See service.mjs: the same behaviour.
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

NAME = os.environ.get("NAME", "service")
VERSION = os.environ.get("VERSION", "v1")
PORT = int(os.environ.get("PORT", "9000"))
NEXT = os.environ.get("NEXT", "")
state = {"fail_with": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet, else the kernel waits for an acknowledgement between them.
    wbufsize = -1

    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/healthz":
            return self.answer(200, {"ok": True})
        if url.path == "/fail":
            state["fail_with"] = int(parse_qs(url.query).get("status", ["0"])[0])
            return self.answer(200, {"service": NAME, "answers": state["fail_with"] or 200})
        if state["fail_with"]:
            return self.answer(state["fail_with"], {"service": NAME, "version": VERSION, "error": "told to fail"})
        body = {"service": NAME, "version": VERSION, "path": url.path}
        if NEXT:
            names = ("traceparent", "x-request-id")
            headers = {name: self.headers[name] for name in names if self.headers.get(name)}
            try:
                with urllib.request.urlopen(urllib.request.Request(NEXT, headers=headers), timeout=30) as response:
                    body["next"] = json.load(response)
            except urllib.error.HTTPError as error:
                status = 500 if error.code >= 500 else error.code
                return self.answer(status, {"service": NAME, "version": VERSION, "error": f"{NEXT} answered {error.code}"})
            except OSError as error:
                return self.answer(502, {"service": NAME, "version": VERSION, "error": str(error)})
        self.answer(200, body)

    def answer(self, status, body):
        text = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    # Python's 5 is too few for the connections of a burst: the sixth waits a second.
    request_queue_size = 128


server = Server(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
