import { ResponseFlag } from '@outrigger/telemetry';
import {
  AdaptiveConcurrencySchema,
  type GradientControllerConfig,
  GradientControllerConfig_ConcurrencyLimitCalculationParamsSchema,
  GradientControllerConfig_MinimumRTTCalculationParamsSchema,
  GradientControllerConfigSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS } from '../http-filter.ts';
import { GradientController, type GradientSettings } from './gradient-controller.ts';

const FILTER = fieldPolicy('gradient_controller_config enabled concurrency_limit_exceeded_status');
const GRADIENT = fieldPolicy('sample_aggregate_percentile concurrency_limit_params min_rtt_calc_params');
const LIMIT = fieldPolicy('max_concurrency_limit concurrency_update_interval');
const MIN_RTT = fieldPolicy('interval request_count jitter min_concurrency buffer');
const DEFAULT_MAX_LIMIT = 1_000;
const DEFAULT_MIN_LIMIT = 3;
const DEFAULT_SAMPLES = 50;
const DEFAULT_PERCENT = 50;
const DEFAULT_JITTER_PERCENT = 15;
const DEFAULT_BUFFER_PERCENT = 25;

/** envoy.filters.http.adaptive_concurrency: sheds what the application behind cannot take without becoming slow. */
class AdaptiveConcurrencyFilter implements HttpFilter {
  readonly name: string;
  readonly #settings: GradientSettings;
  readonly #status: number;
  /** Made with the first request: the clock is the proxy's. */
  #controller: GradientController | null = null;

  constructor(name: string, settings: GradientSettings, status: number) {
    this.name = name;
    this.#settings = settings;
    this.#status = status;
  }

  forRoute(): HttpFilter {
    return this;
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { services } = stream;
    const nowMs = services.nowMs();
    this.#controller ??= new GradientController(this.#settings, services.random, nowMs);
    if (this.#controller.enter(nowMs)) {
      stream.keep(this, nowMs);
      return PASS;
    }
    return {
      kind: 'refuse',
      status: this.#status,
      body: 'reached concurrency limit',
      details: 'reached_concurrency_limit',
      flag: ResponseFlag.upstreamOverflow,
    };
  }

  onEnd(stream: FilteredStream, state: unknown): void {
    const nowMs = stream.services.nowMs();
    const gone = (stream.responseFlags & ResponseFlag.downstreamConnectionTermination) !== 0;
    this.#controller!.leave(gone ? -1 : nowMs - (state as number), nowMs);
  }
}

function compile(config: GradientControllerConfig, path: string, report: CompileReport): GradientSettings {
  checkFields(GradientControllerConfigSchema, config, GRADIENT, path, report);
  const { concurrencyLimitParams: limit, minRttCalcParams: minRtt } = config;
  if (limit === undefined) report.error(`${path}.concurrency_limit_params`, 'is missing');
  else checkFields(GradientControllerConfig_ConcurrencyLimitCalculationParamsSchema, limit, LIMIT, `${path}.concurrency_limit_params`, report);
  if (minRtt === undefined) report.error(`${path}.min_rtt_calc_params`, 'is missing');
  else checkFields(GradientControllerConfig_MinimumRTTCalculationParamsSchema, minRtt, MIN_RTT, `${path}.min_rtt_calc_params`, report);
  const updateIntervalMs = durationMs(limit?.concurrencyUpdateInterval, 0);
  if (updateIntervalMs <= 0) report.error(`${path}.concurrency_limit_params.concurrency_update_interval`, 'must be more than 0');
  const minRttIntervalMs = durationMs(minRtt?.interval, 0);
  if (minRttIntervalMs <= 0) report.error(`${path}.min_rtt_calc_params.interval`, 'must be more than 0');
  return {
    percentile: (config.sampleAggregatePercentile?.value ?? DEFAULT_PERCENT) / 100,
    maxLimit: limit?.maxConcurrencyLimit ?? DEFAULT_MAX_LIMIT,
    updateIntervalMs,
    minRttIntervalMs,
    minRttSamples: minRtt?.requestCount ?? DEFAULT_SAMPLES,
    minRttJitter: (minRtt?.jitter?.value ?? DEFAULT_JITTER_PERCENT) / 100,
    minLimit: minRtt?.minConcurrency ?? DEFAULT_MIN_LIMIT,
    buffer: (minRtt?.buffer?.value ?? DEFAULT_BUFFER_PERCENT) / 100,
  };
}

export const adaptiveConcurrencyType: HttpFilterType = {
  typeName: AdaptiveConcurrencySchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, AdaptiveConcurrencySchema, path, report);
    if (config === undefined) return null;
    checkFields(AdaptiveConcurrencySchema, config, FILTER, path, report);
    const controller = config.concurrencyControllerConfig;
    if (controller.case !== 'gradientControllerConfig') {
      report.error(path, 'needs a gradient_controller_config');
      return null;
    }
    const settings = compile(controller.value, `${path}.gradient_controller_config`, report);
    if (!(config.enabled?.defaultValue ?? true)) return null;
    const status = config.concurrencyLimitExceededStatus?.code ?? 0;
    return new AdaptiveConcurrencyFilter(name, settings, status >= 400 ? status : 503);
  },
  settings: {},
};
