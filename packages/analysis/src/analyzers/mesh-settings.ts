import { meshConfigWithoutEffect } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Fields of MeshConfig that nothing in a mesh acts on. Of a mesh that runs `rig status` says it. */
export const meshSettings: Analyzer = {
  name: 'rig.MeshSettings',
  codes: ['RIG0115'],
  ofFiles: true,
  run(context) {
    const { meshConfigDocument: config } = context;
    if (config === undefined) return;
    for (const { name, why } of meshConfigWithoutEffect(config)) context.reportOnSettings('MeshConfig', config, name, 'RIG0115', name, why);
  },
};
