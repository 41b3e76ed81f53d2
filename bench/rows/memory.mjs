// What a sidecar weighs: eight of them, idle; in a mesh of 1,000 more services; and with 1,000 connections each. Its supervisor counts.
import { connect } from 'node:net';
import { join } from 'node:path';
import { descendants, median, pssMb, until } from '../measure.mjs';
import { Mesh } from '../targets/mesh.mjs';

const SIDECARS = 8;
const CONNECTIONS = 1_000;
const SERVICES = 1_000;
/** What has been used once is let go of in this time. */
const SETTLE_MS = 15_000;
const OPENED_AT_ONCE = 50;

const text = (index) => `GET /1k HTTP/1.1\r\nHost: s${index}\r\n\r\n`;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function measure({ targets, directory, ports, say }) {
  const figures = [
    { what: `a sidecar of ${SIDECARS}, idle`, unit: 'MB PSS' },
    { what: `idle, ${SERVICES} services more in the mesh`, unit: 'MB PSS' },
    { what: `then with ${CONNECTIONS} connections each`, unit: 'MB PSS' },
  ];
  for (const name of targets.filter((target) => target === 'ours' || target === 'envoy')) {
    const all = ports();
    const mesh = new Mesh(join(directory, `memory-${name}`), all);
    try {
      await mesh.startControlPlane();
      const sidecars = [];
      for (let index = 0; index < SIDECARS; index++) {
        say(`memory: starting ${name} ${index + 1} of ${SIDECARS}`);
        sidecars.push(await mesh.startSidecar(`s${index}`, name === 'ours' ? 'outrigger' : 'envoy', { port: `8080:${all.backend}` }));
      }
      await wait(SETTLE_MS);
      figures[0][name] = spread(sidecars);
      mesh.write('services', Array.from({ length: SERVICES }, (_, index) => service(index)).join('---\n'));
      await until('the new services', async () => (await mesh.api('/services')).length >= SERVICES, 60_000);
      await wait(SETTLE_MS);
      figures[1][name] = spread(sidecars);
      const connections = [];
      for (let index = 0; index < SIDECARS; index++) connections.push(...(await openAll(mesh.meshPort(`s${index}`), index)));
      await wait(SETTLE_MS / 3);
      figures[2][name] = spread(sidecars);
      say(`memory: ${name} with ${connections.length} connections`);
      for (const socket of connections) socket.destroy();
    } finally {
      await mesh.stop();
    }
  }
  return figures;
}

/** Of supervisor and proxy together. */
function spread(sidecars) {
  const values = sidecars.map(({ pid }) => pssMb([pid, ...descendants(pid)]));
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Each has had an answer, and waits. */
async function openAll(port, index) {
  const sockets = [];
  while (sockets.length < CONNECTIONS)
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(OPENED_AT_ONCE, CONNECTIONS - sockets.length) }, () => open(port, index)))));
  return sockets;
}

function open(port, index) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text(index)));
    socket.once('error', reject);
    socket.once('data', (chunk) => {
      if (!chunk.toString('latin1').startsWith('HTTP/1.1 200')) reject(new Error(`not a 200: ${chunk.toString('latin1').slice(0, 80)}`));
      socket.on('data', () => {});
      resolve(socket);
    });
  });
}

function service(index) {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: more-${index}, namespace: default}
spec:
  hosts: [more-${index}.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.1.1, ports: {http: ${10_000 + index}}}]
`;
}
