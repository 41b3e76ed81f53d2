import { chmodSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { LogEntry } from '../options.ts';
import { StartError } from '../options.ts';
import type { Access } from './access.ts';
import { ApiFailure } from './api-failure.ts';
import type { Handler, Route } from './route.ts';
import { serveStatic } from './static-files.ts';

const API_PREFIX = '/api/v1';
const USER_HEADER = 'x-outrigger-user';
/** Of a request; a whole mesh's configuration fits. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_URL_LENGTH = 8 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 1_000;
/** sockaddr_un.sun_path on Linux, with its final zero. */
const MAX_SOCKET_PATH_BYTES = 107;

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'",
};

export interface ApiServerOptions {
  readonly routes: readonly Route[];
  readonly access: Access;
  readonly dashboardDirectory: string | undefined;
  readonly log: (entry: LogEntry) => void;
}

/** Certificates of an API that is bound elsewhere than on loopback. */
export interface ApiTls {
  readonly key: string;
  readonly cert: string;
}

/** The HTTP API: the same routes for the Unix socket's owner and, after `Access`, over TCP. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #servers: (Server | TlsServer)[] = [];
  #tlsServer: TlsServer | undefined;
  #releaseSocket = () => {};

  constructor(options: ApiServerOptions) {
    this.#options = options;
  }

  async listenSocket(path: string): Promise<void> {
    const own = `${path}.${process.pid}`;
    if (Buffer.byteLength(own) > MAX_SOCKET_PATH_BYTES) {
      throw new StartError(
        'BAD_OPTION',
        `the path of the socket ${path} is too long for the system (${MAX_SOCKET_PATH_BYTES} bytes)`,
        path,
        'Give a state directory with a shorter path.',
      );
    }
    unlinkIfThere(own);
    const server = this.#add(createServer((request, response) => void this.#answer(request, response, true)));
    await listening(server, () => server.listen(own), path);
    chmodSync(own, 0o600);
    const { ino } = statSync(own);
    // Renamed in one step over what a dead process left.
    renameSync(own, path);
    this.#releaseSocket = () => {
      if (statSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkIfThere(path);
    };
  }

  /** Gives the port. */
  async listenPort(host: string, port: number, tls: ApiTls | undefined): Promise<number> {
    const listener: RequestListener = (request, response) => void this.#answer(request, response, false);
    if (tls !== undefined) this.#tlsServer = createTlsServer({ ...tls, minVersion: 'TLSv1.2' }, listener);
    const server = this.#add(this.#tlsServer ?? createServer(listener));
    await listening(server, () => server.listen(port, host), `${host}:${port}`);
    const bound = (server.address() as AddressInfo).port;
    this.#options.access.listening(bound);
    return bound;
  }

  setTls(tls: ApiTls): void {
    this.#tlsServer?.setSecureContext({ ...tls, minVersion: 'TLSv1.2' });
  }

  async close(): Promise<void> {
    this.#releaseSocket();
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            if (!server.listening) return resolve();
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }

  #add<S extends Server | TlsServer>(server: S): S {
    server.headersTimeout = HEADERS_TIMEOUT_MS;
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.maxConnections = MAX_CONNECTIONS;
    server.maxHeadersCount = 100;
    this.#servers.push(server);
    return server;
  }

  async #answer(request: IncomingMessage, response: ServerResponse, trusted: boolean): Promise<void> {
    response.on('error', () => {});
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    try {
      await this.#dispatch(request, response, trusted);
    } catch (error) {
      const failure =
        error instanceof ApiFailure
          ? error
          : new ApiFailure(500, 'INTERNAL', 'The control plane failed to answer because of a fault of its own', request.url ?? '', 'See the log of rig up');
      if (!(error instanceof ApiFailure))
        this.#options.log({ level: 'error', part: 'api', message: error instanceof Error ? (error.stack ?? error.message) : String(error), url: request.url });
      if (response.headersSent) response.destroy();
      else sendJson(response, failure.status, failure.body());
    }
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse, trusted: boolean): Promise<void> {
    const { access, dashboardDirectory, routes } = this.#options;
    if (!trusted) access.checkHost(request);
    const target = request.url ?? '/';
    if (target.length > MAX_URL_LENGTH || !target.startsWith('/'))
      throw new ApiFailure(400, 'BAD_REQUEST', 'The address is not one of this API', '', 'Call /api/v1/...');
    const url = new URL(target, 'http://control-plane');
    const { pathname } = url;
    if (!pathname.startsWith(`${API_PREFIX}/`)) return this.#page(url, request, response, dashboardDirectory);
    if (!trusted) access.checkCaller(request);

    const path = pathname.slice(API_PREFIX.length);
    const found = routes.map((route) => ({ route, match: route.path.exec(path) })).filter(({ match }) => match !== null);
    if (found.length === 0)
      throw new ApiFailure(404, 'NOT_FOUND', `There is no ${pathname}`, pathname, 'See packages/control-plane/src/api/shapes.ts for what there is');
    const wanted = found.find(({ route }) => route.method === request.method);
    if (wanted === undefined) {
      const methods = found.map(({ route }) => route.method).join(', ');
      response.setHeader('allow', methods);
      throw new ApiFailure(405, 'METHOD_NOT_ALLOWED', `${pathname} has no ${request.method}`, pathname, `Use ${methods}`);
    }
    if (wanted.route.socketOnly === true && !trusted && request.headers.authorization === undefined) {
      throw new ApiFailure(403, 'NOT_FROM_A_BROWSER', `${pathname} is not for browsers`, pathname, 'Use rig, or the bearer token');
    }
    let params: string[];
    try {
      params = wanted.match!.slice(1).map(decodeURIComponent);
    } catch {
      throw new ApiFailure(400, 'BAD_REQUEST', `${pathname} is not encoded as an address must be`, pathname, 'Encode each part of it');
    }
    const body = request.method === 'POST' ? await readJson(request) : undefined;
    const handle: Handler = wanted.route.handle;
    const answer = await handle({ params, query: url.searchParams, body, response, caller: callerOf(request, trusted), cancelled: cancelledBy(response) });
    if (!response.headersSent && !response.destroyed) sendJson(response, 200, answer);
  }

  #page(url: URL, request: IncomingMessage, response: ServerResponse, directory: string | undefined): void {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new ApiFailure(405, 'METHOD_NOT_ALLOWED', `${url.pathname} has no ${request.method}`, url.pathname, 'Use GET');
    const token = url.searchParams.get('token');
    if (url.pathname === '/' && token !== null) {
      const { access } = this.#options;
      const cookie = access.redeem(token);
      if (cookie === undefined) {
        // Opened a second time by the browser that opened it first: that one is signed in.
        if (access.hasSession(request)) {
          response.writeHead(303, { location: '/', 'cache-control': 'no-store' }).end();
          return;
        }
        // A person gets the page, which says what to do.
        const page = request.headers.accept?.includes('text/html') === true ? directory : undefined;
        if (page !== undefined && serveStatic(page, '/', request, response, 401)) return;
        throw new ApiFailure(401, 'BAD_TOKEN', 'This address was opened already, or is of another start', '/', 'Get a new one with `rig dashboard`');
      }
      response.writeHead(303, { location: '/', 'set-cookie': cookie, 'cache-control': 'no-store' }).end();
      return;
    }
    if (directory !== undefined && serveStatic(directory, url.pathname, request, response)) return;
    throw new ApiFailure(
      404,
      'NOT_FOUND',
      `There is no ${url.pathname}`,
      url.pathname,
      directory === undefined ? 'This control plane was started without a dashboard' : 'The dashboard is at /',
    );
  }
}

/** Of the socket's owner, who may open it, the name that they give themselves. */
function callerOf(request: IncomingMessage, trusted: boolean): string {
  if (!trusted) return request.headers.authorization === undefined ? 'dashboard' : 'API token';
  const user = request.headers[USER_HEADER];
  return typeof user === 'string' && /^[\w.@ -]{1,64}$/.test(user) ? user : '';
}

function cancelledBy(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.on('close', () => controller.abort());
  return controller.signal;
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const tooLarge = (): ApiFailure =>
    new ApiFailure(413, 'TOO_LARGE', `The request has more than ${MAX_BODY_BYTES / 1024 / 1024} MB`, request.url ?? '', 'Apply it in several parts');
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new ApiFailure(415, 'BAD_TYPE', 'The body must be JSON', 'Content-Type', 'Send Content-Type: application/json');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    throw new ApiFailure(400, 'BAD_JSON', `The body is not JSON: ${(error as Error).message}`, request.url ?? '', 'Correct it');
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value ?? {});
  // After a refusal the rest of a large body is not waited for.
  if (status === 413) response.setHeader('connection', 'close');
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' })
    .end(text);
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function listening(server: Server | TlsServer, listen: () => void, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, where)));
    server.once('listening', () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      resolve();
    });
    listen();
  });
}

export function listenError(error: NodeJS.ErrnoException, where: string): StartError {
  if (error.code === 'EADDRINUSE') {
    return new StartError('ADDRESS_IN_USE', `${where} is in use by another program`, where, 'End that program (ss -ltnp shows it), or choose another port.', {
      cause: error,
    });
  }
  if (error.code === 'EACCES') {
    return new StartError('ADDRESS_REFUSED', `this user may not listen on ${where}`, where, 'Choose a port above 1023.', { cause: error });
  }
  return new StartError('ADDRESS_REFUSED', `listening on ${where} failed: ${error.message}`, where, 'Give an address of this machine and a free port.', {
    cause: error,
  });
}
