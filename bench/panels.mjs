// Growth as an SVG: one panel a figure, two beside each other.
const WIDTH = 400;
const HEIGHT = 220;
const [LEFT, RIGHT, TOP, BOTTOM] = [56, 24, 28, 36];

/** `panels`: [{label, points: [{at, value, min?, max?}]}], in the order of `at`. */
export function drawPanels(title, subtitle, panels) {
  const drawn = panels.map(
    ({ label, points }, index) => `<g transform="translate(${(index % 2) * WIDTH} ${30 + Math.floor(index / 2) * HEIGHT})">${panel(label, points)}</g>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * Math.ceil(panels.length / 2) + 40}" font-family="sans-serif" font-size="11">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="18">${subtitle}</text>
${drawn.join('\n')}
</svg>
`;
}

function panel(label, points) {
  const most = Math.max(...points.map(({ value, max = value }) => max)) || 1;
  const widest = Math.max(...points.map(({ at }) => at));
  const x = (at) => LEFT + ((WIDTH - LEFT - RIGHT) * at) / widest;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const digits = most < 10 ? 1 : 0;
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(most * share);
    return `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${(most * share).toFixed(digits)}</text>`;
  });
  const marks = points.map(
    ({ at, value, min = value, max = value }) =>
      `<line x1="${x(at)}" x2="${x(at)}" y1="${y(min)}" y2="${y(max)}" stroke="#2563eb"/><circle cx="${x(at)}" cy="${y(value)}" r="3" fill="#2563eb"/>` +
      // Two that stand close have one label.
      (at < widest / 12 ? '' : `<text x="${x(at)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${at}</text>`),
  );
  const line = points.map(({ at, value }) => `${x(at)},${y(value)}`).join(' ');
  return `<text x="${LEFT}" y="16">${label}</text>${grid.join('')}<polyline fill="none" stroke="#2563eb" stroke-width="2" points="${line}"/>${marks.join('')}`;
}
