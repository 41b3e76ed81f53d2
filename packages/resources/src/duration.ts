/**
 * Go's and Istio's durations ("1.5s", "250ms", "1h30m", "-1s") in milliseconds, with fractions; undefined for what is
 * none. "0" is 0.
 */
export function durationMs(_text: string): number | undefined {
  return undefined;
}
