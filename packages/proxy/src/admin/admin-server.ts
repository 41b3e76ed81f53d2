import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { PROMETHEUS_CONTENT_TYPE } from '@outrigger/telemetry';
import { handleOf, ListenerError, listenOn, removePath } from '../listener/listen-socket.ts';
import type { SocketHandle } from '../restart/hand-over.ts';
import { hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { SocketAddress } from '../xds/listener-config.ts';
import type { AdminPage } from './pages.ts';

const BACKLOG = 128;
const TEXT = { 'content-type': 'text/plain; charset=UTF-8' };
const MAX_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;

/** A small HTTP server for people and scrapers: the admin interface, or the metrics page alone. What does something is asked by POST. */
export class AdminServer {
  readonly #address: SocketAddress;
  readonly #server: Server;
  #closed: Promise<void> | undefined;

  static async start<Source>(
    address: EndpointAddress,
    source: Source,
    pages: Readonly<Record<string, AdminPage<Source>>>,
    what: string,
    taken?: SocketHandle,
  ): Promise<AdminServer> {
    if (address.kind === 'internal') throw new ListenerError('bind', `the ${what} needs a socket`, undefined);
    const admin = new AdminServer(address, (request, response) => answer(request, response, source, pages));
    await listenOn(admin.#server, address, { backlog: BACKLOG, reusePort: false }, `the ${what}`, taken);
    return admin;
  }

  private constructor(address: SocketAddress, handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>) {
    this.#address = address;
    this.#server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        handle(request, response).catch((error: Error) => {
          if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
          response.end(`${error.message}\n`);
        });
      },
    );
  }

  /** "ip:port" or a path, as bound. */
  get address(): string {
    if (this.#address.kind === 'pipe') return this.#address.path;
    const address = this.#server.address();
    return address === null ? '' : typeof address === 'string' ? address : hostPort(address.address, address.port);
  }

  /** For the process that follows this one; null for a path, which that one takes by its name. */
  get handle(): SocketHandle | null {
    return this.#address.kind === 'pipe' ? null : handleOf(this.#server);
  }

  /** `last`: no other process has it; then a path is removed. */
  close(last: boolean): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
      if (last && this.#address.kind === 'pipe') removePath(this.#address.path);
    });
    return this.#closed;
  }
}

async function answer<Source>(
  request: IncomingMessage,
  response: ServerResponse,
  source: Source,
  pages: Readonly<Record<string, AdminPage<Source>>>,
): Promise<void> {
  // A page of another site must not read it through a name that it lets point here.
  if (!isLocalName(request.headers.host)) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('this interface is asked by its address, not by a name\n');
    return;
  }
  const url = new URL(request.url ?? '/', 'http://admin');
  const page = Object.hasOwn(pages, url.pathname) ? pages[url.pathname] : undefined;
  if (page === undefined) {
    const known = url.pathname === '/' || url.pathname === '/help';
    const list = Object.entries(pages).map(([path, { help, post }]) => `  ${path}${post === true ? ' (POST)' : ''}: ${help}\n`);
    response.writeHead(known ? 200 : 404, TEXT).end(`${known ? '' : 'invalid path. '}admin commands are:\n${list.join('')}`);
    return;
  }
  const allowed = page.post === true ? ['POST'] : ['GET', 'HEAD'];
  if (!allowed.includes(request.method ?? '')) {
    response.writeHead(405, { allow: allowed.join(', '), ...TEXT }).end(`Method ${request.method} not allowed, ${allowed[0]} required.`);
    return;
  }
  const { status = 200, text, json } = await page.render(source, url.searchParams);
  if (json === undefined) response.writeHead(status, page.prometheus === true ? { 'content-type': PROMETHEUS_CONTENT_TYPE } : TEXT).end(text);
  else response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(json, null, 1)}\n`);
}

function isLocalName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === '' || name === 'localhost' || isIP(name) !== 0;
}
