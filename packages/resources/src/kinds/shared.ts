/** A duration as people write it: "1.5s", "250ms", "1h30m". Read it with `durationMs`. */
export type DurationText = string;

/** Exactly one is set; the CRD refuses two. None: the value need only be there. */
export interface StringMatch {
  readonly exact?: string;
  readonly prefix?: string;
  /** RE2. */
  readonly regex?: string;
}

export interface WorkloadSelector {
  readonly labels?: Readonly<Record<string, string>>;
}

/** The security API's selector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** Parts of a hundred. */
export interface Percent {
  readonly value?: number;
}

export type TlsMode = 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL';

export interface ClientTlsSettings {
  readonly mode?: TlsMode;
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly sni?: string;
  readonly insecureSkipVerify?: boolean | null;
  readonly caCrl?: string;
}
