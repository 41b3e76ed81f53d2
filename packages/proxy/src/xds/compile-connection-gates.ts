import type { RuntimeFeatureFlag } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type ConnectionLimit, ConnectionLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/connection_limit/v3/connection_limit';
import { type LocalRateLimit, LocalRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit';
import { TokenBucketSchema } from '@outrigger/xds/protos/envoy/type/v3/token_bucket';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { checkFields, fieldPolicy } from './fields.ts';
import type { ConnectionGateConfig } from './listener-config.ts';

const CONNECTION_LIMIT = fieldPolicy('max_connections delay runtime_enabled', 'stat_prefix');
const RATE_LIMIT = fieldPolicy('token_bucket runtime_enabled', 'stat_prefix');
const BUCKET = fieldPolicy('max_tokens tokens_per_fill fill_interval');
/** Envoy's shortest. */
const MIN_FILL_INTERVAL_MS = 50;

/** Nobody changes a runtime key of this proxy: the default holds. */
function isOff(flag: RuntimeFeatureFlag | undefined): boolean {
  return flag?.defaultValue === false;
}

export function compileConnectionLimit(config: ConnectionLimit, path: string, report: CompileReport): ConnectionGateConfig[] {
  checkFields(ConnectionLimitSchema, config, CONNECTION_LIMIT, path, report);
  const maxConnections = Number(config.maxConnections ?? 0n);
  if (maxConnections < 1) report.error(`${path}.max_connections`, 'must be at least 1');
  return isOff(config.runtimeEnabled) ? [] : [{ kind: 'connection-limit', maxConnections, delayMs: durationMs(config.delay, 0) }];
}

export function compileConnectionRateLimit(config: LocalRateLimit, path: string, report: CompileReport): ConnectionGateConfig[] {
  checkFields(LocalRateLimitSchema, config, RATE_LIMIT, path, report);
  const bucket = config.tokenBucket;
  if (bucket === undefined) {
    report.error(`${path}.token_bucket`, 'must be given');
    return [];
  }
  const at = `${path}.token_bucket`;
  checkFields(TokenBucketSchema, bucket, BUCKET, at, report);
  const fillIntervalMs = durationMs(bucket.fillInterval, 0);
  if (bucket.maxTokens < 1) report.error(`${at}.max_tokens`, 'must be at least 1');
  if (fillIntervalMs < MIN_FILL_INTERVAL_MS) report.error(`${at}.fill_interval`, `must be at least ${MIN_FILL_INTERVAL_MS} ms`);
  return isOff(config.runtimeEnabled) ? [] : [{ kind: 'rate-limit', maxTokens: bucket.maxTokens, tokensPerFill: bucket.tokensPerFill ?? 1, fillIntervalMs }];
}
