import { AdaptiveConcurrencySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency';
import { BufferSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/buffer/v3/buffer';
import { CompressorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/compressor/v3/compressor';
import { DecompressorSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/decompressor/v3/decompressor';
import { ExtAuthzSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { HeaderMutationSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import { HealthCheckSchema as HealthCheckFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/health_check/v3/health_check';
import { JwtAuthenticationSchema, JwtProviderSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import { LocalRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit';
import { RateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/ratelimit/v3/rate_limit';
import { RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import { typed } from '../../testing/messages.ts';
import { httpFilter, manager } from './http-manager-subjects.ts';
import { HCM_PATH, MANAGER, ROUTER } from './listener-subjects.ts';
import type { Subject } from './probe.ts';

const JWT = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';

export const HTTP_FILTER_SUBJECTS: Readonly<Record<string, Subject>> = {
  RBAC: httpFilter('envoy.extensions.filters.http.rbac.v3.RBAC', RBACSchema),
  HTTPFault: httpFilter('envoy.extensions.filters.http.fault.v3.HTTPFault', HTTPFaultSchema),
  HeaderMutation: httpFilter('envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', HeaderMutationSchema),
  Buffer: httpFilter('envoy.extensions.filters.http.buffer.v3.Buffer', BufferSchema, { maxRequestBytes: 1 }),
  'LocalRateLimit, HTTP': httpFilter('envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit', LocalRateLimitSchema),
  'RateLimit, HTTP': httpFilter('envoy.extensions.filters.http.ratelimit.v3.RateLimit', RateLimitSchema, {
    domain: 'x',
    rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'x' } } },
  }),
  ExtAuthz: httpFilter('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', ExtAuthzSchema, {
    grpcService: { envoyGrpc: { clusterName: 'x' } },
    transportApiVersion: 'V3',
  }),
  JwtAuthentication: httpFilter(JWT, JwtAuthenticationSchema),
  JwtProvider: {
    schema: JwtProviderSchema,
    base: { localJwks: { inlineString: '{"keys":[]}' } },
    path: `${HCM_PATH}.http_filters[0].typed_config.providers["p"]`,
    compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'f', typedConfig: typed(JWT, { providers: { p: json } }) }, ROUTER] }),
  },
  Compressor: httpFilter('envoy.extensions.filters.http.compressor.v3.Compressor', CompressorSchema, {
    compressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.compressor.v3.Gzip') },
  }),
  Decompressor: httpFilter('envoy.extensions.filters.http.decompressor.v3.Decompressor', DecompressorSchema, {
    decompressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.decompressor.v3.Gzip') },
  }),
  'HealthCheck, HTTP filter': httpFilter('envoy.extensions.filters.http.health_check.v3.HealthCheck', HealthCheckFilterSchema),
  AdaptiveConcurrency: httpFilter('envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency', AdaptiveConcurrencySchema, {
    gradientControllerConfig: { concurrencyLimitParams: { concurrencyUpdateInterval: '1s' }, minRttCalcParams: { interval: '1s' } },
  }),
};
