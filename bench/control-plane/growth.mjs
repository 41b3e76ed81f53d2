// How the control plane's figures grow with the mesh, as an SVG: one panel a figure, over the number of services (as many sidecars).
const WIDTH = 400;
const HEIGHT = 220;
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 24, 28, 36];

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
  const panels = PANELS.map(
    ({ label, of }, index) =>
      `<g transform="translate(${(index % 2) * WIDTH} ${30 + Math.floor(index / 2) * HEIGHT})">${panel(
        label,
        sizes.map((size) => ({ services: size.services, value: of(size) })),
      )}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * 3 + 40}" font-family="sans-serif" font-size="11">
<title>How the control plane grows with the mesh</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="18">N services of ten endpoints, N sidecars that use twenty each; the control plane on one core (${machine})</text>
${panels.join('\n')}
</svg>
`;
}

function panel(label, points) {
  const most = Math.max(...points.map(({ value }) => value)) || 1;
  const widest = Math.max(...points.map(({ services }) => services));
  const x = (services) => LEFT + ((WIDTH - LEFT - RIGHT) * services) / widest;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const digits = most < 10 ? 1 : 0;
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(most * share);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${(most * share).toFixed(digits)}</text>`;
  });
  const marks = points.map(
    ({ services, value }) =>
      `<circle cx="${x(services)}" cy="${y(value)}" r="3" fill="#2563eb"/>` +
      // Two that stand close have one label.
      (services < widest / 12 ? '' : `<text x="${x(services)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${services}</text>`),
  );
  const line = points.map(({ services, value }) => `${x(services)},${y(value)}`).join(' ');
  return `<text x="${LEFT}" y="16">${label}</text>${grid.join('')}<polyline fill="none" stroke="#2563eb" stroke-width="2" points="${line}"/>${marks.join('')}`;
}
