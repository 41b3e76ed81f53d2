// `npm run bench:growth -- [OPTIONS OF run.mjs]`: how CPU per request grows with routes, bodies, headers and clients, as bench/growth.svg.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rows } from './rows.mjs';

const KINDS = [
  { kind: 'routes', label: 'routes in the table' },
  { kind: 'body', label: 'bytes of body' },
  { kind: 'headers', label: 'headers of the request' },
  { kind: 'clients', label: 'connections' },
];
const COLOURS = { ours: '#2563eb', envoy: '#b45309' };
const WIDTH = 400;
const HEIGHT = 240;
const LEFT = 56;
const BOTTOM = 40;
const TOP = 24;
const RIGHT = 28;

const run = fileURLToPath(new URL('run.mjs', import.meta.url));
const args = [run, '--rows', KINDS.map(({ kind }) => kind).join(), '--targets', 'ours,envoy', '--json', ...process.argv.slice(2)];
const measured = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
const { cpu, cores } = measured.machine;
const charts = KINDS.map(({ kind, label }, index) => {
  const points = rows
    .filter(({ growth }) => growth === kind)
    .map(({ name, value }) => ({ value, targets: measured.rows.find((row) => row.name === name).targets }));
  return `<g transform="translate(${(index % 2) * WIDTH} ${30 + Math.floor(index / 2) * HEIGHT})">${chart(label, points)}</g>`;
});
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * 2 + 40}" font-family="sans-serif" font-size="11">
<title>How the CPU of a request grows</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="18">CPU us a request through a pair of sidecars with mTLS, medians and spread (${cpu}, ${cores} cores): <tspan fill="${COLOURS.ours}">Outrigger</tspan>, <tspan fill="${COLOURS.envoy}">Envoy</tspan></text>
${charts.join('\n')}
</svg>
`;
const file = fileURLToPath(new URL('growth.svg', import.meta.url));
writeFileSync(file, svg);
for (const row of measured.rows)
  console.log([row.name, ...Object.entries(row.targets).map(([name, t]) => `${name} ${t.cpuUsPerRequest.median.toFixed(0)} us`)].join('\t'));
console.log(file);

/** The values one step apart, whatever they are; the cost from zero. */
function chart(label, points) {
  const most = Math.max(...points.flatMap(({ targets }) => Object.values(targets).map((target) => target.cpuUsPerRequest.max)));
  const x = (index) => LEFT + ((WIDTH - LEFT - RIGHT - 20) * index) / Math.max(1, points.length - 1) + 10;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const parts = [0, 0.5, 1].map((share) => {
    const at = y(most * share);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${Math.round(most * share)}</text>`;
  });
  points.forEach(({ value }, index) => {
    parts.push(`<text x="${x(index)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${value}</text>`);
  });
  parts.push(`<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${label}</text>`);
  for (const [name, colour] of Object.entries(COLOURS)) {
    const figures = points.map(({ targets }) => targets[name].cpuUsPerRequest);
    parts.push(
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${figures.map(({ median }, index) => `${x(index)},${y(median)}`).join(' ')}"/>`,
    );
    figures.forEach(({ median, min, max }, index) => {
      parts.push(
        `<line x1="${x(index)}" x2="${x(index)}" y1="${y(min)}" y2="${y(max)}" stroke="${colour}"/><circle cx="${x(index)}" cy="${y(median)}" r="3" fill="${colour}"/>`,
      );
    });
  }
  return parts.join('');
}
