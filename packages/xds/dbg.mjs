import { createServer as h2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { GrpcConnection } from './src/grpc/connection.ts';

const s = h2();
s.on('stream', (st) => {
  st.on('error', () => {});
  st.respond({ ':status': 200 });
});
await new Promise((r) => s.listen(0, '127.0.0.1', r));
const socks = [];
const w = createServer((n) => {
  const f = connect(s.address().port, '127.0.0.1');
  socks.push(n, f);
  n.pipe(f);
  f.pipe(n);
});
await new Promise((r) => w.listen(0, '127.0.0.1', r));
const c = await GrpcConnection.connect({ host: '127.0.0.1', port: w.address().port }, { keepAliveIntervalMs: 20, keepAliveTimeoutMs: 20 });
console.log('connected');
await new Promise((r) => {
  c.onPong = r;
});
console.log('pong');
c.open('/x/y', {
  onMessage() {},
  onEnd(e) {
    console.log('end', e?.message);
    process.exit();
  },
});
for (const x of socks) x.unpipe();
setTimeout(() => {
  console.log('closed?', c.closed);
  process.exit();
}, 1000);
