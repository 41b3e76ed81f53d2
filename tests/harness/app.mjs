// The application of the mesh tests: plain HTTP, scripted by the path, counting what reaches it.
//   /echo             what arrived, as JSON
//   /seq/KEY/503,200  the nth call of KEY gets the nth status, the last one from then on
//   /slow/MS          200 after so long
//   /chain            calls NEXT, answers 500 where that failed
//   /env /counts      for the test, asked at the application's own port
import http from 'node:http';

const { NAME = 'app', VERSION = '', INSTANCE = NAME, PORT = '0', NEXT = '' } = process.env;
const counts = {};
const mesh = { proxy: process.env.HTTP_PROXY ?? '' };

const server = http.createServer(async (request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://app');
  const [, verb = '', key = '', list = ''] = pathname.split('/');
  if (verb === 'counts') return response.end(JSON.stringify(counts));
  if (verb === 'env') return response.end(JSON.stringify(mesh));
  counts[pathname] = (counts[pathname] ?? 0) + 1;
  response.setHeader('x-instance', INSTANCE);
  response.setHeader('x-version', VERSION);
  if (verb === 'seq') {
    const statuses = list.split(',').map(Number);
    response.statusCode = statuses[Math.min(counts[pathname], statuses.length) - 1] ?? 200;
    return response.end(`${response.statusCode}\n`);
  }
  if (verb === 'slow') {
    setTimeout(() => response.end('slow\n'), Number(key));
    return;
  }
  if (verb === 'chain' && NEXT !== '') {
    const headers = {};
    for (const name of ['traceparent', 'x-request-id']) if (request.headers[name]) headers[name] = request.headers[name];
    try {
      const next = await fetch(NEXT, { headers });
      await next.text();
      response.statusCode = next.ok ? 200 : 500;
    } catch {
      response.statusCode = 500;
    }
    return response.end('chain\n');
  }
  let body = '';
  for await (const chunk of request) body += chunk;
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      name: NAME,
      version: VERSION,
      instance: INSTANCE,
      method: request.method,
      path: request.url,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body,
    }),
  );
});
server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
