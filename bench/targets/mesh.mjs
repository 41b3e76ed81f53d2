// Outrigger's mesh with one data plane or the other: the same control plane, the same xDS, so that both do the same work: mTLS with
// the peer's identity checked, authorization, retries ready, breaker, metrics, tracing, access log.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendants, loadCore, proxyCore, start, until } from '../measure.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rig = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');

const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: backend-allow, namespace: default}
spec:
  selector: {matchLabels: {app: backend}}
  action: ALLOW
  rules:
    - to: [{operation: {methods: [GET, POST]}}]
`;

export async function startMesh(dataPlane, row, directory, ports) {
  mkdirSync(join(directory, 'config'), { recursive: true });
  writeFileSync(join(directory, 'config/policy.yaml'), policy);
  if (row.config !== undefined) writeFileSync(join(directory, 'config/row.yaml'), row.config);
  const state = join(directory, 's');
  const processes = [];
  const run = (core, ...args) => {
    const process_ = start(core, node, [rig, '--state', state, ...args]);
    processes.unshift(process_);
    return process_;
  };
  const stop = async () => {
    for (const process_ of processes) await process_.stop();
  };
  try {
    const sidecars = await startSidecars(run, state, dataPlane, row, directory, ports);
    // Order in the instance's directory: forward proxy, admin, metrics, then its own.
    const meshPort = JSON.parse(readFileSync(join(state, 'sidecars/default.backend/ports.json'), 'utf8'))[3];
    const url = `http://127.0.0.1:${row.pair ? ports.entry : meshPort}${row.path}`;
    await until('the first answer through the mesh', async () => (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok);
    return {
      url,
      pids: () => sidecars.flatMap(({ pid }) => descendants(pid)),
      sidecarPids: () => sidecars.flatMap(({ pid }) => [pid, ...descendants(pid)]),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSidecars(run, state, dataPlane, row, directory, ports) {
  run(loadCore, 'up', '--config', join(directory, 'config'), '--xds-address', `127.0.0.1:${ports.xds}`, '--dashboard-address', `127.0.0.1:${ports.dashboard}`);
  await until('rig up', async () => (await api(state, '/version')) !== undefined);
  const traced = ['--otlp', `127.0.0.1:${ports.collector}`, '--data-plane', dataPlane];
  const sidecars = [run(proxyCore, 'sidecar', '--name', 'backend', '--instance', 'backend', '--port', `8080:${ports.backend}`, ...traced)];
  await until("the backend's sidecar", async () =>
    (await api(state, '/services')).some(({ name, instances }) => name === 'backend' && instances.some(({ health }) => health === 'HEALTHY')),
  );
  if (row.pair) sidecars.push(run(proxyCore, 'sidecar', '--name', 'load', '--upstream', `backend:8080=127.0.0.1:${ports.entry}`, ...traced));
  return sidecars;
}

function api(state, path) {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(state, 'run/api.sock'), path: `/api/v1${path}`, agent: false, headers: { host: 'localhost' } }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
    })
      .on('error', reject)
      .end();
  });
}
