import type { Resource, VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

type VirtualService = Resource<VirtualServiceSpec>;

/** Rules that hand on to a VirtualService which does not answer: none, one with hosts of its own, or one that hands on in turn. */
export const delegates: Analyzer = {
  name: 'rig.Delegates',
  codes: ['RIG0111'],
  run(context) {
    const all = context.ofKind('VirtualService');
    const byName = new Map(all.map((resource) => [nameOf(resource), resource]));
    for (const resource of all) {
      for (const [index, { delegate }] of (resource.spec.http ?? []).entries()) {
        if (delegate === undefined) continue;
        const name = delegateName(resource, delegate);
        const reason = reasonOf(resource, byName.get(name), byName);
        if (reason !== undefined) context.report(resource, `spec.http[${index}].delegate`, 'RIG0111', name, reason);
      }
    }
  },
};

function reasonOf(from: VirtualService, to: VirtualService | undefined, byName: ReadonlyMap<string, VirtualService>): string | undefined {
  if (to === undefined) return 'it is not there';
  if ((from.spec.hosts ?? []).length === 0)
    return `${nameOf(from)} is a delegate itself, and one does not hand on${isCircle(from, byName) ? ': this leads round in a circle' : ''}`;
  if ((to.spec.hosts ?? []).length > 0) return 'it has hosts, so that it is no delegate: remove them there';
  return undefined;
}

function isCircle(start: VirtualService, byName: ReadonlyMap<string, VirtualService>): boolean {
  const seen = new Set<VirtualService>();
  const open = [start];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const { delegate } of next.spec.http ?? []) {
      const to = delegate === undefined ? undefined : byName.get(delegateName(next, delegate));
      if (to === start) return true;
      if (to === undefined || seen.has(to)) continue;
      seen.add(to);
      open.push(to);
    }
  }
  return false;
}

function delegateName({ metadata }: VirtualService, { name = '', namespace }: { readonly name?: string; readonly namespace?: string }): string {
  return `${namespace === undefined || namespace === '' ? metadata.namespace : namespace}/${name}`;
}

function nameOf({ metadata }: VirtualService): string {
  return `${metadata.namespace}/${metadata.name}`;
}
