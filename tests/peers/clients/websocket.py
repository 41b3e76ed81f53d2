# An unchanged Python program on the package websockets: `websocket.py server HOST PORT` sends each message back; `websocket.py client URL` talks
# and prints what it saw as JSON.
import asyncio
import hashlib
import json
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def server(host, port):
    async with serve(echo, host, int(port), max_size=2 << 20, subprotocols=["two"]) as listening:
        await listening.serve_forever()


async def client(url):
    connection = await connect(url, max_size=2 << 20, subprotocols=["one", "two"])
    await connection.send("grüße")
    text = await connection.recv()
    await connection.send(bytes(index % 251 for index in range(1 << 20)))
    digest = hashlib.sha256(await connection.recv()).hexdigest()
    await (await connection.ping("still there?"))
    await connection.close(4001, "enough")
    print(
        json.dumps(
            {
                "protocol": connection.subprotocol,
                "text": text,
                "sha256": digest,
                "pong": "still there?",
                "close": connection.close_code,
                "reason": connection.close_reason,
            }
        )
    )


asyncio.run(server(*sys.argv[2:]) if sys.argv[1] == "server" else client(sys.argv[2]))
