// An unchanged Node program on the package ws: `websocket.mjs server HOST PORT` sends each message back; `websocket.mjs client URL` talks and prints
// what it saw as JSON.
import { createHash } from 'node:crypto';
import { WebSocket, WebSocketServer } from 'ws';

const [role, ...args] = process.argv.slice(2);

if (role === 'server') {
  const server = new WebSocketServer({ host: args[0], port: Number(args[1]), maxPayload: 2 << 20, handleProtocols: (offered) => [...offered].at(-1) });
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
} else {
  const socket = new WebSocket(args[0], ['one', 'two']);
  const seen = { protocol: '', text: '', sha256: '', pong: '', close: 0, reason: '' };
  socket.on('open', () => {
    seen.protocol = socket.protocol;
    socket.send('grüße');
  });
  socket.on('message', (data, isBinary) => {
    if (!isBinary) {
      seen.text = String(data);
      socket.send(Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index % 251)));
    } else {
      seen.sha256 = createHash('sha256').update(data).digest('hex');
      socket.ping('still there?');
    }
  });
  socket.on('pong', (data) => {
    seen.pong = String(data);
    socket.close(4001, 'enough');
  });
  socket.on('close', (code, reason) => {
    Object.assign(seen, { close: code, reason: String(reason) });
    console.log(JSON.stringify(seen));
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
