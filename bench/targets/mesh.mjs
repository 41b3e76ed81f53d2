// Outrigger's mesh with one data plane or the other: the same control plane, the same xDS, so that both do the same work: mTLS with
// the peer's identity checked, authorization, retries ready, breaker, metrics, tracing, access log.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answers, descendants, loadCore, proxyCore, start, until } from '../measure.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const node = join(root, 'node_modules/.bin/node');
export const rig = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');

/** By method where there are methods, by identity where there are none. */
function policy(protocol) {
  const rule = protocol === 'tcp' ? 'from: [{source: {principals: [cluster.local/ns/default/sa/load]}}]' : 'to: [{operation: {methods: [GET, POST]}}]';
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: backend-allow, namespace: default}
spec:
  selector: {matchLabels: {app: backend}}
  action: ALLOW
  rules:
    - ${rule}
`;
}

/** A control plane, and what is started under it. */
export class Mesh {
  #processes = [];
  #sidecars = [];

  constructor(directory, ports) {
    mkdirSync(join(directory, 'config'), { recursive: true });
    this.state = join(directory, 's');
    this.config = join(directory, 'config');
    this.ports = ports;
  }

  run(core, ...args) {
    const process_ = start(core, node, [rig, '--state', this.state, ...args]);
    this.#processes.unshift(process_);
    return process_;
  }

  write(name, text) {
    writeFileSync(join(this.config, `${name}.yaml`), text);
  }

  async startControlPlane() {
    const { xds, dashboard } = this.ports;
    const process_ = this.run(loadCore, 'up', '--config', this.config, '--xds-address', `127.0.0.1:${xds}`, '--dashboard-address', `127.0.0.1:${dashboard}`);
    await until('rig up', async () => (await this.api('/version')) !== undefined);
    return process_;
  }

  /** Waits for the first that has a port to be found by others. */
  async startSidecar(name, dataPlane, { port, upstream, otlp }) {
    const args = ['sidecar', '--name', name, '--instance', name, '--data-plane', dataPlane];
    if (port !== undefined) args.push('--port', port);
    if (upstream !== undefined) args.push('--upstream', upstream);
    if (otlp !== undefined) args.push('--otlp', otlp);
    const sidecar = this.run(proxyCore, ...args);
    this.#sidecars.push(sidecar);
    if (port !== undefined)
      await until(`the sidecar of ${name}`, async () =>
        (await this.api('/services')).some((service) => service.name === name && service.instances.some(({ health }) => health === 'HEALTHY')),
      );
    return sidecar;
  }

  /** The first of a sidecar's own ports; before it are the forward proxy, the admin interface and the metrics page. */
  meshPort(name) {
    return JSON.parse(readFileSync(join(this.state, `sidecars/default.${name}/ports.json`), 'utf8'))[3];
  }

  adminPort(name) {
    return JSON.parse(readFileSync(join(this.state, `sidecars/default.${name}/ports.json`), 'utf8'))[1];
  }

  /** Of the proxies alone. */
  pids = () => this.#sidecars.flatMap(({ pid }) => descendants(pid));

  /** With what supervises them. */
  sidecarPids = () => this.#sidecars.flatMap(({ pid }) => [pid, ...descendants(pid)]);

  stop = async () => {
    for (const process_ of this.#processes.splice(0)) await process_.stop();
  };

  api(path) {
    return new Promise((resolve, reject) => {
      request({ socketPath: join(this.state, 'run/api.sock'), path: `/api/v1${path}`, agent: false, headers: { host: 'localhost' } }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => (response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
      })
        .on('error', reject)
        .end();
    });
  }
}

export async function startMesh(dataPlane, row, directory, ports) {
  const mesh = new Mesh(directory, ports);
  mesh.write('policy', policy(row.protocol));
  if (row.config !== undefined) mesh.write('row', row.config);
  try {
    await mesh.startControlPlane();
    const entry = await startShape(mesh, dataPlane, row, ports);
    const url = `http://127.0.0.1:${entry}${row.path}`;
    await until('the first answer through the mesh', () => answers(row, url));
    return { url, tls: row.load === 'handshakes' ? identity(mesh, directory) : undefined, pids: mesh.pids, sidecarPids: mesh.sidecarPids, stop: mesh.stop };
  } catch (error) {
    await mesh.stop();
    throw error;
  }
}

/** Returns the port that the load asks. */
async function startShape(mesh, dataPlane, row, ports) {
  const otlp = `127.0.0.1:${ports.collector}`;
  const { protocol = 'http' } = row;
  if (row.shape !== 'chain') {
    await mesh.startSidecar('backend', dataPlane, { port: `${protocol}:8080:${ports.backend}`, otlp });
    if (row.shape === 'hop') return mesh.meshPort('backend');
    await mesh.startSidecar('load', dataPlane, { upstream: `backend:8080=127.0.0.1:${ports.entry}`, otlp });
    return ports.entry;
  }
  // The last is what all rows have behind them; each before it asks the next.
  for (let index = ports.links.length - 1; index >= 0; index--) {
    const { application, upstream } = ports.links[index];
    const next = index === ports.links.length - 1 ? undefined : `s${index + 1}:8080=127.0.0.1:${upstream}`;
    await mesh.startSidecar(`s${index}`, dataPlane, { port: `http:8080:${application}`, upstream: next, otlp });
  }
  return mesh.meshPort('s0');
}

/** What a client of the backend's sidecar needs: the caller's own certificate. */
function identity(mesh, directory) {
  const { certificateChainPem, privateKeyPem } = JSON.parse(readFileSync(join(mesh.state, 'sidecars/default.load/identity/identity.json'), 'utf8'));
  const certificate = join(directory, 'load.crt');
  const key = join(directory, 'load.key');
  writeFileSync(certificate, certificateChainPem.join(''));
  writeFileSync(key, privateKeyPem, { mode: 0o600 });
  return { address: `127.0.0.1:${mesh.meshPort('backend')}`, certificate, key };
}
