/** What the control plane says while it runs; one line each. */
export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** "config", "push", "certificates", "telemetry", "registry", "api". */
  readonly part: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** Time as it passes; tests bring their own. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Returns what cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export interface Bind {
  /** IP address; default 127.0.0.1. */
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
}

export interface ControlPlaneOptions {
  /** Product version, shown by /api/v1/version. */
  readonly version: string;
  /**
   * Default `~/.outrigger`. Holds `store/` (lmdb), `lock`, and `run/` (mode 0700): `api.sock`, `agent.sock`,
   * `control-plane.json` (the `Addresses` and the pid, while it runs).
   */
  readonly stateDirectory?: string;
  /** Folder of YAML to watch; absent: configuration comes by the API alone. */
  readonly configDirectory?: string;
  /** Files of MeshConfig and MeshNetworks; absent: what the watched folder has of them is in effect. */
  readonly meshConfigFile?: string;
  readonly meshNetworksFile?: string;
  /** Default "cluster.local". Fixed when the state directory is first used. */
  readonly trustDomain?: string;
  /** Default "istio-system". */
  readonly rootNamespace?: string;
  /** What happens with hosts that are no service of the mesh. Goes before MeshConfig's; a Sidecar overrides it. */
  readonly outboundPolicy?: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** ADS, certificates, registration and access logs, TLS. Default 127.0.0.1:15012. */
  readonly grpc?: Bind;
  /** The HTTP API and the dashboard. Default 127.0.0.1:15014. Elsewhere than on loopback: TLS and bearer tokens. */
  readonly api?: Bind;
  /** Names and addresses by which others reach a non-loopback `api` or `grpc`: in the serving certificate and accepted as `Host`. */
  readonly externalNames?: readonly string[];
  /** "ADDRESS" or "ADDRESS:PORT": asked, in their order, for the names that ServiceEntries have in `outrigger.dev/srv`. Default: those of this machine. */
  readonly dnsServers?: readonly string[];
  /** Static files of the dashboard; absent: none. */
  readonly dashboardDirectory?: string;
  /** Life of an SVID whose CSR names none. Default 24 h. */
  readonly certificateTtlMs?: number;
  /** From start to first scrape and between scrapes of the sidecars' metrics. Default 1 s. */
  readonly scrapeIntervalMs?: number;
  /** Whether sidecars are asked for the heads of some of their requests, for `rig plan --replay`. Default true. */
  readonly requestSamples?: boolean;
  /** Revisions of resources kept for watches and undo. Default 10,000. */
  readonly historyRevisions?: number;
  /** Default: nothing is logged. */
  readonly log?: (entry: LogEntry) => void;
  readonly clock?: Clock;
}

/** Where it listens, once it does. */
export interface Addresses {
  /** "127.0.0.1:15012": ADS (mTLS), CertificateService, WorkloadService, access logs. */
  readonly grpc: string;
  /** h2c for agents of this machine and user, who are attested by the socket's peer credentials. */
  readonly agentSocket: string;
  /** The HTTP API with no token, for who may open the socket. */
  readonly apiSocket: string;
  /** "http://127.0.0.1:15014" */
  readonly api: string;
  /** `api` with a one-time token, to open in a browser. */
  readonly dashboard: string;
  readonly trustDomain: string;
  readonly stateDirectory: string;
}

export interface ControlPlane {
  readonly addresses: Addresses;
  /** Ends listeners, streams and timers and closes the store; at most 2 s. Safe to call twice. */
  stop(): Promise<void>;
}

export type StartErrorCode =
  | 'BAD_OPTION'
  | 'ALREADY_RUNNING'
  | 'ADDRESS_IN_USE'
  | 'ADDRESS_REFUSED'
  | 'STATE_DIRECTORY'
  | 'STORE_BROKEN'
  | 'STORE_FOREIGN'
  | 'CONFIG_DIRECTORY';

/** Why it did not start. `message` is what happened, `where` the option, path or address, `next` what to do. */
export class StartError extends Error {
  readonly code: StartErrorCode;
  readonly where: string;
  readonly next: string;

  constructor(code: StartErrorCode, what: string, where: string, next: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'StartError';
    this.code = code;
    this.where = where;
    this.next = next;
  }
}
