// What the four services share: a server on loopback, and calls to the next service. Nothing of a mesh is in it but the headers that a
// service has to pass on: who the user is (routing by user), and the two by which calls are one trace.
import http from 'node:http';

const { PORT = '9080', VERSION = 'v1' } = process.env;
const passedOn = ['end-user', 'traceparent', 'x-request-id'];
const served = {};

/** `routes`: by path; ":id" stands for one part of it. A handler gives what is to be answered: text, HTML or an object. */
export function serve(name, routes) {
  const known = Object.entries(routes).map(([path, handle]) => ({ pattern: new RegExp(`^${path.replace(':id', '([^/]+)')}$`), handle }));
  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const send = (status, body, headers = {}) => {
      const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`;
      const type = typeof body !== 'string' ? 'application/json' : text.startsWith('<') ? 'text/html; charset=utf-8' : 'text/plain';
      response.writeHead(status, { 'content-type': type, ...headers }).end(text);
    };
    if (pathname === '/health') return send(200, 'ok\n');
    // How often each path was asked for: `curl http://127.0.0.1:PORT/served`, to see what mirroring sends.
    if (pathname === '/served') return send(200, served);
    served[pathname] = (served[pathname] ?? 0) + 1;
    for (const { pattern, handle } of known) {
      const match = pattern.exec(pathname);
      if (match === null) continue;
      try {
        const { status = 200, body = '', headers } = await handle(request, match[1]);
        return send(status, body, headers);
      } catch (error) {
        return send(500, { service: name, version: VERSION, error: String(error) });
      }
    }
    send(404, { service: name, version: VERSION, error: `nothing is at ${pathname}` });
  });
  server.listen(Number(PORT), '127.0.0.1', () => console.log(`${name} ${VERSION} listens on 127.0.0.1:${PORT}`));
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 2000).unref();
  });
}

/** JSON of another service. Throws where it does not answer 200 in time. */
export async function ask(url, { headers, timeoutMs }) {
  const own = Object.fromEntries(passedOn.filter((name) => headers[name] !== undefined).map((name) => [name, headers[name]]));
  const answer = await fetch(url, { headers: own, signal: AbortSignal.timeout(timeoutMs) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return JSON.parse(text);
}

export async function bodyOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}
