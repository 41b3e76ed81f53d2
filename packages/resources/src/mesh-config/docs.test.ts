import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type MeshConfigEffect, meshConfigFields } from './fields.ts';

const EFFECT: Readonly<Record<MeshConfigEffect, string>> = { yes: 'yes', start: 'at the start', offline: 'offline', no: 'no' };

test('the page has every field', async () => {
  const rows = Object.entries(meshConfigFields).map(([name, { effect, says }]) => [`\`${name}\``, EFFECT[effect], says]);
  await expect(`${HEAD}${table([['field', 'in effect', 'what it does, or why it does nothing'], ...rows])}${NETWORKS}`).toMatchFileSnapshot(
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
good settings stay, and \`rig status\` says file, line and since when. Without the option the settings are those of the \`--config\` folder, where Istio keeps them too: \`spec.meshConfig\` of an IstioOperator, or \`data.mesh\` of the ConfigMap \`istio\`;
those that were in force hold where the folder has bad ones at a start. With neither, or where a field is left out, the defaults below hold. A field that is not known is said and left out.

The same file, or the same places in the files, count for \`rig analyze\`, \`rig simulate\` and \`rig plan --from\` (\`--mesh-config FILE\`). \`--trust-domain\`, \`--root-namespace\` and \`--outbound-policy\` go before what it says.

"yes": in effect at once. "at the start": read when \`rig up --mesh-config\` starts. "offline": in what \`rig analyze\`, \`simulate\` and \`plan\` tell, being about what only a cluster has. What is without effect is said by \`rig analyze\` and \`rig status\`, and in the log of \`rig up\` once for each version of the file.

`;

const NETWORKS = `
# Networks

Istio's MeshNetworks say which workloads reach one another, and by which gateway the others are reached:

    networks:
      west:
        endpoints: [{ fromCidr: 10.1.0.0/16 }]
        gateways: [{ address: 192.0.2.1, port: 15443 }]
      east:
        endpoints: [{ fromCidr: 10.2.0.0/16 }]
        gateways: [{ registryServiceName: edge.gateways.svc.cluster.local, port: 15443 }]

\`rig up --mesh-networks FILE\` reads it as it reads MeshConfig; without the option \`spec.values.global.meshNetworks\` of an IstioOperator or \`data.meshNetworks\` of the ConfigMap \`istio\` in the folder counts.

- A workload is of the network that its WorkloadEntry or endpoint names, else its label \`topology.istio.io/network\`, else the first block that has its address. Who is of no known network is near to everybody.
- In place of the instances of another network a proxy gets that network's gateways, which weigh together what the healthy instances do, in the locality of those. The gateway is a \`rig gateway\` with a server of TLS mode AUTO_PASSTHROUGH: it finds the service
  by the name in the mesh's TLS, ends nothing and sends only to instances of its own network.
- Without mesh mTLS no gateway can tell where a connection goes: instances that take none are left out.
- A network without a gateway that has an address is reached directly. A gateway's \`address\` is an IP address: names are not resolved, and that is said. \`registryServiceName\` stands for the instances of that service. \`fromRegistry\` has no effect: there is one
  registry. A gateway's \`locality\` has none.
`;
