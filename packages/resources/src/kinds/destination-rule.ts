import type { ClientTlsSettings, DurationText, LabelSelector } from './shared.ts';

/** networking.istio.io DestinationRule. */
export interface DestinationRuleSpec {
  readonly host: string;
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets?: readonly Subset[];
  readonly exportTo?: readonly string[];
  readonly workloadSelector?: LabelSelector;
}

export interface Subset {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly trafficPolicy?: TrafficPolicy;
}

export interface PortTrafficPolicy {
  readonly port?: { readonly number?: number };
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
}

export interface TrafficPolicy {
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
  readonly portLevelSettings?: readonly PortTrafficPolicy[];
  readonly tunnel?: { readonly protocol?: string; readonly targetHost: string; readonly targetPort: number };
  readonly proxyProtocol?: { readonly version?: 'V1' | 'V2' };
  readonly retryBudget?: { readonly percent?: number | null; readonly minRetryConcurrency?: number; readonly budgetInterval?: DurationText };
}

export type SimpleLoadBalancer = 'UNSPECIFIED' | 'LEAST_CONN' | 'RANDOM' | 'PASSTHROUGH' | 'ROUND_ROBIN' | 'LEAST_REQUEST';

export interface LoadBalancerSettings {
  readonly simple?: SimpleLoadBalancer;
  readonly consistentHash?: ConsistentHash;
  readonly localityLbSetting?: LocalityLoadBalancerSetting;
  readonly warmup?: { readonly duration: DurationText; readonly minimumPercent?: number | null; readonly aggression?: number | null };
  readonly warmupDurationSecs?: DurationText;
  readonly zoneAwareLbSetting?: Pick<LocalityLoadBalancerSetting, 'failover' | 'failoverPriority'>;
  readonly backendUtilization?: unknown;
}

export interface ConsistentHash {
  readonly httpHeaderName?: string;
  readonly httpCookie?: {
    readonly name: string;
    readonly path?: string;
    readonly ttl?: DurationText;
    readonly attributes?: readonly { readonly name: string; readonly value?: string }[];
  };
  readonly useSourceIp?: boolean;
  readonly httpQueryParameterName?: string;
  readonly ringHash?: { readonly minimumRingSize?: number };
  readonly maglev?: { readonly tableSize?: number };
  readonly minimumRingSize?: number;
}

export interface LocalityLoadBalancerSetting {
  readonly enabled?: boolean | null;
  readonly distribute?: readonly { readonly from?: string; readonly to?: Readonly<Record<string, number>> }[];
  readonly failover?: readonly { readonly from?: string; readonly to?: string }[];
  readonly failoverPriority?: readonly string[];
}

export interface ConnectionPoolSettings {
  readonly tcp?: {
    readonly maxConnections?: number;
    readonly connectTimeout?: DurationText;
    readonly tcpKeepalive?: { readonly probes?: number; readonly time?: DurationText; readonly interval?: DurationText };
    readonly maxConnectionDuration?: DurationText;
    readonly idleTimeout?: DurationText;
  };
  readonly http?: {
    readonly http1MaxPendingRequests?: number;
    readonly http2MaxRequests?: number;
    readonly maxRequestsPerConnection?: number;
    readonly maxRetries?: number;
    readonly idleTimeout?: DurationText;
    readonly h2UpgradePolicy?: 'DEFAULT' | 'DO_NOT_UPGRADE' | 'UPGRADE';
    readonly useClientProtocol?: boolean;
    readonly maxConcurrentStreams?: number;
    readonly http2KeepAlive?: { readonly interval?: DurationText; readonly timeout?: DurationText };
  };
}

export interface OutlierDetection {
  readonly consecutive5xxErrors?: number | null;
  readonly consecutiveGatewayErrors?: number | null;
  /** Deprecated by Istio: the same as `consecutiveGatewayErrors`. */
  readonly consecutiveErrors?: number;
  readonly consecutiveLocalOriginFailures?: number | null;
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly interval?: DurationText;
  readonly baseEjectionTime?: DurationText;
  /** Parts of a hundred. */
  readonly maxEjectionPercent?: number;
  /** Parts of a hundred. */
  readonly minHealthPercent?: number;
  readonly outlierDetectionHttpErrorCodes?: readonly unknown[];
}
