import { matchesLabels, srvNamesOf } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** DestinationRules of hosts that nobody knows, and subsets that none of the host's workloads is in. */
export const destinationRuleWorkloads: Analyzer = {
  name: 'destinationrule.PodNotSelectedAnalyzer',
  codes: ['IST0173', 'IST0174'],
  run(context) {
    for (const resource of context.ofKind('DestinationRule')) {
      const { metadata, spec } = resource;
      const host = context.fullHost(spec.host ?? '', metadata.namespace);
      if (host.includes('*')) continue;
      const service = context.serviceFor(host, [metadata.namespace]);
      if (service === undefined) {
        context.report(resource, 'spec.host', 'IST0174', spec.host ?? '');
        continue;
      }
      const bySrv = service.bySrv === true;
      const workloads = bySrv ? labelsOfSrv(context, host) : labelsOfWorkloads(context, host);
      // Of registered instances, that none is there says nothing about subsets: they come and go. Pods in files are those that are meant.
      if (workloads.length === 0 && (bySrv || !(context.knowsWorkloads && context.workloads.has(namespaceOfHost(host))))) continue;
      for (const [index, subset] of (spec.subsets ?? []).entries()) {
        const selected = workloads.some((labels) => matchesLabels(subset.labels, labels));
        if (!selected) context.report(resource, `spec.subsets[${index}]`, 'IST0173', subset.name);
      }
    }
  },
};

/** "default" of "a.default.svc.cluster.local", '' of other hosts. */
function namespaceOfHost(host: string): string {
  const [, namespace = '', svc] = host.split('.');
  return svc === 'svc' ? namespace : '';
}

function labelsOfWorkloads(context: Context, host: string): readonly Readonly<Record<string, string>>[] {
  const registered = context.instances.filter((instance) => instance.services.includes(host)).map((instance) => instance.labels);
  const selectors = [context.selectorOf(host), ...context.entrySelectorsOf(host)].filter((selector) => selector !== undefined);
  const pods = selectors.flatMap((selector) => context.workloadsWith(selector)).map(({ labels }) => labels);
  return [...registered, ...pods];
}

/** Which labels the endpoints have that DNS tells of, their ServiceEntry says; whether there are any, DNS alone. */
function labelsOfSrv(context: Context, host: string): readonly Readonly<Record<string, string>>[] {
  return context
    .ofKind('ServiceEntry')
    .filter((entry) => srvNamesOf(entry).length > 0 && (entry.spec.hosts ?? []).some((name) => name.toLowerCase() === host))
    .flatMap(({ spec }) => (spec.endpoints ?? []).map(({ labels = {} }) => labels));
}
