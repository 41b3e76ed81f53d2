import type { SrvWatch } from '@outrigger/discovery';
import { MetricRegistry, writePrometheus } from '@outrigger/telemetry';
import type { Certificates } from './certificates/certificates.ts';
import type { Configuration } from './config/configuration.ts';
import type { MeshState } from './push/mesh-state.ts';
import type { PushSource } from './push/push-source.ts';
import type { Telemetry } from './telemetry/telemetry.ts';

export interface MetricSources {
  readonly configuration: Configuration;
  readonly mesh: MeshState;
  readonly push: PushSource;
  readonly certificates: Certificates;
  readonly srv: SrvWatch;
  readonly telemetry: Telemetry;
}

/** The control plane's own state as a Prometheus page. */
export function ownMetrics({ configuration, mesh, push, certificates, srv, telemetry }: MetricSources): string {
  const metrics = new MetricRegistry();
  metrics.gauge('outrigger_proxies_connected', 'Proxies with a discovery stream.').with().set(push.proxies.connected);
  metrics.counter('outrigger_pushes_total', 'Pushes that sent something to somebody.').with().add(push.pushes);
  metrics.gauge('outrigger_xds_resources', 'Encoded resources in use.').with().set(push.cache.size);
  metrics.gauge('outrigger_config_revision', 'Revision of the configuration.').with().set(Number(configuration.revision));
  metrics.gauge('outrigger_config_resources', 'Resources in the store.').with().set(configuration.resources.length);
  metrics.gauge('outrigger_quarantined_resources', 'Resources that could not be translated.').with().set(mesh.quarantined.size);
  metrics.counter('outrigger_certificates_issued_total', 'Certificates that were issued.').with().add(certificates.counts.issued);
  metrics.counter('outrigger_certificates_refused_total', 'Requests for certificates that were refused.').with().add(certificates.counts.refused);
  const names = [...srv.states()];
  metrics.gauge('outrigger_dns_names', 'Names of SRV records that are looked up.').with().set(names.length);
  metrics
    .gauge('outrigger_dns_names_failing', 'Those of them with which something is wrong.')
    .with()
    .set(names.filter(({ fault }) => fault !== '').length);
  const lookups = metrics.counter('outrigger_dns_lookups_total', 'Lookups of such a name, by what came of it.', 'result');
  for (const [result, count] of Object.entries(srv.counts)) lookups.with(result).add(count);
  metrics.gauge('process_resident_memory_bytes', 'Memory of this process.').with().set(process.memoryUsage.rss());
  telemetry.describe(metrics);
  return writePrometheus(metrics);
}
