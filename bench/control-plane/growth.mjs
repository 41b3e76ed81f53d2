// How the control plane's figures grow with the mesh, over the number of services (as many sidecars).
import { drawPanels } from '../panels.mjs';

const PANELS = [
  { label: 'RSS with all connected, MB', of: ({ rssMb }) => rssMb },
  { label: 'all connect, s', of: ({ connectSeconds }) => connectSeconds },
  { label: "an instance's health in all who use it, p99, ms", of: ({ healthChange }) => healthChange.p99Ms },
  { label: 'a route by apply, p99, ms', of: ({ routeChange }) => routeChange.p99Ms },
  { label: 'CPU of an apply of a route, ms', of: ({ routeChangeCpuMs }) => routeChangeCpuMs },
  { label: '100 changes a second, cores', of: ({ stormCpuRatio }) => stormCpuRatio },
];

/** `sizes`: of run.mjs, by number of services. */
export function drawGrowth(sizes, machine) {
  return drawPanels(
    'How the control plane grows with the mesh',
    `N services of ten endpoints, N sidecars that use twenty each; the control plane on one core (${machine})`,
    PANELS.map(({ label, of }) => ({ label, points: sizes.map((size) => ({ at: size.services, value: of(size) })) })),
  );
}
