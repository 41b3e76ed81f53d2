import type { GatewayServerSpec, GatewaySpec, Resource } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { type Context, matchesLabels } from '../context.ts';
import { selectorText } from '../label-selector.ts';

/** Gateways of one proxy that claim the same host on the same port: the one that comes second is not served. */
export const conflictingGateways: Analyzer = {
  name: 'gateway.ConflictingGatewayAnalyzer',
  codes: ['IST0145'],
  run(context) {
    const gateways = context.ofKind('Gateway');
    for (const gateway of gateways) {
      const rivals = gateways.filter((other) => other !== gateway && shareProxy(context, gateway, other));
      if (rivals.length === 0) continue;
      for (const [index, server] of (gateway.spec.servers ?? []).entries()) {
        const conflicting = rivals.filter(({ spec }) => spec.servers?.some((other) => conflict(server, other)));
        if (conflicting.length === 0) continue;
        const names = conflicting.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
        const port = String(server.port?.number ?? '');
        context.report(
          gateway,
          `spec.servers[${index}]`,
          'IST0145',
          names.join(','),
          selectorText(gateway.spec.selector ?? {}),
          port,
          (server.hosts ?? []).join(','),
        );
      }
    }
  },
};

/** Whether one proxy serves both: their selectors are one, or something runs that has the labels of both. */
function shareProxy(context: Context, { spec: left }: Resource<GatewaySpec>, { spec: right }: Resource<GatewaySpec>): boolean {
  if (selectorText(left.selector ?? {}) === selectorText(right.selector ?? {})) return true;
  const workloads = [...context.pods, ...context.instances];
  return workloads.some(({ labels }) => matchesLabels(left.selector, labels) && matchesLabels(right.selector, labels));
}

function conflict(left: GatewayServerSpec, right: GatewayServerSpec): boolean {
  if (left.port?.number === undefined || left.port.number !== right.port?.number) return false;
  const binds = [left.bind ?? '', right.bind ?? ''];
  if (binds[0] !== binds[1] && !binds.includes('')) return false;
  return (left.hosts ?? []).some((host) => right.hosts?.includes(host));
}
