// In a network namespace of its own: a few addresses, sidecars to which connections are redirected, applications behind them, and calls. Prints what each call got.
//   node captured.mjs FILE    FILE: JSON {addresses, redirections, sidecars, applications, calls}
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { duplexPair } from 'node:stream';
import tls from 'node:tls';

const WAIT_MS = 15_000;
const CALL_MS = 5_000;
/** The first byte of TLS. */
const CLIENT_HELLO = 0x16;
const { addresses, redirections, sidecars, applications, calls } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const run = (line) => {
  const [program, ...args] = line.split(' ');
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
};
run('ip link set lo up');
for (const address of addresses) run(`ip address add ${address}/32 dev lo`);
// Addresses of services are nobody's: only who is redirected gets anywhere.
run('ip route add default dev lo src 127.0.0.1');
for (const { from = '', to = '', port } of redirections)
  run(`iptables -t nat -A OUTPUT ${from} ${to} -p tcp -j REDIRECT --to-ports ${port}`.replace(/ +/g, ' '));

/** Answers requests with what it saw of them, anything else with the same; `greeting`: it speaks first. */
function serve({ host, port, name, greeting }) {
  const requests = http.createServer((request, response) => {
    const { 'x-rule': rule, 'x-forwarded-client-cert': peer = '' } = request.headers;
    const caller = /URI=([^;,]*)/.exec(peer)?.[1];
    response.end([name, rule, caller].filter((part) => part !== undefined).join(' '));
  });
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    if (greeting !== undefined) socket.write(greeting);
    socket.once('data', (bytes) => {
      if (/^GET /.test(bytes)) {
        socket.pause();
        socket.unshift(bytes);
        requests.emit('connection', socket);
        socket.resume();
      } else socket.end(`${name} ${bytes[0] === CLIENT_HELLO ? 'tls' : bytes}`);
    });
  });
  return new Promise((resolve) => server.listen(port, host, resolve));
}

function ask({ from, to, port, host, headers }) {
  return new Promise((resolve) => {
    const options = { host: to, port, localAddress: from, agent: false, timeout: CALL_MS, headers: { host, ...headers } };
    const request = http.get(options, async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve(`${response.statusCode} ${response.statusCode === 200 ? body : ''}`.trim());
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', ({ code, message }) => resolve(code === 'ECONNRESET' ? 'closed' : (code ?? message)));
  });
}

function askHttp2({ from, to, port, host }) {
  return new Promise((resolve) => {
    const session = http2.connect(`http://${to}`, { createConnection: () => net.connect({ host: to, port, localAddress: from }) });
    session.setTimeout(CALL_MS, () => session.destroy(new Error('timeout')));
    session.on('error', ({ code, message }) => resolve(code ?? message));
    const request = session.request({ ':path': '/', ':authority': host });
    request.on('error', ({ code, message }) => resolve(code ?? message));
    request.on('response', async ({ ':status': status }) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      session.destroy();
      resolve(`${status} ${body}`);
    });
  });
}

function clientHello(servername) {
  const [ours, theirs] = duplexPair();
  tls.connect({ socket: theirs, servername }).on('error', () => {});
  return new Promise((resolve) => ours.once('data', resolve));
}

async function connect({ from, to, port, sni, bytes }) {
  const first = sni === undefined ? bytes : await clientHello(sni);
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ host: to, port, localAddress: from });
    if (first !== undefined) socket.write(first);
    socket.setTimeout(CALL_MS, () => socket.destroy(new Error('timeout')));
    socket.on('data', (chunk) => {
      text += chunk;
      if (first === undefined) socket.end();
    });
    socket.on('end', () => resolve(text === '' ? 'closed' : text));
    socket.on('close', () => resolve(text === '' ? 'closed' : text));
    socket.on('error', ({ code, message }) => resolve(code === 'ECONNRESET' ? 'closed' : (code ?? message)));
  });
}

for (const application of applications) await serve(application);
let log = '';
const children = sidecars.map(({ command: [program, ...args] }) => {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    log += text;
  });
  return child;
});
try {
  const untilMs = Date.now() + WAIT_MS;
  for (const { adminPort } of sidecars) {
    for (;;) {
      const state = await fetch(`http://127.0.0.1:${adminPort}/ready`).then(
        (response) => response.text(),
        () => '',
      );
      if (state.trim() === 'LIVE') break;
      if (Date.now() > untilMs) throw new Error('a sidecar is not ready');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const answers = await Promise.all(calls.map((call) => (call.host === undefined ? connect(call) : call.http2 ? askHttp2(call) : ask(call))));
  console.log(JSON.stringify(answers));
} finally {
  for (const child of children) child.kill('SIGKILL');
  process.stderr.write(log);
}
process.exit();
