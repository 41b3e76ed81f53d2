/** JSON of the control plane's HTTP API (`/api/v1/...`), used by `rig` and by the dashboard. Times are Unix milliseconds. */
export type { RolloutActionName, RolloutArmView, RolloutRequest, RolloutView } from './rollout-shapes.ts';

/** GET /api/v1/version */
export interface VersionInfo {
  version: string;
  trustDomain: string;
  rootNamespace: string;
  configRevision: string;
  startedAtMs: number;
}

export type ConditionState = 'accepted' | 'in-effect' | 'pending' | 'shadowed' | 'without-effect' | 'partly' | 'quarantined';
/** Status of one resource: what it does, and what of it does nothing and why. */
export interface ResourceStatus {
  state: ConditionState;
  /** One sentence: "in effect on 9 of 9 proxies", "without effect because subset v3 is not in DestinationRule default/order-service". */
  summary: string;
  acknowledged: number;
  affected: number;
  /** Node ids that have not acknowledged yet. */
  laggards: string[];
  /** Proxies that refused it, in their own words. */
  refused: { node: string; message: string }[];
  /** Fields that this version accepts but does not act on, and differences on Envoy. */
  notes: string[];
}
/** GET /api/v1/resources[?kind=&namespace=&name=] -> ResourceView[] */
export interface ResourceView {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  resourceVersion: string;
  generation: number;
  creationTimestamp: string;
  origin: { file: string; line: number } | null;
  manifest: unknown;
  status: ResourceStatus;
}
/** One thing wrong with what was sent, or worth a word. */
export interface Message {
  code: string;
  level: 'Error' | 'Warning' | 'Info';
  message: string;
  resource: { group: string; kind: string; namespace: string; name: string };
  file: string;
  line: number;
}

/**
 * POST /api/v1/apply {documents: [{file, text}], dryRun?, namespace?, ifRevision?} -> ApplyResult. 422 with the same shape when refused (nothing is
 * changed); 409 CHANGED where `ifRevision` is not the present revision.
 */
export interface ApplyRequest {
  documents: { file: string; text: string }[];
  dryRun?: boolean;
  namespace?: string;
  ifRevision?: string;
}
export interface ApplyResult {
  applied: { group: string; kind: string; namespace: string; name: string; change: 'created' | 'configured' | 'unchanged'; diff?: string }[];
  /** Other Kubernetes kinds in the files, counted and left out: {"Deployment": 4}. */
  skipped: Record<string, number>;
  /** Services of Kubernetes among them that the mesh does not have: NAME, or NAMESPACE/NAME outside of the namespace that was asked about. */
  absentServices: string[];
  messages: Message[];
  /** To ask /api/v1/wait with. */
  revision: string;
}
/**
 * DELETE /api/v1/resources/KIND/NAMESPACE/NAME -> {revision}; KIND as `rig get` takes it ("Gateway.networking.istio.io": with its group where the name
 * alone is of two); NAMESPACE is "-" for cluster-scoped kinds.
 */
/** POST /api/v1/delete {resources: DeleteTarget[]} -> {revision}: all of them, as one revision, or none. Fields as in DELETE, but `namespace` '' for cluster-scoped kinds. */
export interface DeleteTarget {
  kind: string;
  namespace: string;
  name: string;
}
/** One resource of a revision, or of what lies between two. `diff`: unified, of YAML; '' or absent where it is not asked for. */
export interface ResourceChange {
  group: string;
  kind: string;
  namespace: string;
  name: string;
  change: 'created' | 'configured' | 'deleted';
  diff?: string;
}
/** GET /api/v1/history?limit=&kind=&namespace=&name= -> RevisionView[], newest first; a filter leaves out revisions that touched nothing of it. */
export interface RevisionView {
  revision: string;
  timeMs: number;
  /** '' : not known. */
  by: string;
  /** "apply", "delete", "folder", "undo to 12"; '' : not known. */
  how: string;
  changes: ResourceChange[];
}
/** GET /api/v1/diff?from=A[&to=B] -> DiffView; without `to`: to what is in force. 410 NOT_KEPT. */
export interface DiffView {
  from: string;
  to: string;
  changes: ResourceChange[];
}
/** POST /api/v1/undo {revision?, dryRun?} -> UndoResult: what was in force after `revision` (default: before the last one), as a new revision. 422 as apply. */
export interface UndoRequest {
  revision?: string;
  dryRun?: boolean;
}
export interface UndoResult {
  /** The revision whose state it is again. */
  to: string;
  changes: ResourceChange[];
  messages: Message[];
  revision: string;
}

/** GET /api/v1/wait?revision=R&timeoutMs=N -> WaitResult (200 also when it timed out). */
export interface WaitResult {
  done: boolean;
  elapsedMs: number;
  affected: number;
  acknowledged: number;
  laggards: string[];
  refused: { node: string; message: string }[];
}

/** GET /api/v1/proxies */
export interface ProxyView {
  node: string;
  namespace: string;
  service: string;
  workload: string;
  version: string;
  instance: string;
  dataPlane: 'outrigger' | 'envoy' | 'grpc';
  connected: boolean;
  sync: Record<string, 'synced' | 'stale' | 'refused' | 'not-sent'>;
  refusal: string | null;
  configRevision: string;
  spiffeId: string;
  certificateExpiresAtMs: number | null;
  lastSeenMs: number;
}
/** GET /api/v1/services */
export interface ServiceView {
  hostname: string;
  name: string;
  namespace: string;
  ports: { name: string; port: number; protocol: string }[];
  instances: {
    id: string;
    version: string;
    address: string;
    health: 'HEALTHY' | 'UNHEALTHY' | 'DRAINING';
    reason: string;
    meshed: boolean;
    locality: string;
    applicationPid: number | null;
    proxyPid: number | null;
  }[];
}
/** GET /api/v1/graph?windowMs=10000: who calls whom, as the sidecars counted. null: not known, as of an edge whose requests reached nobody.
 * Two nodes have no service: "unknown caller" (no sidecar) and "unknown destination" (no service of the mesh). */
export interface GraphView {
  windowMs: number;
  nodes: { id: string; service: string; namespace: string; version: string }[];
  edges: {
    from: string;
    to: string;
    requestsPerSecond: number;
    successRatio: number | null;
    p50Ms: number | null;
    p99Ms: number | null;
    mtlsRatio: number | null;
  }[];
}
/** GET /api/v1/top?windowMs=: a line per service, server side; null: no request in that time, so nothing is known. `breaker`: endpoints ejected now by callers. */
export interface TopRow {
  service: string;
  namespace: string;
  version: string;
  requestsPerSecond: number;
  successRatio: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  mtlsRatio: number | null;
  breaker: { open: number; halfOpen: number; endpoints: number };
  instances: number;
}
/** GET /api/v1/events (text/event-stream): each event is `data: {"kind": "top" | "graph" | "proxies" | "resources" | "services"}`: fetch that again. */

/** GET /api/v1/problems -> Problem[]: bad files of the watched folder, quarantined objects, refused updates, instances that are no endpoints. */
export interface Problem {
  what: string;
  where: string;
  next: string;
  sinceMs: number;
}

/** GET /api/v1/notes -> SettingNote[]: settings of the mesh that are in force and do nothing. */
export interface SettingNote {
  what: string;
  where: string;
}

/** The head of a request as it came to a sidecar's routes, and what became of it. Secrets in it are hashed, its body is not in it. */
export interface RequestSample {
  atMs: number;
  method: string;
  scheme: string;
  authority: string;
  path: string;
  /** name, value, name, value ... */
  headers: string[];
  listener: string;
  /** "ip:port" that the connection was made to. */
  address: string;
  remote: string;
  tls: boolean;
  sni: string;
  alpn: string;
  /** SPIFFE id of the client's certificate; '' : none. */
  peer: string;
  /** 0: it was not over. */
  status: number;
  /** Envoy's response flags, as bits. */
  flags: number;
  route: string;
  cluster: string;
}
/** What one sidecar chose in some seconds: `samples` of `seen` requests, each with the same chance. */
export interface SampleWindow {
  node: string;
  direction: 'inbound' | 'outbound';
  startMs: number;
  endMs: number;
  seen: number;
  samples: RequestSample[];
}
/** GET /api/v1/request-samples?sinceMs=UNIX_MS -> RequestSamplesView (Unix socket or bearer token only). */
export interface RequestSamplesView {
  windows: SampleWindow[];
}

/** POST /api/v1/tokens TokenRequest -> TokenCreated; the token's text is in that answer alone. GET /api/v1/tokens -> TokenView[]; DELETE /api/v1/tokens/ID. */
export interface TokenRequest {
  namespace: string;
  serviceAccount: string;
  /** Default 1 h. */
  ttlMs?: number;
  /** Default 'single': for one key. */
  uses?: 'single' | 'multiple';
}
export interface TokenCreated {
  token: string;
  expiresAtMs: number;
}
export interface TokenView {
  id: string;
  namespace: string;
  serviceAccount: string;
  uses: 'single' | 'multiple';
  used: boolean;
  expiresAtMs: number;
}

/** POST /api/v1/dashboard-url -> {url}: the dashboard's address with a fresh one-time token (Unix socket or bearer token only). */

/** Every error answer: status 4xx or 5xx. */
export interface ApiError {
  error: { code: string; what: string; where: string; next: string; messages?: Message[] };
}
