import type { Json } from '../json.ts';
import type { PolicyTargetReference } from './shared.ts';

/** networking.istio.io EnvoyFilter. */
export interface EnvoyFilterSpec {
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly configPatches?: readonly EnvoyFilterPatch[];
  /** Lower goes first; 0 where it is left out. */
  readonly priority?: number;
}

export interface EnvoyFilterPatch {
  readonly applyTo?: string;
  readonly match?: EnvoyFilterMatch;
  readonly patch?: { readonly operation?: string; readonly value?: Json; readonly filterClass?: string };
}

export interface EnvoyFilterMatch {
  readonly context?: string;
  readonly proxy?: { readonly proxyVersion?: string; readonly metadata?: Readonly<Record<string, string>> };
  readonly listener?: EnvoyFilterListenerMatch;
  readonly routeConfiguration?: EnvoyFilterRouteMatch;
  readonly cluster?: { readonly portNumber?: number; readonly service?: string; readonly subset?: string; readonly name?: string };
  readonly waypoint?: Json;
}

export interface EnvoyFilterListenerMatch {
  readonly portNumber?: number;
  readonly portName?: string;
  readonly name?: string;
  readonly listenerFilter?: string;
  readonly filterChain?: {
    readonly name?: string;
    readonly sni?: string;
    readonly transportProtocol?: string;
    readonly applicationProtocols?: string;
    readonly destinationPort?: number;
    readonly transportSocket?: string;
    readonly filter?: { readonly name?: string; readonly subFilter?: { readonly name?: string } };
  };
}

export interface EnvoyFilterRouteMatch {
  readonly portNumber?: number;
  readonly portName?: string;
  readonly gateway?: string;
  readonly name?: string;
  readonly vhost?: { readonly name?: string; readonly domainName?: string; readonly route?: { readonly name?: string; readonly action?: string } };
}
