import { type HealthCheck, HealthCheckSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/health_check/v3/health_check';
import type { ResponseHead } from '../http/message.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { allMatchRequest, compileHeaderMatchers, type HeaderMatcher } from '../routing/header-matcher.ts';
import { setHeader } from '../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS } from './http-filter.ts';

const FILTER = fieldPolicy('pass_through_mode cache_time cluster_min_healthy_percentages headers');

interface HealthCheckFields {
  readonly passThrough: boolean;
  readonly cacheMs: number;
  readonly minHealthyPercent: ReadonlyMap<string, number>;
  readonly headers: readonly HeaderMatcher[];
}

const UNHEALTHY: FilterVerdict = { kind: 'answer', status: 503, headers: [], details: 'health_check_failed' };

/** envoy.filters.http.health_check: tells who asks by these headers whether this proxy, or its application, is well. */
class HealthCheckFilter implements HttpFilter {
  readonly name: string;
  readonly #fields: HealthCheckFields;
  /** Of the application's last answer; 0: none yet. */
  #cachedStatus = 0;
  #cachedUntilMs = 0;

  constructor(name: string, fields: HealthCheckFields) {
    this.name = name;
    this.#fields = fields;
  }

  forRoute(): HttpFilter {
    return this;
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    if (!allMatchRequest(this.#fields.headers, stream.head)) return PASS;
    const { services } = stream;
    if (!this.#fields.passThrough) {
      if (services.failing()) return UNHEALTHY;
      for (const [cluster, percent] of this.#fields.minHealthyPercent) {
        const health = services.clusterHealth(cluster);
        if (health === undefined || health * 100 < percent) return UNHEALTHY;
      }
      return { kind: 'answer', status: 200, headers: [], details: 'health_check_ok' };
    }
    if (services.failing()) return UNHEALTHY;
    if (this.#fields.cacheMs > 0 && this.#cachedStatus !== 0 && services.nowMs() < this.#cachedUntilMs)
      return { kind: 'answer', status: this.#cachedStatus, headers: [], details: 'health_check_cached' };
    stream.keep(this, true);
    return PASS;
  }

  onResponse(stream: FilteredStream, head: ResponseHead): void {
    const { services } = stream;
    if (services.failing()) setHeader(head.headers, 'x-envoy-immediate-health-check-fail', 'true');
    if (stream.stateOf(this) !== true) return;
    this.#cachedStatus = head.status;
    this.#cachedUntilMs = services.nowMs() + this.#fields.cacheMs;
  }
}

function compile(config: HealthCheck, path: string, report: CompileReport): HealthCheckFields {
  checkFields(HealthCheckSchema, config, FILTER, path, report);
  const passThrough = config.passThroughMode ?? false;
  const cacheMs = durationMs(config.cacheTime, 0);
  if (!passThrough && cacheMs > 0) report.error(`${path}.cache_time`, 'is only for pass_through_mode');
  const minHealthyPercent = new Map(Object.entries(config.clusterMinHealthyPercentages).map(([cluster, { value }]) => [cluster, value]));
  if (passThrough && minHealthyPercent.size > 0) report.error(`${path}.cluster_min_healthy_percentages`, 'is not for pass_through_mode');
  return { passThrough, cacheMs, minHealthyPercent, headers: compileHeaderMatchers(config.headers, `${path}.headers`, report) };
}

export const healthCheckType: HttpFilterType = {
  typeName: HealthCheckSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, HealthCheckSchema, path, report);
    return config === undefined ? null : new HealthCheckFilter(name, compile(config, path, report));
  },
  settings: {},
};
