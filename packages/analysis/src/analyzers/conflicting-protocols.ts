import type { Resource, ServiceEntrySpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { type Context, scopesMeet } from '../context.ts';

interface Declared {
  readonly resource: Resource<ServiceEntrySpec>;
  readonly path: string;
  readonly protocol: string;
}

/** ServiceEntries that give one port of one host different protocols; each is told once, of the first port. */
export const conflictingProtocols: Analyzer = {
  name: 'serviceentry.ConflictingServiceEntryProtocolAnalyzer',
  codes: ['IST0177'],
  run(context) {
    const byPort = new Map<string, Declared[]>();
    for (const resource of context.ofKind('ServiceEntry')) {
      for (const host of resource.spec.hosts ?? []) {
        for (const [index, port] of (resource.spec.ports ?? []).entries()) {
          const key = `${host.toLowerCase()} ${port.number}`;
          const declared = { resource, path: `spec.ports[${index}]`, protocol: (port.protocol ?? '').toUpperCase() };
          const list = byPort.get(key) ?? [];
          list.push(declared);
          byPort.set(key, list);
        }
      }
    }
    const told = new Set<Resource>();
    for (const [key, all] of byPort) {
      const [host, port] = key.split(' ') as [string, string];
      for (const declared of all) {
        const conflicting = all.filter((other) => other === declared || (other.protocol !== declared.protocol && meet(context, other, declared)));
        if (conflicting.length < 2 || told.has(declared.resource)) continue;
        told.add(declared.resource);
        const names = conflicting.map(({ resource }) => `${resource.metadata.namespace}/${resource.metadata.name}`);
        context.report(
          declared.resource,
          declared.path,
          'IST0177',
          names.join(', '),
          host,
          Number(port),
          [...new Set(conflicting.map(({ protocol }) => protocol))].join(', '),
        );
      }
    }
  },
};

function meet(context: Context, { resource: left }: Declared, { resource: right }: Declared): boolean {
  return scopesMeet(context.scopeOf(left), context.scopeOf(right));
}
