import type { TopRow } from '@outrigger/control-plane/api';
import { expect, test } from 'vitest';
import { experiments } from './experiments.ts';
import { mtlsShare, screen, summary, type View } from './screen.ts';

const row = (service: string, version: string, more: Partial<TopRow> = {}): TopRow => ({
  service,
  namespace: 'default',
  version,
  requestsPerSecond: 40.1,
  successRatio: 0.9991,
  p50Ms: 231.4,
  p99Ms: 2340,
  mtlsRatio: 1,
  breaker: { open: 3, halfOpen: 0, endpoints: 3 },
  instances: 3,
  ...more,
});
const load = { requests: 123_456, failures: 12, p50Ms: 41.2, p99Ms: 1200, lastFailure: 'x'.repeat(300) };
const view: View = {
  dashboard: `http://127.0.0.1:15014/?token=${'t'.repeat(43)}`,
  rig: 'npx rig',
  rows: [
    row('fraud-service', 'v1'),
    row('ledger-service', 'v1'),
    row('order-service', 'v1'),
    row('order-service', 'v2'),
    row('payment-service', 'v1'),
    row('web', 'v1'),
  ],
  silentMs: 0,
  load,
  news: ['12:00:00 payment-service-2 was killed', '12:00:09 payment-service-2 is back'],
  experiments: experiments('npx rig', 'examples/shop'),
};

function height(lines: readonly string[], columns: number): number {
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
}

test.each([
  [80, 24],
  [80, 40],
  [120, 30],
  [200, 60],
  [40, 10],
])('fits a terminal of %s columns and %s rows, which then never scrolls', (columns, rows) => {
  expect(height(screen(view, { columns, rows }), columns)).toBeLessThanOrEqual(rows);
});

test('shows every experiment and its undoing in the usual terminal, whole', () => {
  const lines = screen({ ...view, load: { ...load, lastFailure: '' }, news: [] }, { columns: 80, rows: 24 }).join('\n');
  for (const { command, undo } of view.experiments) {
    expect(lines).toContain(command);
    expect(lines).toContain(undo);
  }
});

test('a line per service fits 80 columns', () => {
  const lines = screen(view, { columns: 80, rows: 24 });
  expect(lines.filter((line) => /3 of 3 open$/.test(line))).toHaveLength(6);
});

test('says that figures are old when the control plane is silent', () => {
  expect(screen({ ...view, silentMs: 12_000 }, { columns: 120, rows: 60 }).join('\n')).toContain('these figures are 12 s old');
});

test('the share of hops under mutual TLS counts what is known', () => {
  expect(mtlsShare([row('a', '', { requestsPerSecond: 3 }), row('b', '', { requestsPerSecond: 1, mtlsRatio: 0 }), row('c', '', { mtlsRatio: null })])).toBe(
    0.75,
  );
  expect(mtlsShare([row('c', '', { requestsPerSecond: 0, mtlsRatio: null })])).toBeNull();
  expect(summary(load, 0.9999)).toBe('requests=123456 failures=12 p50Ms=41.2 p99Ms=1200 mtls=99.9%');
  expect(summary(load, null)).toContain('mtls=unknown');
});
