import type { SrvState } from '@outrigger/discovery';
import { IdentityError } from '@outrigger/identity';
import { isKind } from '@outrigger/resources';
import type { Certificates } from '../certificates/certificates.ts';
import { ConfigError, type Configuration } from '../config/configuration.ts';
import type { MeshState } from '../push/mesh-state.ts';
import { MAX_WAIT_MS } from '../push/progress.ts';
import type { PushSource } from '../push/push-source.ts';
import { statusesOf } from '../push/status.ts';
import { StoreError, type StoreErrorCode } from '../store/store-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { MAX_WINDOW_MS } from '../telemetry/windows.ts';
import { ApiFailure } from './api-failure.ts';
import { applyRequest, deleteRequest, queryNumber, revision as revisionText, tokenRequest, undoRequest } from './check-body.ts';
import type { Events } from './events.ts';
import { type MeshView, meshView } from './mesh-view.ts';
import { type RolloutParts, rolloutRoutes } from './rollout-routes.ts';
import type { Handler, Route } from './route.ts';
import type { ApplyResult, Problem, ResourceView, ServiceView, SettingNote, VersionInfo } from './shapes.ts';

const DEFAULT_WINDOW_MS = 10_000;
const DEFAULT_WAIT_MS = 30_000;
const DEFAULT_HISTORY = 50;
const MAX_HISTORY = 1_000;

export interface ApiParts extends RolloutParts {
  readonly version: () => VersionInfo;
  readonly configuration: Configuration;
  readonly mesh: MeshState;
  readonly push: PushSource;
  readonly certificates: Certificates;
  readonly telemetry: Telemetry;
  readonly events: Events;
  readonly services: () => ServiceView[];
  readonly problems: () => Problem[];
  readonly notes: () => SettingNote[];
  readonly attached: () => MeshView['attached'];
  readonly resolvedSrv: () => MeshView['resolvedSrv'];
  /** Of one ServiceEntry, by its `refKey`. */
  readonly srvStates: (owner: string) => readonly SrvState[];
  /** The dashboard's address with a fresh one-time token. */
  readonly dashboardUrl: () => string;
  /** Of the control plane itself, as Prometheus reads them. */
  readonly metrics: () => string;
}

export function apiRoutes(parts: ApiParts): Route[] {
  const { configuration, push, certificates, telemetry, events } = parts;
  const get = (path: RegExp, handle: Handler): Route => ({ method: 'GET', path, handle: guarded(handle) });
  const windowOf = (query: URLSearchParams): number => queryNumber(query, 'windowMs', DEFAULT_WINDOW_MS, 1, MAX_WINDOW_MS);
  return [
    get(/^\/version$/, () => parts.version()),
    get(/^\/resources$/, ({ query }) => resourceViews(parts, query)),
    get(/^\/proxies$/, () => push.proxies.list((_node, spiffeId) => certificates.expiresAtMs(spiffeId))),
    get(/^\/services$/, () => parts.services()),
    get(/^\/graph$/, ({ query }) => telemetry.graph(windowOf(query))),
    get(/^\/top$/, ({ query }) => telemetry.top(windowOf(query))),
    get(/^\/problems$/, () => parts.problems()),
    get(/^\/notes$/, () => parts.notes()),
    get(/^\/wait$/, ({ query }) => {
      const revision = query.get('revision') ?? configuration.revision;
      if (!/^\d{1,16}$/.test(revision) || Number(revision) > Number(configuration.revision)) {
        throw new ApiFailure(400, 'BAD_REQUEST', `there is no revision "${revision.slice(0, 40)}"`, 'revision', 'Give the revision that apply answered');
      }
      return push.progress.wait(revision, queryNumber(query, 'timeoutMs', DEFAULT_WAIT_MS, 0, MAX_WAIT_MS));
    }),
    ...rolloutRoutes(parts, guarded),
    get(/^\/metrics$/, ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(parts.metrics());
    }),
    {
      method: 'GET',
      path: /^\/events$/,
      handle: async ({ response, cancelled }) => {
        events.follow(response);
        await new Promise<void>((resolve) => {
          if (cancelled.aborted) resolve();
          cancelled.addEventListener('abort', () => resolve());
        });
      },
    },
    get(/^\/mesh$/, () => meshView(parts)),
    {
      method: 'GET',
      path: /^\/request-samples$/,
      socketOnly: true,
      handle: guarded(({ query, response }) => {
        const text = telemetry.samples.textSince(queryNumber(query, 'sinceMs', 0, 0, Number.MAX_SAFE_INTEGER));
        response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }).end(text);
      }),
    },
    get(/^\/history$/, ({ query }) => configuration.history({ ...nameOf(query), limit: queryNumber(query, 'limit', DEFAULT_HISTORY, 1, MAX_HISTORY) })),
    get(/^\/diff$/, ({ query }) => {
      const to = query.get('to');
      return configuration.diff(revisionText(query.get('from'), 'from'), to === null ? undefined : revisionText(to, 'to'));
    }),
    { method: 'POST', path: /^\/apply$/, handle: guarded(({ body, caller }) => apply(configuration, body, caller)) },
    {
      method: 'POST',
      path: /^\/delete$/,
      handle: guarded(async ({ body, caller }) => ({ revision: await configuration.deleteAll(deleteRequest(body), caller) })),
    },
    {
      method: 'POST',
      path: /^\/undo$/,
      handle: guarded(({ body, caller }) => {
        const { revision, ...options } = undoRequest(body);
        return configuration.undo({ ...options, ...(revision === undefined ? {} : { to: revision }), by: caller });
      }),
    },
    {
      method: 'DELETE',
      path: /^\/resources\/([^/]+)\/([^/]+)\/([^/]+)$/,
      handle: guarded(async ({ params: [kind = '', namespace = '', name = ''], caller }) => ({
        revision: await configuration.delete(kind, namespace === '-' ? '' : namespace, name, caller),
      })),
    },
    { method: 'GET', path: /^\/tokens$/, handle: guarded(() => certificates.tokens()), socketOnly: true },
    {
      method: 'POST',
      path: /^\/tokens$/,
      socketOnly: true,
      handle: guarded(({ body }) => {
        const { namespace, serviceAccount, uses = 'single', ttlMs } = tokenRequest(body);
        return certificates.createToken(namespace, serviceAccount, uses, ttlMs);
      }),
    },
    {
      method: 'DELETE',
      path: /^\/tokens\/([\w-]{1,64})$/,
      socketOnly: true,
      handle: guarded(async ({ params: [id = ''] }) => {
        if (!(await certificates.revokeToken(id))) throw new ApiFailure(404, 'NOT_FOUND', `there is no join token ${id}`, id, 'GET /api/v1/tokens lists them');
        return {};
      }),
    },
    { method: 'POST', path: /^\/dashboard-url$/, handle: guarded(() => ({ url: parts.dashboardUrl() })), socketOnly: true },
  ];
}

async function apply(configuration: Configuration, body: unknown, by: string): Promise<ApplyResult> {
  const { documents, ...options } = applyRequest(body);
  try {
    return await configuration.apply(documents, { ...options, by });
  } catch (error) {
    if (!(error instanceof ConfigError) || error.code !== 'REFUSED') throw error;
    const result: ApplyResult = { applied: [], skipped: {}, absentServices: [], messages: [...error.messages], revision: configuration.revision };
    throw new ApiFailure(422, 'REFUSED', `${error.message}; nothing was changed`, error.where, error.next, error.messages, { ...result });
  }
}

function resourceViews({ configuration, mesh, push, rollouts, srvStates }: ApiParts, query: URLSearchParams): ResourceView[] {
  const { kind, namespace, name } = nameOf(query);
  const selected = new Set(configuration.find(kind, namespace, name));
  const chosen = configuration.items.map((item, index) => ({ item, resource: configuration.resources[index]! })).filter(({ item }) => selected.has(item));
  const statuses = statusesOf(
    chosen.map(({ resource }) => resource),
    { push, quarantined: mesh.quarantined, effect: configuration.effectContext(), mesh: mesh.current, srvStates },
  );
  return chosen
    .map(({ item: { object, source }, resource }, index) => ({
      apiVersion: object.apiVersion,
      kind: object.kind,
      namespace: object.metadata.namespace,
      name: object.metadata.name,
      resourceVersion: object.metadata.resourceVersion,
      generation: object.metadata.generation,
      creationTimestamp: object.metadata.creationTimestamp,
      origin: source.file === '' ? null : { file: source.file, line: source.line },
      manifest: withStatus(
        object,
        statuses[index]!.api ?? (isKind(resource, 'Rollout') ? rollouts.view(resource.metadata.namespace, resource.metadata.name) : undefined),
      ),
      status: (isKind(resource, 'Rollout') ? rollouts.statusOf(resource.metadata.namespace, resource.metadata.name) : undefined) ?? statuses[index]!.status,
    }))
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

function withStatus(object: object, status: object | undefined): object {
  return status === undefined ? object : { ...object, status };
}

/** What is not asked for matches all. */
function nameOf(query: URLSearchParams): { readonly kind?: string; readonly namespace?: string; readonly name?: string } {
  return Object.fromEntries(['kind', 'namespace', 'name'].flatMap((field) => (query.get(field) === null ? [] : [[field, query.get(field)!]])));
}

function sortKey({ kind, namespace, name, apiVersion }: ResourceView): string {
  return `${kind} ${namespace} ${name} ${apiVersion}`;
}

const STORE_STATUS: Readonly<Record<StoreErrorCode, number>> = {
  CONFLICT: 409,
  NOT_FOUND: 404,
  RELIST: 410,
  NOT_KEPT: 410,
  INVALID_OBJECT: 422,
  DISK_FULL: 507,
  WRITE_FAILED: 500,
  BROKEN: 500,
  FOREIGN: 500,
  CLOSED: 503,
};

/** What the parts throw, as answers. */
function guarded(handle: Handler): Handler {
  return async (request) => {
    try {
      return await handle(request);
    } catch (error) {
      if (error instanceof ConfigError) {
        const status = { REFUSED: 422, NOT_FOUND: 404, AMBIGUOUS: 409, IN_FOLDER: 409, CHANGED: 409, UNKNOWN_KIND: 400 }[error.code];
        throw new ApiFailure(status, error.code, error.message, error.where, error.next, error.messages.length === 0 ? undefined : error.messages);
      }
      if (error instanceof StoreError) throw new ApiFailure(STORE_STATUS[error.code], error.code, error.message, 'the store', error.next);
      if (error instanceof IdentityError) throw new ApiFailure(400, error.code, error.message, '', 'Correct the request');
      throw error;
    }
  };
}
