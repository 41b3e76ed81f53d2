"""An unchanged Python program: `client.py LIBRARY URL` makes three calls and prints what came of them as JSON."""
import hashlib
import json
import os
import sys

BODY = bytes(index % 251 for index in range(1 << 20))


def urllib_(method, url, body, headers):
    import urllib.request

    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def tunnel(method, url, body, headers):
    """http.client through CONNECT, as a library does that tunnels plain HTTP too."""
    import http.client
    from urllib.parse import urlsplit

    to, proxy = urlsplit(url), urlsplit(os.environ["http_proxy"])
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=20)
    connection.set_tunnel(to.hostname, to.port)
    connection.request(method, to.path, body=body, headers=headers)
    return connection.getresponse().read()


def requests_(method, url, body, headers):
    import requests

    return requests.request(method, url, data=body, headers=headers, timeout=20).content


def httpx_(method, url, body, headers):
    import httpx

    return httpx.request(method, url, content=body, headers=headers, timeout=20).content


def aiohttp_(method, url, body, headers):
    import asyncio

    import aiohttp

    async def call():
        async with aiohttp.ClientSession(trust_env=True) as session:
            async with session.request(method, url, data=body, headers=headers) as answer:
                return await answer.read()

    return asyncio.run(call())


library, base = sys.argv[1:]
call = {"urllib": urllib_, "http.client": tunnel, "requests": requests_, "httpx": httpx_, "aiohttp": aiohttp_}[library]
print(
    json.dumps(
        {
            "echo": json.loads(call("GET", base + "/echo", None, {"X-Client": library})),
            "digest": json.loads(call("POST", base + "/digest", BODY, {"Content-Type": "application/octet-stream"})),
            "sha256": hashlib.sha256(call("GET", base + "/bytes/300000", None, {})).hexdigest(),
        }
    )
)
