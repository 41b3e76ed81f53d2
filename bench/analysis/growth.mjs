// How rig analyze grows with resources, rig simulate with the files of a folder, and a table of routes with its routes, as growth.svg.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromJson } from '@bufbuild/protobuf';
import { compileRouteConfiguration } from '@outrigger/proxy/pure';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { drawPanels } from '../panels.mjs';

const ROUTES = [100, 1000, 2500, 5000, 10_000];
const ROUNDS = 5;

/** `analyzed`, `simulated`: [{at: resources or files, value, min, max}], ms. */
export function drawGrowth(analyzed, simulated, machine) {
  const compiled = ROUTES.map((count) => ({ at: count, ...compileCpuMs(count) }));
  for (const { at, value } of compiled) console.log(`a table of ${at} routes: ${value.toFixed(1)} ms of CPU`);
  const file = fileURLToPath(new URL('growth.svg', import.meta.url));
  const panels = [
    { label: 'rig analyze, the whole command, by resources, ms', points: analyzed },
    { label: 'rig simulate, the whole command, by files, ms', points: simulated },
    { label: 'compiling a table, by exact and prefix routes, ms of CPU', points: compiled },
  ];
  writeFileSync(file, drawPanels('How analysis, simulation and tables of routes grow', `medians and spread (${machine})`, panels));
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
  values.sort((a, b) => a - b);
  return { value: values[ROUNDS >> 1], min: values[0], max: values.at(-1) };
}
