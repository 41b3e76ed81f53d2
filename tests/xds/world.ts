import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type AdsObserver,
  createAdsRoutes,
  createGrpcServer,
  type DiscoveryRoutes,
  type GrpcServer,
  type GrpcServerOptions,
  type ServerTls,
  type StreamMethods,
} from '@outrigger/xds';
import { MapSource } from '../../packages/xds/src/testing/map-source.ts';

/** A control plane of one source, that can be killed and started again on its port. */
export class ControlPlane {
  readonly source = new MapSource();
  readonly pushed: string[] = [];
  routes!: DiscoveryRoutes;
  #server: GrpcServer | undefined;
  #options: Omit<GrpcServerOptions, 'methods'>;

  readonly #more: StreamMethods;

  constructor(options: Omit<GrpcServerOptions, 'methods'>, more: StreamMethods = new Map()) {
    this.#options = options;
    this.#more = more;
  }

  /** Stays the same over `kill` and `start`. */
  get port(): number {
    return (this.#options.listen as { port: number }).port;
  }

  async start(): Promise<void> {
    const observer: AdsObserver = {
      pushed: (_stream, { typeUrl, push }) => this.pushed.push(`${typeUrl.split('.').at(-1)} ${[...push.versions.keys()].sort().join(',')}`),
    };
    this.routes = createAdsRoutes(this.source, { observer });
    this.#server = await createGrpcServer({
      ...this.#options,
      methods: new Map([...this.routes.methods, ...this.#more]),
    });
    if ('port' in this.#options.listen) this.#options = { ...this.#options, listen: { ...this.#options.listen, port: this.#server.port } };
  }

  setTls(tls: ServerTls): void {
    this.#server?.setTls(tls);
  }

  async kill(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }
}

/** An HTTP server that answers with its name. */
export async function startBackend(name: string): Promise<{ port: number; close(): void }> {
  const server: Server = createServer((_request, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

export async function get(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  return response.status === 200 ? await response.text() : `status ${response.status}`;
}
