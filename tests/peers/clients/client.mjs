// An unchanged Node program: `client.mjs fetch|http URL` makes three calls and prints what came of them as JSON.
import { createHash } from 'node:crypto';
import http from 'node:http';

const BODY = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => index % 251));
const [library, base] = process.argv.slice(2);

async function byFetch(method, url, body, headers) {
  const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  return Buffer.from(await answer.arrayBuffer());
}

function byHttp(method, url, body, headers) {
  return new Promise((resolve, reject) => {
    http
      .request(url, { method, headers }, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
      })
      .on('error', reject)
      .end(body);
  });
}

const call = library === 'fetch' ? byFetch : byHttp;
console.log(
  JSON.stringify({
    echo: JSON.parse(await call('GET', `${base}/echo`, undefined, { 'X-Client': library })),
    digest: JSON.parse(await call('POST', `${base}/digest`, BODY, { 'Content-Type': 'application/octet-stream' })),
    sha256: createHash('sha256')
      .update(await call('GET', `${base}/bytes/300000`, undefined, {}))
      .digest('hex'),
  }),
);
