import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { Route } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { FractionalPercent_DenominatorType } from '@outrigger/xds/protos/envoy/type/v3/percent';
import type { Fault, Outcome } from './outcome.ts';

/** Zero: no limit. */
export function resilience(route: Route): Pick<Outcome, 'retries' | 'timeoutMs'> {
  if (route.action.case !== 'route') return { retries: null, timeoutMs: 0 };
  const { timeout, retryPolicy } = route.action.value;
  return {
    timeoutMs: durationMs(timeout),
    retries:
      retryPolicy === undefined
        ? null
        : {
            attempts: retryPolicy.numRetries ?? 1,
            on: retryPolicy.retryOn,
            codes: retryPolicy.retriableStatusCodes,
            perTryTimeoutMs: durationMs(retryPolicy.perTryTimeout),
          },
  };
}

export function durationMs(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

const PARTS: Readonly<Record<number, number>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: 1_000_000,
};

/** Of a hundred. */
export function percentOf(fraction: { readonly numerator: number; readonly denominator: FractionalPercent_DenominatorType } | undefined): number {
  return fraction === undefined ? 0 : (fraction.numerator * 100) / (PARTS[fraction.denominator] ?? 100);
}

export function faultsOf(route: Route): readonly Fault[] {
  return Object.values(route.typedPerFilterConfig).flatMap((any) => {
    const fault = anyUnpack(any, HTTPFaultSchema);
    const delay = fault?.delay;
    const abort = fault?.abort;
    return [
      ...(delay?.faultDelaySecifier.case === 'fixedDelay'
        ? [{ kind: 'delay', percent: percentOf(delay.percentage), delayMs: durationMs(delay.faultDelaySecifier.value) } as const]
        : []),
      ...(abort?.errorType.case === 'httpStatus' ? [{ kind: 'abort', percent: percentOf(abort.percentage), status: abort.errorType.value } as const] : []),
    ];
  });
}
