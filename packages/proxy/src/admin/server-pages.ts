import { toJson } from '@bufbuild/protobuf';
import type { AdsClient } from '@outrigger/xds';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { LogLevel } from '../engine/options.ts';
import type { AdminAnswer, AdminSource } from './pages.ts';

/** envoy.admin.v3.ServerInfo; what is this proxy's own is in `outrigger`. */
export function serverInfo(source: AdminSource): object {
  const seconds = `${Math.floor((source.nowUnixMs() - source.startedAtUnixMs) / 1000)}s`;
  const status = source.ads()?.status();
  return {
    version: source.version,
    state: source.state(),
    uptime_current_epoch: seconds,
    uptime_all_epochs: seconds,
    hot_restart_version: 'disabled',
    command_line_options: { concurrency: 1, mode: 'Serve', log_level: source.logging.level, restart_epoch: 0 },
    node: toJson(NodeSchema, source.node, { useProtoFieldName: true }),
    outrigger: {
      control_plane: status === undefined ? null : controlPlane(status, source.nowUnixMs()),
      memory: process.memoryUsage(),
      mistakes: source.faults.count,
    },
  };
}

export function controlPlane(status: ReturnType<AdsClient['status']>, nowUnixMs: number): object {
  const { lastContactMs } = status;
  return {
    connected: status.connected,
    last_contact: lastContactMs === undefined ? null : new Date(lastContactMs).toISOString(),
    configuration_age_seconds: lastContactMs === undefined ? null : Math.floor((nowUnixMs - lastContactMs) / 1000),
    last_error: status.lastError,
    types: status.types,
  };
}

/** envoy.admin.v3.Memory, of V8: 64-bit numbers are texts in JSON. */
export function memoryJson(): object {
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  return {
    allocated: String(heapUsed + external),
    heap_size: String(heapTotal + external),
    pageheap_unmapped: '0',
    pageheap_free: String(heapTotal - heapUsed),
    total_thread_cache: '0',
    total_physical_bytes: String(rss),
  };
}

/** Envoy's names of levels; there are fewer of them here. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'error',
  off: 'off',
};

/** One logger: `?level=LEVEL`, or `?proxy=LEVEL` as Envoy names single ones. */
export function loggingAnswer({ logging }: AdminSource, query: URLSearchParams): AdminAnswer {
  const wanted = query.get('level') ?? query.get('proxy');
  if (wanted !== null || query.size > 0) {
    const level = wanted === null ? undefined : LEVELS[wanted];
    if (level === undefined) {
      const usage = 'usage: /logging?level=<level> (change all levels)\nlevels: trace debug info warning error critical off\n';
      return { status: 400, text: `error: unknown logger ${wanted === null ? 'name' : 'level'}\n\n${usage}` };
    }
    logging.level = level;
  }
  return { text: `active loggers:\n  proxy: ${Object.keys(LEVELS).find((name) => LEVELS[name] === logging.level && name !== 'trace')}\n\n` };
}
