import type { Json } from '../json.ts';
import type { LabelSelector, PolicyTargetReference } from './shared.ts';

/** telemetry.istio.io Telemetry, as far as it is acted upon. */
export interface TelemetrySpec {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly accessLogging?: readonly TelemetryAccessLogging[];
  readonly tracing?: readonly TelemetryTracing[];
  readonly metrics?: readonly Json[];
}

interface TelemetryMatch {
  readonly mode?: 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER';
}

export interface TelemetryAccessLogging {
  readonly match?: TelemetryMatch;
  readonly providers?: readonly { readonly name?: string }[];
  readonly disabled?: boolean;
  readonly filter?: { readonly expression?: string };
}

export interface TelemetryTracing {
  readonly match?: TelemetryMatch;
  readonly disableSpanReporting?: boolean;
  readonly randomSamplingPercentage?: number;
  readonly customTags?: Readonly<Record<string, TelemetryTag>>;
}

export interface TelemetryTag {
  readonly literal?: { readonly value?: string };
  readonly environment?: { readonly name?: string; readonly defaultValue?: string };
  readonly header?: { readonly name?: string; readonly defaultValue?: string };
}
