import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { gatewayApiGroup } from './gateway-api-cases.ts';
import type { GroupResult } from './group.ts';
import { simulationGroup } from './istio-simulation.ts';
import { analysisGroup, validationGroup } from './resources.ts';

const GROUPS: Readonly<Record<string, (corpus: string) => Promise<GroupResult>>> = {
  'istio-validation': validationGroup,
  'istio-analysis': analysisGroup,
  'istio-simulation': simulationGroup,
  'gateway-api-cases': gatewayApiGroup,
};

export const groupNames = Object.keys(GROUPS);

/** Every group that a folder has, in this order. */
export async function runCorpus(corpus: string): Promise<readonly GroupResult[]> {
  const results: GroupResult[] = [];
  for (const [name, run] of Object.entries(GROUPS)) if (existsSync(join(corpus, name))) results.push(await run(corpus));
  return results;
}

export function table(results: readonly GroupResult[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  return results
    .flatMap(({ name, passed, total, failed, leftOut }) => [
      `${name.padEnd(width)}  ${passed} of ${total}${leftOut.length === 0 ? '' : `, ${leftOut.length} left out`}`,
      ...failed.map((one) => `  failed    ${one.case}\n            ${one.why}`),
      ...leftOut.map((one) => `  left out  ${one.case}\n            ${one.why}`),
    ])
    .join('\n');
}
