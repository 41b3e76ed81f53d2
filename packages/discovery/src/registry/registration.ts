import type { Protocol } from '@outrigger/resources';

export type DataPlane = 'outrigger' | 'envoy' | 'grpc' | 'none';

export interface RegistrationPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly servicePort: number;
  readonly applicationPort: number;
  readonly meshPort: number;
}

/** What somebody says of one instance, checked (`checkRegistration`): every name, number and address is well-formed. */
export interface Registration {
  readonly instance: string;
  readonly namespace: string;
  readonly service: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** "region/zone/subzone", shorter, or ''. */
  readonly locality: string;
  /** 0: the default, 1. */
  readonly weight: number;
  readonly ports: readonly RegistrationPort[];
  /** IP address. */
  readonly address: string;
  readonly dataPlane: DataPlane;
  /** host:port of the sidecar's Prometheus page; '' where there is none. */
  readonly metricsAddress: string;
  readonly nodeId: string;
  /** 0: unknown. */
  readonly applicationPid: number;
  /** 0: unknown. */
  readonly proxyPid: number;
}

/** Why a registration, or a request about one, is not accepted. `reason` says what is wrong and what to do. */
export interface Refusal {
  readonly refused: 'invalid' | 'limit' | 'taken' | 'unknown';
  readonly reason: string;
}
