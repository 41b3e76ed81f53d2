import type { Any } from '@bufbuild/protobuf/wkt';
import type { CorsPolicy, HttpFaultInjection, HttpRoute, Resource } from '@outrigger/resources';
import { durationMs } from '@outrigger/resources';
import { CorsPolicySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { FractionalPercent_DenominatorType } from '@outrigger/xds/protos/envoy/type/v3/percent';
import { durationOf } from '../durations.ts';
import { any } from '../messages.ts';
import type { Reader } from '../reader.ts';
import { stringMatcher } from './match.ts';

export const FAULT_FILTER = 'envoy.filters.http.fault';
export const CORS_FILTER = 'envoy.filters.http.cors';

const PARTS = 1_000_000;

/** A share of a hundred as Envoy's fraction, exact to a ten-thousandth of a percent. */
export function fraction(percent: number): { numerator: number; denominator: FractionalPercent_DenominatorType } {
  return { numerator: Math.round((percent * PARTS) / 100), denominator: FractionalPercent_DenominatorType.MILLION };
}

export function perFilterConfig(reader: Reader, owner: Resource, field: string, route: Pick<HttpRoute, 'fault' | 'corsPolicy'>): Record<string, Any> {
  const config: Record<string, Any> = {};
  if (route.fault !== undefined) {
    const fault = faultConfig(reader, owner, `${field}.fault`, route.fault);
    if (fault !== undefined) config[FAULT_FILTER] = fault;
  }
  if (route.corsPolicy !== undefined) {
    if (reader.node.dataPlane === 'grpc') reader.ignored(owner, `${field}.corsPolicy`, 'gRPC clients are no browsers', 'grpc');
    else config[CORS_FILTER] = corsConfig(reader, owner, `${field}.corsPolicy`, route.corsPolicy);
  }
  return config;
}

const GRPC_STATUS = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
]; // biome-ignore format: one list

function faultConfig(reader: Reader, owner: Resource, field: string, fault: HttpFaultInjection): Any | undefined {
  const { delay, abort } = fault;
  const fixed = durationOf(reader, owner, `${field}.delay.fixedDelay`, delay?.fixedDelay);
  const grpcStatus = abort?.grpcStatus === undefined ? -1 : GRPC_STATUS.indexOf(abort.grpcStatus.toUpperCase());
  if (abort?.grpcStatus !== undefined && grpcStatus < 0) reader.ignored(owner, `${field}.abort.grpcStatus`, `"${abort.grpcStatus}" is no gRPC status`);
  const errorType =
    abort?.httpStatus !== undefined && abort.httpStatus !== 0
      ? ({ case: 'httpStatus', value: abort.httpStatus } as const)
      : grpcStatus >= 0
        ? ({ case: 'grpcStatus', value: grpcStatus } as const)
        : undefined;
  if (fixed === undefined && errorType === undefined) return undefined;
  return any(HTTPFaultSchema, {
    ...(fixed === undefined
      ? {}
      : { delay: { faultDelaySecifier: { case: 'fixedDelay', value: fixed }, percentage: fraction(delay?.percentage?.value ?? delay?.percent ?? 100) } }),
    ...(errorType === undefined ? {} : { abort: { errorType, percentage: fraction(abort?.percentage?.value ?? 100) } }),
  });
}

function corsConfig(reader: Reader, owner: Resource, field: string, cors: CorsPolicy): Any {
  const origins = [...(cors.allowOrigins ?? []), ...(cors.allowOrigin ?? []).map((exact) => (exact === '*' ? { regex: '.*' } : { exact }))];
  const maxAge = cors.maxAge === undefined ? undefined : durationMs(cors.maxAge);
  if (cors.maxAge !== undefined && maxAge === undefined) reader.ignored(owner, `${field}.maxAge`, `"${cors.maxAge}" is no duration`);
  return any(CorsPolicySchema, {
    allowOriginStringMatch: origins.map((origin) => stringMatcher(origin)).filter((matcher) => matcher !== undefined),
    allowMethods: (cors.allowMethods ?? []).join(','),
    allowHeaders: (cors.allowHeaders ?? []).join(','),
    exposeHeaders: (cors.exposeHeaders ?? []).join(','),
    maxAge: maxAge === undefined ? '' : String(Math.trunc(maxAge / 1000)),
    ...(cors.allowCredentials == null ? {} : { allowCredentials: cors.allowCredentials }),
    filterEnabled: { defaultValue: fraction(100) },
    ...(cors.unmatchedPreflights === 'IGNORE' ? { forwardNotMatchingPreflights: false } : {}),
  });
}
