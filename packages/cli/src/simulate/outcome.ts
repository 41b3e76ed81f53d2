/** What becomes of a request or a connection. */
export type Decision =
  | 'route'
  | 'redirect'
  | 'direct-response'
  | 'no-route'
  | 'denied'
  | 'invalid-backend'
  | 'passthrough'
  | 'fault'
  | 'no-listener'
  | 'no-filter-chain'
  | 'tls-error';

export interface SentRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** By lower-case name; several of one name joined by ",". */
  readonly headers: Readonly<Record<string, string>>;
}

export interface SimulatedDestination {
  /** Full name; of an inbound destination the workload's own address. */
  readonly host: string;
  readonly port: number;
  readonly subset: string;
  /** Percent. */
  readonly weight: number;
  /** Where what arrives there is another request than `Outcome.request`. */
  readonly request?: SentRequest;
  /** How the connection to it is secured. */
  readonly tls?: DestinationTls;
}

export interface DestinationTls {
  /** "mesh": mTLS where the endpoint has a sidecar; "mutual": mTLS; "simple": TLS without a certificate of ours. */
  readonly mode: 'none' | 'mesh' | 'mutual' | 'simple';
  readonly sni: string;
  /** "NAMESPACE/NAME" of the secret that is shown if it is asked for; '' : none, or the mesh's own. */
  readonly clientCertificate: string;
}

export interface Matched {
  /** "HTTPRoute default/orders"; '' : a route that the mesh makes of itself. */
  readonly resource: string;
  readonly file: string;
  readonly line: number;
  /** "spec.rules[0] (name)". */
  readonly rule: string;
}

/** A patch of an EnvoyFilter, and what it was done to: "route", "filter chain mtls", "cluster outbound|8080||orders...". */
export interface AppliedPatch extends Matched {
  readonly to: string;
}

export interface Fault {
  readonly kind: 'delay' | 'abort';
  readonly percent: number;
  readonly delayMs?: number;
  readonly status?: number;
}

export interface Retries {
  readonly attempts: number;
  readonly on: string;
  /** Status codes that are tried again beside what `on` names. */
  readonly codes: readonly number[];
  readonly perTryTimeoutMs: number;
}

export interface Authorization {
  readonly allowed: boolean;
  /** The policy's rule that decided, '' where none matched. */
  readonly policy: string;
}

export interface Outcome {
  readonly decision: Decision;
  /** 0: no answer of HTTP. */
  readonly status: number;
  readonly destinations: readonly SimulatedDestination[];
  readonly location: string | null;
  readonly request: SentRequest | null;
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>> } | null;
  readonly matched: Matched | null;
  /** Of what decided about it. */
  readonly patchedBy: readonly AppliedPatch[];
  /** Whether the connection that was asked about is of mutual TLS. */
  readonly mtls: boolean;
  /** Whether its TLS ends at the proxy. */
  readonly tlsTerminated: boolean;
  /** What is shown to the client there, as SDS names it; '' : nothing. */
  readonly certificate: string;
  readonly authorization: Authorization | null;
  readonly retries: Retries | null;
  /** 0: none. */
  readonly timeoutMs: number;
  readonly faults: readonly Fault[];
  readonly mirrors: readonly { readonly host: string; readonly port: number; readonly percent: number }[];
  /** In words, one step a line. */
  readonly explanation: readonly string[];
  /** What the files name and do not hold, taken to be there. */
  readonly assumed: readonly string[];
  /** By the names of xDS, as `config_dump` has them. */
  readonly xds: {
    readonly listener: string;
    readonly filterChain: string;
    readonly virtualHost: string;
    readonly route: string;
    readonly clusters: readonly string[];
  };
}

const NOTHING: Outcome = {
  decision: 'no-listener',
  status: 0,
  destinations: [],
  location: null,
  request: null,
  response: null,
  matched: null,
  patchedBy: [],
  mtls: false,
  tlsTerminated: false,
  certificate: '',
  authorization: null,
  retries: null,
  timeoutMs: 0,
  faults: [],
  mirrors: [],
  explanation: [],
  assumed: [],
  xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters: [] },
};

export function outcome(fields: Partial<Outcome> & Pick<Outcome, 'decision'>): Outcome {
  return { ...NOTHING, ...fields };
}
