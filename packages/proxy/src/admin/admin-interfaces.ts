import { type BootstrapConfig, BootstrapError } from '../bootstrap/bootstrap-config.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import { AdminServer } from './admin-server.ts';
import type { AdminPage } from './pages.ts';

/** Keys of sockets that are no listener's. */
const ADMIN_SOCKET = 'admin interface';
const METRICS_SOCKET = 'metrics page';

type Pages<Source> = Readonly<Record<string, AdminPage<Source>>>;

/** Where a proxy is asked about itself: the bootstrap's admin interface, and a page of metrics alone. */
export class AdminInterfaces {
  #admin: AdminServer | undefined;
  #metrics: AdminServer | undefined;

  /** `taken`: a socket of the process before this one. */
  async start<Source>(
    { admin }: BootstrapConfig,
    metricsAddress: string | undefined,
    source: Source,
    pages: { readonly admin: Pages<Source>; readonly metrics: Pages<Source> },
    taken: (key: string) => SocketHandle | undefined,
  ): Promise<void> {
    if (admin !== null) this.#admin = await AdminServer.start(admin, source, pages.admin, ADMIN_SOCKET, taken(ADMIN_SOCKET));
    if (metricsAddress !== undefined)
      this.#metrics = await AdminServer.start(socketOf(metricsAddress), source, pages.metrics, METRICS_SOCKET, taken(METRICS_SOCKET));
  }

  get adminAddress(): string | undefined {
    return this.#admin?.address;
  }

  get metricsAddress(): string | undefined {
    return this.#metrics?.address;
  }

  /** For the process that follows this one. */
  get sockets(): (readonly [key: string, handle: SocketHandle])[] {
    const sockets = [[ADMIN_SOCKET, this.#admin?.handle] as const, [METRICS_SOCKET, this.#metrics?.handle] as const];
    return sockets.flatMap(([key, handle]) => (handle ? [[key, handle] as const] : []));
  }

  /** `last`: no other process has them. */
  async close(last: boolean): Promise<void> {
    await Promise.all([this.#admin?.close(last), this.#metrics?.close(last)]);
  }
}

function socketOf(text: string): EndpointAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new BootstrapError('invalid', `${JSON.stringify(text)} is no IP:PORT for the metrics page`);
  return { kind: 'socket', host: match[1] ?? match[2]!, port: Number(match[3]) };
}
