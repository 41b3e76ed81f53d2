import { SRV_ANNOTATION } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

const PREFIX = 'outrigger.dev/';
/** Kinds that each of ours does something on. */
const kindsByName: ReadonlyMap<string, readonly string[]> = new Map([[SRV_ANNOTATION, ['ServiceEntry']]]);

/** Annotations of ours that there are none of, or that do nothing where they stand: one that is misspelt would be passed over without a word. */
export const ownAnnotations: Analyzer = {
  name: 'rig.OwnAnnotations',
  codes: ['IST0107', 'IST0108'],
  run(context) {
    for (const resource of context.resources) {
      for (const name of Object.keys(resource.metadata.annotations)) {
        if (!name.startsWith(PREFIX)) continue;
        const kinds = kindsByName.get(name);
        const place = `metadata.annotations[${name}]`;
        if (kinds === undefined) context.report(resource, place, 'IST0108', `${name} (there is ${[...kindsByName.keys()].join(', ')})`);
        else if (!kinds.includes(resource.kind)) context.report(resource, place, 'IST0107', name, kinds.join(', '));
      }
    }
  },
};
