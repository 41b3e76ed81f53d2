import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { PROMETHEUS_CONTENT_TYPE } from '@outrigger/telemetry';
import { hostPort } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import type { AdminPage, AdminSource } from './pages.ts';

const MAX_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;

export class AdminError extends Error {
  readonly code: 'bind';
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.code = 'bind';
  }
}

/** A small HTTP server for people and scrapers: the admin interface, or the metrics page alone. Reads only. */
export class AdminServer {
  readonly #server: Server;

  static async start(address: EndpointAddress, source: AdminSource, pages: Readonly<Record<string, AdminPage>>, what: string): Promise<AdminServer> {
    const admin = new AdminServer(source, pages);
    await admin.#listen(address, what);
    return admin;
  }

  private constructor(source: AdminSource, pages: Readonly<Record<string, AdminPage>>) {
    this.#server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        answer(request, response, source, pages).catch((error: Error) => {
          if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
          response.end(`${error.message}\n`);
        });
      },
    );
  }

  /** "ip:port" or a path, as bound. */
  get address(): string {
    const address = this.#server.address();
    return address === null ? '' : typeof address === 'string' ? address : hostPort(address.address, address.port);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #listen(address: EndpointAddress, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => reject(new AdminError(`the ${what} cannot listen: ${cause.message}`, cause)));
      if (address.kind === 'socket') this.#server.listen(address.port, address.host, resolve);
      else if (address.kind === 'pipe') this.#server.listen(address.path, resolve);
      else reject(new AdminError(`the ${what} needs a socket`, undefined));
    });
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, source: AdminSource, pages: Readonly<Record<string, AdminPage>>): Promise<void> {
  // A page of another site must not read it through a name that it lets point here.
  if (!isLocalName(request.headers.host)) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('this interface is asked by its address, not by a name\n');
    return;
  }
  const url = new URL(request.url ?? '/', 'http://admin');
  const page = pages[url.pathname];
  if (page === undefined) {
    const list = Object.entries(pages).map(([path, { help }]) => `${path}: ${help}`);
    response.writeHead(url.pathname === '/' || url.pathname === '/help' ? 200 : 404, { 'content-type': 'text/plain' }).end(`${list.join('\n')}\n`);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD', 'content-type': 'text/plain' }).end('pages are read with GET\n');
    return;
  }
  const { status = 200, text, json } = await page.render(source, url.searchParams);
  if (json === undefined)
    response.writeHead(status, { 'content-type': page.prometheus === true ? PROMETHEUS_CONTENT_TYPE : 'text/plain; charset=utf-8' }).end(text);
  else response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(json, null, 2)}\n`);
}

function isLocalName(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === '' || name === 'localhost' || isIP(name) !== 0;
}
