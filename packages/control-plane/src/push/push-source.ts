import { Code, ConnectError } from '@connectrpc/connect';
import { formatSpiffeId } from '@outrigger/identity';
import { clusterNames, listenerNames, NodeError, type ProxyNode, parseNode, translate } from '@outrigger/translate';
import { type Caller, type Change, type ResourceSource, TypeUrl } from '@outrigger/xds';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { Clock, LogEntry } from '../options.ts';
import { ClientView, type ViewContext } from './client-view.ts';
import { Debounce } from './debounce.ts';
import type { MeshState } from './mesh-state.ts';
import { Progress } from './progress.ts';
import { Proxies } from './proxies.ts';
import { TranslationCache } from './translation-cache.ts';
import { type Names, WildcardKeys } from './wildcard-keys.ts';

/** A burst (a rollout, a mesh that starts) makes one push in this time; a lone change goes out at once. */
const PUSH_WINDOW_MS = 15;
const MAX_NODE_ID_LENGTH = 512;

export interface PushSourceOptions {
  readonly mesh: MeshState;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly log: (entry: LogEntry) => void;
  /** Proxies or their state have changed. */
  readonly onProxies: () => void;
}

/** What each proxy gets, translated for it from the mesh as it is, and sent on when that changes. */
export class PushSource implements ResourceSource {
  readonly proxies: Proxies;
  readonly progress: Progress;
  readonly cache: TranslationCache<ClientView>;
  readonly #options: PushSourceOptions;
  readonly #wildcards = new WildcardKeys();
  readonly #context: ViewContext;
  readonly #debounce: Debounce;
  #pushes = 0;

  constructor(options: PushSourceOptions) {
    this.#options = options;
    this.proxies = new Proxies(options.clock);
    this.progress = new Progress(options.clock, (node) => this.proxies.current(node));
    this.cache = new TranslationCache((node, typeUrl, name) => this.#attempt((mesh) => translate(mesh, node, typeUrl, name), node));
    this.#debounce = new Debounce(options.clock, PUSH_WINDOW_MS, () => this.#push());
    this.#context = {
      cache: this.cache,
      wildcards: this.#wildcards,
      namesOf: (node, typeUrl): Names | 'failed' =>
        this.#attempt((mesh) => (typeUrl === TypeUrl.listener ? listenerNames(mesh, node) : clusterNames(mesh, node)), node),
      flush: () => this.progress.number,
      progressed: (view) => {
        this.proxies.progressed(view, this.#options.mesh.revision);
        this.progress.progressed(view.node.id);
        options.onProxies();
      },
      refused: (view, typeUrl, message) => {
        this.proxies.refused(view, message);
        const filters = view.sourcesRefused(typeUrl).filter(({ kind }) => kind === 'EnvoyFilter');
        options.mesh.refused(filters, view.node.dataPlane, message, options.clock.now());
        options.log({ level: 'warn', part: 'push', message: `${view.node.id} refused an update: ${message}`, node: view.node.id, typeUrl });
      },
      closed: (view) => {
        this.proxies.closed(view);
        this.progress.progressed(view.node.id);
        options.onProxies();
      },
    };
  }

  /** Pushes that sent something to somebody. */
  get pushes(): number {
    return this.#pushes;
  }

  open(node: Node, caller: Caller, changed: (typeUrl: TypeUrl, change: Change) => void): ClientView {
    if (node.id === '' || node.id.length > MAX_NODE_ID_LENGTH) throw new ConnectError('Node.id must be INSTANCE.NAMESPACE', Code.InvalidArgument);
    let proxy: ProxyNode;
    try {
      proxy = parseNode(node);
    } catch (error) {
      if (error instanceof NodeError) throw new ConnectError(error.message, Code.InvalidArgument);
      throw error;
    }
    const expected = formatSpiffeId({ trustDomain: this.#options.trustDomain, namespace: proxy.namespace, serviceAccount: proxy.serviceAccount });
    if (caller.spiffeId !== expected) {
      throw new ConnectError(
        caller.spiffeId === undefined
          ? `Node ${proxy.id} says it is ${expected} but shows no certificate of this mesh; connect with its SVID, by way of an agent (rig run, rig sidecar)`
          : `Node ${proxy.id} says it is ${expected} but its certificate is of ${caller.spiffeId}; NAMESPACE and SERVICE_ACCOUNT in Node.metadata must be those of the certificate`,
        caller.spiffeId === undefined ? Code.Unauthenticated : Code.PermissionDenied,
      );
    }
    const view = new ClientView(proxy, this.#context, changed);
    this.proxies.opened(view, expected);
    this.#options.onProxies();
    return view;
  }

  /** The mesh's next state has changed: push it soon. */
  meshChanged(): void {
    this.#debounce.trigger();
  }

  stop(): void {
    this.#debounce.stop();
    this.progress.stop();
  }

  #push(): void {
    const { clock, mesh, log } = this.#options;
    const started = clock.now();
    const { touched, revision, changedAtMs } = mesh.take();
    const flush = this.progress.begin();
    const changes = new Map<ClientView, Map<TypeUrl, Set<string>>>();
    const note = (view: ClientView, typeUrl: TypeUrl, name: string): void => {
      let types = changes.get(view);
      if (types === undefined) {
        types = new Map();
        changes.set(view, types);
      }
      const names = types.get(typeUrl);
      if (names === undefined) types.set(typeUrl, new Set([name]));
      else names.add(name);
    };
    for (const view of this.#wildcards.isTouched(touched) ? this.proxies.views() : []) {
      for (const typeUrl of [TypeUrl.cluster, TypeUrl.listener]) {
        for (const name of view.refreshWildcard(typeUrl, touched) ?? []) note(view, typeUrl, name);
      }
    }
    for (const [entry, before] of this.cache.refresh(touched)) {
      for (const view of entry.clients) {
        note(view, entry.typeUrl, entry.name);
        // A client holds it by its own name, and maybe by the name that it had.
        if (before !== undefined && before.name !== entry.name) note(view, entry.typeUrl, before.name);
      }
    }
    mesh.proven();
    const affected = new Map<string, ClientView>();
    for (const [view, types] of changes) {
      affected.set(view.node.id, view);
      view.announce(flush, types);
    }
    this.progress.pushed(flush, revision, changedAtMs ?? started, affected);
    this.proxies.pushed(revision);
    if (affected.size === 0) return;
    this.#pushes += 1;
    this.#options.onProxies();
    log({ level: 'debug', part: 'push', message: `pushed to ${affected.size} proxies`, revision, keys: touched.size, tookMs: clock.now() - started });
  }

  /** Translates; where that throws, finds the object at fault and goes on without it. */
  #attempt<T>(run: (mesh: MeshState['current']) => T, node: ProxyNode): T | 'failed' {
    const { mesh, clock, log } = this.#options;
    try {
      return run(mesh.current);
    } catch (fault) {
      const mended = mesh.quarantine(fault, clock.now(), run);
      log({
        level: 'error',
        part: 'push',
        message: `translation for ${node.id} failed: ${fault instanceof Error ? (fault.stack ?? fault.message) : String(fault)}`,
        node: node.id,
      });
      if (mended === undefined) return 'failed';
      try {
        return run(mended);
      } catch {
        return 'failed';
      }
    }
  }
}
