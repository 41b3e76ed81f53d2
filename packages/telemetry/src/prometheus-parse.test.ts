import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantileOfBuckets } from './histogram.ts';
import { MetricRegistry } from './metrics.ts';
import { DEFAULT_PARSE_LIMITS, histogramsOf, parsePrometheus } from './prometheus-parse.ts';
import { writePrometheus } from './prometheus-text.ts';

describe('Prometheus text', () => {
  it('is read as it was written, whatever is in a label', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ maxLength: 20, unit: 'binary' }), { maxLength: 10 }), fc.nat(1e9), (values, count) => {
        const registry = new MetricRegistry();
        const family = registry.counter('a_total', 'With "quotes" \\ and\nlines.', 'x');
        for (const value of values) family.with(value).add(count);
        const parsed = parsePrometheus(writePrometheus(registry));
        expect(parsed.ok && parsed.samples.map((sample) => [sample.labels['x'], sample.value])).toEqual(values.map((value) => [value, count]));
      }),
    );
  });

  it('carries histograms over, fine enough for quantiles', () => {
    const registry = new MetricRegistry();
    const histogram = registry.histogram('d_milliseconds', 'D.', 'x').with('1');
    for (let i = 1; i <= 1000; i++) histogram.record(i / 10);
    for (const [detail, tolerance] of [
      ['fine', 0.05],
      ['edges', 0.5],
    ] as const) {
      const parsed = parsePrometheus(writePrometheus(registry, detail));
      const [read] = histogramsOf(parsed.ok ? parsed.samples : [], 'd_milliseconds');
      expect(read).toMatchObject({ labels: { x: '1' }, count: 1000 });
      expect(read!.sum).toBeCloseTo(50_050);
      expect(Math.abs(quantileOfBuckets(read!.buckets, 0.5) - 50) / 50).toBeLessThan(tolerance);
    }
  });

  it.each([
    ['a 1', 'a', {}, 1],
    ['a{} 1', 'a', {}, 1],
    ['a{x="1",} +Inf', 'a', { x: '1' }, Number.POSITIVE_INFINITY],
    [' \n# a comment\n\na{x = "1" , y="2"} 1.5e3 1700000000000', 'a', { x: '1', y: '2' }, 1500],
    ['a:b_c{x="}"} NaN', 'a:b_c', { x: '}' }, Number.NaN],
  ])('reads %j', (text, name, labels, value) => {
    const parsed = parsePrometheus(text);
    expect(parsed.ok && parsed.samples).toEqual([{ name, labels: expect.objectContaining(labels), value }]);
  });

  it.each([
    ['a', 'line 1 has no value'],
    ['a 1\nb x', 'line 2 has "x" for a value'],
    ['1a 1', 'line 1 needs a metric name at column 1'],
    ['a{x="1} 1', 'line 1 has a label value without its closing quote'],
    ['a{x="1" y="2"} 1', 'line 1 needs "," or "}" after a label'],
    ['a{x="\\t"} 1', 'line 1 has an unknown escape in a label value'],
    ['a{x="1",x="2"} 1', 'line 1 names label x twice'],
    ['a{x=1} 1', 'line 1 needs "\\"" at column 5'],
    ['a 1 soon', 'line 1 has something after its value that is no timestamp'],
    ['a 0x10', 'line 1 has "0x10" for a value'],
  ])('refuses %j', (text, message) => {
    expect(parsePrometheus(text)).toEqual({ ok: false, message });
  });

  it('heeds its limits', () => {
    expect(parsePrometheus('a 1\n'.repeat(11), { ...DEFAULT_PARSE_LIMITS, maxSamples: 10 })).toMatchObject({ ok: false });
    expect(parsePrometheus('a 1\n'.repeat(11), { ...DEFAULT_PARSE_LIMITS, maxBytes: 10 })).toMatchObject({ ok: false });
    expect(parsePrometheus('a{a="1",b="2"} 1', { ...DEFAULT_PARSE_LIMITS, maxLabels: 1 })).toMatchObject({ ok: false });
  });

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '{', '}', '"', '=', ',', '\\', ' ', '1', '\n', '#') }),
        (text) => typeof parsePrometheus(text).ok === 'boolean',
      ),
    );
  });

  it('a label may be named like a property of objects', () => {
    const parsed = parsePrometheus('a{__proto__="1",constructor="2"} 1');
    expect(parsed.ok && Object.keys(parsed.samples[0]!.labels)).toEqual(['__proto__', 'constructor']);
  });
});
