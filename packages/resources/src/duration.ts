const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, μs: 1e-3, ns: 1e-6 };
const durationPattern = /^[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|μs|ns))+$/;
const termPattern = /(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|μs|ns)/g;
/** The longest that people write has some 30 characters. */
const maxDurationLength = 64;

/**
 * Go's and Istio's durations ("1.5s", "250ms", "1h30m", "-1s") in milliseconds, with fractions; undefined for what is
 * none. "0" is 0.
 */
export function durationMs(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  if (text.length > maxDurationLength || !durationPattern.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(termPattern)) total += Number(amount) * (unitMs[unit as string] as number);
  return text.startsWith('-') ? -total : total;
}
