import type { Any } from '@bufbuild/protobuf/wkt';
import type { CompileReport } from '../routing/compile-result.ts';
import { adaptiveConcurrencyType } from './adaptive-concurrency/adaptive-concurrency.ts';
import { compressorType } from './compression/compressor.ts';
import { decompressorType } from './compression/decompressor.ts';
import { bufferType } from './content/buffer.ts';
import { corsType } from './cors.ts';
import { extAuthzType } from './ext-authz/ext-authz.ts';
import { faultType } from './fault.ts';
import { grpcWebType } from './grpc-web.ts';
import { headerMutationType } from './header-mutation.ts';
import { healthCheckType } from './health-check.ts';
import type { HttpFilterType, RouteSetting } from './http-filter.ts';
import { jwtAuthnType } from './jwt/jwt-authn.ts';
import { globalRateLimitType } from './rate-limit/global.ts';
import { localRateLimitType } from './rate-limit/local.ts';
import { rbacType } from './rbac/http-rbac.ts';

const types: readonly HttpFilterType[] = [
  rbacType,
  corsType,
  headerMutationType,
  faultType,
  bufferType,
  localRateLimitType,
  globalRateLimitType,
  extAuthzType,
  grpcWebType,
  compressorType,
  decompressorType,
  jwtAuthnType,
  healthCheckType,
  adaptiveConcurrencyType,
];

/** Every HTTP filter that this proxy has, by the type name of its message. */
export const filterTypes: ReadonlyMap<string, HttpFilterType> = new Map(types.map((type) => [type.typeName, type]));

/** By the type name of a message in typed_per_filter_config. */
export const settingCompilers: ReadonlyMap<string, (any: Any, path: string, report: CompileReport) => RouteSetting | null> = new Map(
  types.flatMap(({ settings }) => Object.entries(settings)),
);
