import type { Analyzer } from '../analyzer.ts';

/** Exports to namespaces that are not there. */
export const exportsToNowhere: Analyzer = {
  name: 'rig.ExportsToNowhere',
  codes: ['RIG0112'],
  ofFiles: true,
  run(context) {
    const written = context.otherOfKind('Namespace').map(({ name }) => name);
    // Who keeps no namespaces in files has them all the same.
    if (written.length === 0) return;
    const known = new Set([...written, ...context.workloads.keys(), ...context.resources.map(({ metadata }) => metadata.namespace)]);
    for (const resource of [...context.ofKind('VirtualService'), ...context.ofKind('DestinationRule'), ...context.ofKind('ServiceEntry')]) {
      for (const [index, target] of (resource.spec.exportTo ?? []).entries()) {
        if (target === '*' || target === '.' || target === '~' || known.has(target)) continue;
        context.report(
          resource,
          `spec.exportTo[${index}]`,
          'RIG0112',
          target,
          (resource.spec.exportTo ?? []).length === 1 ? 'nobody sees it' : 'nobody there sees it',
        );
      }
    }
  },
};
