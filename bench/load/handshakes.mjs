// Full TLS 1.3 handshakes with a client certificate, one after the other on each of some lanes; nothing is said after them.
//   node handshakes.mjs HOST:PORT CERTIFICATE KEY SECONDS LANES   prints {requests, requestsPerSecond, p50Ms, p99Ms, errors}
// A round trip must show that the server has accepted the client too: HTTP/2's SETTINGS come only then.
import { readFileSync } from 'node:fs';
import { connect, createSecureContext } from 'node:tls';

const [address, certificate, key, secondsText, lanesText] = process.argv.slice(2);
const [host, port] = address.split(':');
const secureContext = createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.3' });
const seconds = Number(secondsText);
const latencies = [];
let errors = 0;

const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);

function once() {
  return new Promise((resolve) => {
    const beginMs = performance.now();
    const socket = connect({ host, port: Number(port), secureContext, rejectUnauthorized: false, ALPNProtocols: ['h2'], servername: 'backend' }, () =>
      socket.write(preface),
    );
    let heard = false;
    socket.once('data', () => {
      heard = true;
      latencies.push(performance.now() - beginMs);
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (!heard) errors++;
      resolve();
    });
  });
}

const endMs = performance.now() + seconds * 1000;
await Promise.all(
  Array.from({ length: Number(lanesText) }, async () => {
    while (performance.now() < endMs) await once();
  }),
);
const sorted = latencies.sort((a, b) => a - b);
const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
console.log(JSON.stringify({ requests: sorted.length, requestsPerSecond: sorted.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors }));
process.exit(0);
