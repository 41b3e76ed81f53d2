// An application that speaks HTTP/2 without TLS (h2c) and nothing else, on PORT: answers with what arrived, as JSON, and a trailer.
import http2 from 'node:http2';

const server = http2.createServer();
server.on('stream', (stream, headers) => {
  let body = '';
  stream.on('error', () => {});
  stream.setEncoding('utf8').on('data', (chunk) => {
    body += chunk;
  });
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-check': 'whole' }));
    stream.end(JSON.stringify({ method: headers[':method'], path: headers[':path'], authority: headers[':authority'], headers, body }));
  });
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
