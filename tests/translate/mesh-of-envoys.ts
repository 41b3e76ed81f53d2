import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Authority, Svid } from '@outrigger/identity';
import { type Instance, type Resource, refOf } from '@outrigger/resources';
import { buildMesh, changeMesh, type Mesh, type ProxyNode } from '@outrigger/translate';
import { bootstrapText, envoyBootstrap } from '@outrigger/translate/bootstrap';
import { loadTypeRegistry } from '@outrigger/xds';
import { instance as instanceNamed, node as nodeOf, service as serviceOf } from '../../packages/translate/src/testing/shop.ts';
import { freePort } from '../harness/ports.ts';
import { svidOf, testAuthority } from '../xds/certificates.ts';
import { type EnvoyProcess, startEnvoy, until } from '../xds/envoy.ts';
import { serveMesh, serveSecrets } from './served.ts';

const types = await loadTypeRegistry();

/** What an application saw of a request. */
export interface Seen {
  readonly application: string;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Application {
  readonly name: string;
  readonly port: number;
  readonly seen: Seen[];
  /** Statuses of the next answers; then 200. */
  readonly statuses: number[];
}

export interface Sidecar {
  readonly node: ProxyNode;
  readonly application: Application;
  readonly envoy: EnvoyProcess;
}

/** A mesh of real Envoys whose xDS is what translation says, with certificates of one authority. */
export class MeshOfEnvoys {
  readonly folder = mkdtempSync(join(tmpdir(), 'translate-'));
  readonly refusals: string[] = [];
  readonly #binary: string;
  readonly #closers: (() => void | Promise<void>)[] = [];
  readonly #changed = new Set<() => void>();
  #authority!: Authority;
  #mesh: Mesh = buildMesh({ config: [], services: [], instances: [], types });

  constructor(binary: string) {
    this.#binary = binary;
  }

  async start(): Promise<void> {
    this.#authority = await testAuthority();
    const ads = await serveMesh(join(this.folder, 'ads.sock'), { mesh: () => this.#mesh, changed: this.#changed, refusals: this.refusals });
    this.#closers.push(() => ads.close());
  }

  change(change: Parameters<typeof changeMesh>[1]): void {
    this.#mesh = changeMesh(this.#mesh, change).mesh;
    for (const tell of this.#changed) tell();
  }

  apply(...resources: Resource[]): void {
    this.change({ put: resources });
  }

  delete(...resources: Resource[]): void {
    this.change({ remove: resources.map(refOf) });
  }

  async application(name: string): Promise<Application> {
    const application = { name, port: 0, seen: [] as Seen[], statuses: [] as number[] };
    const server = createServer((request, response) => {
      application.seen.push({ application: name, method: request.method!, path: request.url!, headers: request.headers });
      request.resume();
      response.statusCode = application.statuses.shift() ?? 200;
      response.end(name);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    application.port = (server.address() as AddressInfo).port;
    return application;
  }

  /** An application, its Envoy, and its instance in the mesh; the service is made where it is not there. */
  async sidecar(
    service: string,
    version: string,
    more: { readonly protocol?: 'HTTP' | 'TCP'; readonly node?: Partial<ProxyNode>; readonly authority?: Authority } = {},
  ): Promise<Sidecar> {
    const workload = version === '' ? service : `${service}-${version}`;
    const index = this.#closers.length;
    const instance = `${workload}-${index}`;
    const application = await this.application(instance);
    const protocol = more.protocol ?? 'HTTP';
    const [proxyPort, meshPort] = [await freePort(), await freePort()];
    const labels = { app: service, ...(version === '' ? {} : { version }) };
    const node = nodeOf(service, {
      id: `${instance}.default`,
      dataPlane: 'envoy',
      workload,
      version,
      labels,
      instance,
      onDemand: false,
      httpProxy: { host: '127.0.0.1', port: proxyPort },
      inbound: [
        {
          name: protocol.toLowerCase(),
          protocol,
          servicePort: 8080,
          mesh: { host: '127.0.0.1', port: meshPort },
          application: { host: '127.0.0.1', port: application.port },
        },
      ],
      accessLog: join(this.folder, `${instance}.log`),
      ...more.node,
    });
    this.change({ putServices: [serviceOf(service, 8080, protocol)], putInstances: [instanceOf(node, protocol)] });
    const sds = await this.#secrets(instance, await svidOf(more.authority ?? this.#authority, service));
    const text = bootstrapText(envoyBootstrap({ node, ads: { pipe: join(this.folder, 'ads.sock') }, sdsPipe: sds, admin: { host: '127.0.0.1', port: 1 } }));
    const envoy = await startEnvoy(this.#binary, this.folder, instance, JSON.parse(text));
    this.#closers.push(() => envoy.kill());
    await until(`${instance} is not ready`, async () =>
      (await (await fetch(`http://127.0.0.1:${envoy.adminPort}/ready`)).text()).trim() === 'LIVE' ? true : undefined,
    );
    return { node, application, envoy };
  }

  async #secrets(name: string, svid: Svid): Promise<string> {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const socketPath = join(folder, 'sds.sock');
    const server = await serveSecrets(socketPath, svid);
    this.#closers.push(() => server.close());
    return socketPath;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function instanceOf(node: ProxyNode, protocol: 'HTTP' | 'TCP'): Instance {
  const [port] = node.inbound;
  return {
    ...instanceNamed(node.service, node.version, 1, port!.servicePort, port!.mesh.port),
    id: `default/${node.instance}`,
    workload: node.workload,
    labels: node.labels,
    serviceAccount: node.serviceAccount,
    address: port!.mesh.host,
    ports: [{ name: port!.name, servicePort: 8080, protocol, meshPort: port!.mesh.port, applicationPort: port!.application.port }],
  };
}

/** A request through a sidecar's forward proxy, absolute-form, as HTTP_PROXY makes clients send it. */
export function through(sidecar: Sidecar, url: string, options: { readonly method?: string; readonly headers?: Record<string, string> } = {}): Promise<Answer> {
  const { host, port } = sidecar.node.httpProxy!;
  const { host: authority } = new URL(url);
  return send({ host, port, path: url, method: options.method ?? 'GET', headers: { host: authority, connection: 'close', ...options.headers } });
}

export function send(options: { host: string; port: number; path: string; method: string; headers: Record<string, string> }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...options, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
      response.once('error', reject);
    });
    request.once('error', reject);
    request.end();
  });
}

/** CONNECT, then `bytes` inside; all that comes back until the peer ends or `enough` holds. */
export function tunnel(sidecar: Sidecar, authority: string, bytes: string | Buffer, enough: (text: string) => boolean): Promise<string> {
  const { host, port } = sidecar.node.httpProxy!;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`));
    let text = '';
    let inside = false;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      if (!inside && text.includes('\r\n\r\n')) {
        inside = true;
        if (!/^HTTP\/1.1 200/.test(text)) return socket.end();
        text = text.slice(text.indexOf('\r\n\r\n') + 4);
        socket.write(bytes);
      }
      if (inside && enough(text)) socket.end();
    });
    socket.once('close', () => resolve(text));
    socket.once('error', reject);
  });
}
