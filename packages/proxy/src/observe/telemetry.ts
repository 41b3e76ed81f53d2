import { IstioMetrics, MetricRegistry, makeSpan, OtlpExporter, type StreamInfo } from '@outrigger/telemetry';
import { OpenTelemetryConfigSchema } from '@outrigger/xds/protos/envoy/config/trace/v3/opentelemetry';
import type { ActiveStream } from '../engine/active-stream.ts';
import type { ProxyLog } from '../engine/options.ts';
import type { ConnectionLogger } from '../listener/connection-log.ts';
import { CompileReport } from '../routing/compile-result.ts';
import type { TcpProxy } from '../tcp/tcp-proxy.ts';
import { unpack } from '../xds/fields.ts';
import type { HttpManagerConfig, ListenerConfig } from '../xds/listener-config.ts';
import { AccessLogFiles, type AccessLogger, writeTo } from './access-logs.ts';
import { HttpMetrics } from './http-metrics.ts';
import type { NodeIdentity } from './node-identity.ts';
import { finishSample, RequestSamples } from './request-samples.ts';
import type { StreamRecorder } from './stream-recorder.ts';
import { TcpMetrics } from './tcp-metrics.ts';
import { connectionRecord, tcpRecord } from './tcp-record.ts';

/** Metrics, access logs and spans of one proxy. */
export class ProxyTelemetry {
  readonly registry = new MetricRegistry();
  readonly tcp: TcpMetrics;
  readonly samples = new RequestSamples();
  readonly #http: HttpMetrics;
  readonly #files: AccessLogFiles;
  readonly #exporters = new Map<string, OtlpExporter>();
  readonly #node: NodeIdentity;
  readonly #tcpLoggers = new WeakMap<object, readonly AccessLogger[]>();

  constructor(node: NodeIdentity, localUri: () => string, log: ProxyLog) {
    const metrics = new IstioMetrics(this.registry);
    this.#node = node;
    this.#http = new HttpMetrics(metrics, node);
    this.#files = new AccessLogFiles(log);
    this.tcp = new TcpMetrics(metrics, node, localUri, (proxy) => this.#logTcp(proxy));
  }

  /** What records the streams of one connection manager. */
  recorder(config: HttpManagerConfig, listener: string): StreamRecorder {
    const loggers = this.#files.loggers(config.accessLogs);
    return new HttpRecorder(this.#http, loggers, this.#files, this.#exporterOf(config), this.samples, listener);
  }

  async close(): Promise<void> {
    await Promise.all([this.#files.close(), ...Array.from(this.#exporters.values(), (exporter) => exporter.close())]);
  }

  #exporterOf(config: HttpManagerConfig): OtlpExporter | null {
    const provider = config.tracing?.provider?.configType;
    if (provider?.case !== 'typedConfig') return null;
    const otel = unpack(provider.value, OpenTelemetryConfigSchema, '', new CompileReport());
    const uri = otel?.httpService?.httpUri?.uri ?? '';
    const address = /^http:\/\/([^/]+)/.exec(uri)?.[1];
    if (otel === undefined || address === undefined) return null;
    let exporter = this.#exporters.get(address);
    if (exporter === undefined) {
      const resource = {
        'service.name': otel.serviceName,
        'service.namespace': this.#node.namespace,
        'service.version': this.#node.version,
        'service.instance.id': this.#node.id,
      };
      exporter = new OtlpExporter({ address, resource });
      this.#exporters.set(address, exporter);
    }
    return exporter;
  }

  /** What writes a listener's access log; null: it has none. */
  connectionLogger({ accessLogs }: ListenerConfig): ConnectionLogger | null {
    const loggers = this.#files.loggers(accessLogs);
    if (loggers.length === 0) return null;
    return ({ info, startUnixMs, endUnixMs, details, ...counted }) => {
      const record: StreamInfo = {
        ...connectionRecord(info),
        ...counted,
        startTimeMs: startUnixMs,
        durationMs: endUnixMs - startUnixMs,
        responseCodeDetails: details,
        connectionTerminationDetails: details,
      };
      writeTo(loggers, record, anyUint32());
      this.#files.touch();
    };
  }

  #logTcp(proxy: TcpProxy): void {
    const { config } = proxy;
    if (config.accessLogs.length === 0) return;
    let loggers = this.#tcpLoggers.get(config);
    if (loggers === undefined) {
      loggers = this.#files.loggers(config.accessLogs);
      this.#tcpLoggers.set(config, loggers);
    }
    if (loggers.length === 0) return;
    const info = tcpRecord(proxy);
    writeTo(loggers, info, anyUint32());
    this.#files.touch();
  }
}

function anyUint32(): number {
  return Math.random() * 0x1_0000_0000;
}

class HttpRecorder implements StreamRecorder {
  readonly #metrics: HttpMetrics;
  readonly #loggers: readonly AccessLogger[];
  readonly #files: AccessLogFiles;
  readonly #exporter: OtlpExporter | null;
  readonly #samples: RequestSamples;
  readonly #listener: string;

  constructor(
    metrics: HttpMetrics,
    loggers: readonly AccessLogger[],
    files: AccessLogFiles,
    exporter: OtlpExporter | null,
    samples: RequestSamples,
    listener: string,
  ) {
    this.#metrics = metrics;
    this.#loggers = loggers;
    this.#files = files;
    this.#exporter = exporter;
    this.#samples = samples;
    this.#listener = listener;
  }

  begin(stream: ActiveStream): void {
    this.#samples.offer(stream, this.#listener);
  }

  record(stream: ActiveStream): void {
    this.#metrics.record(stream);
    if (stream.sample !== null) finishSample(stream.sample, stream);
    const loggers = this.#loggers;
    if (loggers.length > 0) {
      writeTo(loggers, stream, stream.dice);
      this.#files.touch();
    }
    if (this.#exporter && stream.trace?.sampled) {
      this.#exporter.add(makeSpan(stream.trace, stream, stream.manager.direction === 'inbound' ? 'server' : 'client', stream.route?.fields.operation ?? ''));
    }
  }
}
