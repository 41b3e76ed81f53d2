// One service of the shop, in Node. Plain HTTP, no mesh in it: it calls the next service by its name, and passes on
// `traceparent` and `x-request-id`, the one thing that no mesh can do for it.
import http from 'node:http';

const { NAME = 'service', VERSION = 'v1', PORT = '9000', NEXT = '' } = process.env;
let failWith = 0;

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/healthz') return response.end('ok\n');
  // For the experiment "make payment fail": the demo calls this at the application's own port.
  if (url.pathname === '/fail') {
    failWith = Number(url.searchParams.get('status') ?? 0);
    return response.end(`${NAME} answers ${failWith || 200}\n`);
  }
  if (failWith > 0) {
    response.statusCode = failWith;
    return response.end(JSON.stringify({ service: NAME, version: VERSION, error: 'told to fail' }) + '\n');
  }
  const answer = { service: NAME, version: VERSION, path: url.pathname, next: undefined };
  if (NEXT !== '') {
    const headers = {};
    for (const name of ['traceparent', 'x-request-id']) if (request.headers[name]) headers[name] = request.headers[name];
    try {
      const next = await fetch(NEXT, { headers });
      const body = await next.text();
      if (!next.ok) {
        response.statusCode = Math.min(next.status, 500);
        return response.end(JSON.stringify({ service: NAME, version: VERSION, error: `${NEXT} answered ${next.status}` }) + '\n');
      }
      answer.next = JSON.parse(body);
    } catch (error) {
      response.statusCode = 502;
      return response.end(JSON.stringify({ service: NAME, version: VERSION, error: String(error.cause ?? error) }) + '\n');
    }
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(answer) + '\n');
});
server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 2000).unref();
});
