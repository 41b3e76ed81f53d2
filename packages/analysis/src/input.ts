import {
  instancesOf,
  meshConfigIn,
  meshConfigProblems,
  meshNetworksIn,
  meshNetworksProblems,
  type Problem,
  parseSettings,
  type ReadOptions,
  type Resource,
  readResources,
  type SourceFile,
  servicesOf,
} from '@outrigger/resources';
import { type AnalyzeOptions, analyze, byPlace, type Mesh, messagesOf } from './analyze.ts';
import type { Message } from './message.ts';

export interface AnalysisInput {
  readonly resources: readonly Resource[];
  readonly mesh: Mesh;
  readonly options: AnalyzeOptions;
  /** What could not be read, or was refused. */
  readonly problems: readonly Problem[];
}

/**
 * Texts of files to what `analyze` takes. So that somebody else's cases are run as `rig analyze` runs:
 *
 *     const { resources, mesh, options } = await readAnalysisInput(files, { meshConfig, meshNetworks });
 *     const messages = analyze(resources, mesh, { ...options, analyzer: 'virtualservice.GatewayAnalyzer' });
 *
 * `analyzeInput` gives the messages of all of them, and what schemas and admission refuse (IST0106).
 */
export async function readAnalysisInput(
  files: readonly SourceFile[],
  { meshConfig, meshNetworks, ...options }: ReadOptions & { readonly meshConfig?: SourceFile; readonly meshNetworks?: SourceFile } = {},
): Promise<AnalysisInput> {
  const read = await readResources(files, options);
  const config = meshConfig === undefined ? read.others.map(meshConfigIn).find((found) => found !== undefined) : parseSettings(meshConfig);
  const networks = meshNetworks === undefined ? read.others.map(meshNetworksIn).find((found) => found !== undefined) : parseSettings(meshNetworks);
  return {
    // One mistyped field does not hide what else is wrong with its resource.
    resources: [...read.resources, ...read.refused],
    mesh: { services: servicesOf(read.resources), instances: instancesOf(read.resources) },
    options: {
      others: read.others,
      statuses: read.statuses,
      ...(config === undefined ? {} : { meshConfig: config.settings }),
      ...(networks === undefined ? {} : { meshNetworks: networks.settings }),
    },
    problems: [
      ...read.problems,
      ...(config === undefined ? [] : [...config.problems, ...meshConfigProblems(config.settings)]),
      ...(networks === undefined ? [] : [...networks.problems, ...meshNetworksProblems(networks.settings).filter(({ level }) => level === 'Error')]),
    ],
  };
}

/** Everything that is wrong with the input, in the order of files and lines. */
export function analyzeInput(input: AnalysisInput, options: Pick<AnalyzeOptions, 'allCodes' | 'nowMs'> = {}): readonly Message[] {
  return [...messagesOf(input.problems), ...analyze(input.resources, input.mesh, { ...input.options, ...options })].sort(byPlace);
}
