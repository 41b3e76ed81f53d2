// How rig simulate grows with the files of a folder, and a table of routes with its routes, as simulate-growth.svg.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromJson } from '@bufbuild/protobuf';
import { compileRouteConfiguration } from '@outrigger/proxy/pure';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { drawPanels } from '../panels.mjs';

const ROUTES = [100, 1000, 2500, 5000, 10_000];
const ROUNDS = 5;

/** `simulated`: [{at: files, value: ms}]. */
export function drawSimulateGrowth(simulated, machine) {
  const compiled = ROUTES.map((count) => ({ at: count, value: compileCpuMs(count) }));
  for (const { at, value } of compiled) console.log(`a table of ${at} routes: ${value.toFixed(1)} ms of CPU`);
  const file = fileURLToPath(new URL('simulate-growth.svg', import.meta.url));
  const panels = [
    { label: 'rig simulate, the whole command, by files of a resource each, ms', points: simulated },
    { label: 'compiling a table, by exact and prefix routes, ms of CPU', points: compiled },
  ];
  writeFileSync(file, drawPanels('How rig simulate and tables of routes grow', `medians of ${ROUNDS} (${machine})`, panels));
  console.log(file);
}

/** Half exact, half by prefix, in one virtual host; from the decoded message to the table. */
function compileCpuMs(count) {
  const routes = Array.from({ length: count }, (_, i) => ({
    match: { [i % 2 === 0 ? 'path' : 'prefix']: `/api/v1/service-${i}` },
    route: { cluster: `c${i % 50}` },
  }));
  const message = fromJson(RouteConfigurationSchema, { name: 'bench', virtualHosts: [{ name: 'v', domains: ['*'], routes }] });
  const values = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    if (!compileRouteConfiguration(message).ok) throw new Error('the table is refused');
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  });
  return values.sort((a, b) => a - b)[ROUNDS >> 1];
}
