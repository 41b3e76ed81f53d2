// The application of the mesh tests: plain HTTP, scripted by the path, counting what reaches it.
//   /echo             what arrived, as JSON
//   /seq/KEY/503,200  the nth call of KEY gets the nth status, the last one from then on
//   /slow/MS          200 after so long
//   /flaky/VERSION/N  500 to every Nth, where this is that version
//   /lag/VERSION/MS   200, after so long where this is that version
//   /chain            calls NEXT, answers 500 where that failed
//   /digest           how many bytes came and their SHA-256, as JSON
//   /bytes/N          N bytes, the same each time, as fast as they are read; /given says how many of the last ones were
//   /hold             reads no content until /release, then as /digest
//   /trailers         the trailers that came, as JSON in chunks, with trailers of its own
//   /refuse           417 to who asks first (Expect: 100-continue), without a byte of content
//   Upgrade           websocket: echoes frames of up to 125 bytes; another token: 101, then every byte as it comes
//   /env /counts /given /release  for the test, asked at the application's own port
//   /exec             runs {command, environment, input} as a child of this application, with what `rig run` has put into its environment
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { Readable } from 'node:stream';

const { NAME = 'app', VERSION = '', INSTANCE = NAME, PORT = '0', NEXT = '', KEEP_ALIVE_MS } = process.env;
/** RFC 6455 section 1.3. */
const WEBSOCKET_KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CLOSE_OPCODE = 8;
/** A program that hangs is ended, so that the test can say so. */
const EXEC_TIMEOUT_MS = 40_000;
const counts = {};
const mesh = { proxy: process.env.HTTP_PROXY ?? '' };
let givenBytes = 0;
let release = () => {};

const verbs = {
  counts: (_request, response) => response.end(JSON.stringify(counts)),
  env: (_request, response) => response.end(JSON.stringify(mesh)),
  given: (_request, response) => response.end(JSON.stringify(givenBytes)),
  release(_request, response) {
    release();
    response.end();
  },
  async hold(request, response) {
    await new Promise((resolve) => {
      release = resolve;
    });
    await verbs.digest(request, response);
  },
  exec: async (request, response) => response.end(JSON.stringify(await execute(JSON.parse(await text(request))))),
  seq(request, response, [, list = '']) {
    const statuses = list.split(',').map(Number);
    response.statusCode = statuses[Math.min(counts[pathOf(request)], statuses.length) - 1] ?? 200;
    const bare = response.statusCode === 204 || response.statusCode === 304;
    response.end(bare ? '' : `${response.statusCode}\n`);
  },
  flaky(request, response, [version, nth]) {
    response.statusCode = version === VERSION && counts[pathOf(request)] % Number(nth) === 0 ? 500 : 200;
    response.end('flaky\n');
  },
  lag: (_request, response, [version, ms]) => setTimeout(() => response.end('lag\n'), version === VERSION ? Number(ms) : 10),
  slow: (_request, response, [ms]) => setTimeout(() => response.end('slow\n'), Number(ms)),
  async chain(request, response) {
    const headers = {};
    for (const name of ['traceparent', 'x-request-id']) if (request.headers[name]) headers[name] = request.headers[name];
    try {
      const next = await fetch(NEXT, { headers });
      await next.text();
      response.statusCode = next.ok ? 200 : 500;
    } catch {
      response.statusCode = 500;
    }
    response.end('chain\n');
  },
  async digest(request, response) {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of request) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }));
  },
  bytes(_request, response, [count]) {
    response.setHeader('content-length', count);
    givenBytes = 0;
    Readable.from(blocks(Number(count))).pipe(response);
  },
  async trailers(request, response) {
    await text(request);
    response.writeHead(200, { trailer: 'X-Check', 'content-type': 'application/json' });
    for (const half of [`{"trailers":`, `${JSON.stringify(request.trailers)}}`]) response.write(half);
    response.addTrailers({ 'X-Check': 'whole' });
    response.end();
  },
  async echo(request, response) {
    const body = await text(request);
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        name: NAME,
        version: VERSION,
        instance: INSTANCE,
        method: request.method,
        path: request.url,
        httpVersion: request.httpVersion,
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        body,
      }),
    );
  },
};

function pathOf(request) {
  return new URL(request.url ?? '/', 'http://app').pathname;
}

function answer(request, response) {
  const path = pathOf(request);
  const [, verb = '', ...rest] = path.split('/');
  if (!['counts', 'env', 'exec', 'given', 'release'].includes(verb)) {
    counts[path] = (counts[path] ?? 0) + 1;
    response.setHeader('x-instance', INSTANCE);
    response.setHeader('x-version', VERSION);
  }
  // A request that was cut short is no reason to end.
  Promise.resolve((verbs[verb] ?? verbs.echo)(request, response, rest)).catch(() => response.destroy());
}

const server = http.createServer(answer);
server.on('checkContinue', (request, response) => {
  if (pathOf(request) === '/refuse') {
    response.writeHead(417, { connection: 'close' }).end('no thanks\n');
    return;
  }
  response.writeContinue();
  answer(request, response);
});
server.on('upgrade', (request, socket, head) => {
  counts[pathOf(request)] = (counts[pathOf(request)] ?? 0) + 1;
  socket.on('error', () => {});
  const { upgrade = '' } = request.headers;
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${WEBSOCKET_KEY_SUFFIX}`).digest('base64');
  const own = upgrade === 'websocket' ? `Sec-WebSocket-Accept: ${accept}\r\n` : '';
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\n${own}\r\n`);
  const receive = (chunk) => {
    socket.write(upgrade === 'websocket' ? unmasked(chunk) : chunk);
    if (upgrade === 'websocket' && (chunk[0] & 0x0f) === CLOSE_OPCODE) socket.end();
  };
  if (head.length > 0) receive(head);
  socket.on('data', receive);
  socket.on('end', () => socket.end());
});

/** The frame of one small message that a client sent, as a server sends it. */
function unmasked(frame) {
  const length = frame[1] & 0x7f;
  const key = frame.subarray(2, 6);
  const content = frame.subarray(6, 6 + length).map((byte, index) => byte ^ key[index % 4]);
  return Buffer.concat([Buffer.from([frame[0], length]), content]);
}

function* blocks(total) {
  const block = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 31) & 0xff));
  for (let left = total; left > 0; left -= block.length) {
    givenBytes += Math.min(left, block.length);
    yield left < block.length ? block.subarray(0, left) : block;
  }
}

async function text(stream) {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}

function execute({ command, environment, input }) {
  const [program, ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'], timeout: EXEC_TIMEOUT_MS });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal)));
  return Promise.all([ended, text(child.stdout), text(child.stderr)]).then(
    ([code, stdout, stderr]) => ({ code, stdout, stderr }),
    (error) => ({ code: -1, stdout: '', stderr: String(error) }),
  );
}

if (KEEP_ALIVE_MS !== undefined) Object.assign(server, { keepAliveTimeout: Number(KEEP_ALIVE_MS), keepAliveTimeoutBuffer: 0 });
server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
