import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type MeshConfigEffect, meshConfigFields } from './fields.ts';

const EFFECT: Readonly<Record<MeshConfigEffect, string>> = { yes: 'yes', start: 'at the start', offline: 'offline', no: 'no' };

test('the page has every field', async () => {
  const rows = Object.entries(meshConfigFields).map(([name, { effect, says }]) => [`\`${name}\``, EFFECT[effect], says]);
  await expect(`${HEAD}${table([['field', 'in effect', 'what it does, or why it does nothing'], ...rows])}`).toMatchFileSnapshot(
    join(import.meta.dirname, '../../../../docs/mesh-config.md'),
  );
});

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...others] = rows;
  return `${[line(head!), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others.map(line)].join('\n')}\n`;
}

const HEAD = `<!-- Made by packages/resources/src/mesh-config/docs.test.ts; \`vitest -u\` there writes it anew -->

# Settings of the mesh

Istio's MeshConfig, as one YAML or JSON file:

    outboundTrafficPolicy: { mode: REGISTRY_ONLY }
    defaultHttpRetryPolicy: { attempts: 2, retryOn: "reset,connect-failure" }
    pathNormalization: { normalization: MERGE_SLASHES }

\`rig up --mesh-config FILE\` reads it, and again within a second when it changes: what hangs on it is translated anew, and proxies get what is different. What is bad in it changes nothing: at the start \`rig up\` says file and line and ends; later the last
good settings stay, and \`rig status\` says file, line and since when. Without the option the settings are those of the \`--config\` folder, where Istio keeps them too: \`spec.meshConfig\` of an IstioOperator, or \`data.mesh\` of the ConfigMap \`istio\`. With neither,
or where a field is left out, the defaults below hold. A field that is not known is said and left out.

The same file, or the same places in the files, count for \`rig analyze\`, \`rig simulate\` and \`rig plan --from\` (\`--mesh-config FILE\`). \`--trust-domain\`, \`--root-namespace\` and \`--outbound-policy\` go before what it says.

"yes": in effect at once. "at the start": read when \`rig up --mesh-config\` starts. "offline": in what \`rig analyze\`, \`simulate\` and \`plan\` tell, being about what only a cluster has. What is without effect is said in the log of \`rig up\`, once for each version of the file.

`;
