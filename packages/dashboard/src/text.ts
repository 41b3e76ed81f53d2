/** "100 %" and "0 %" are said of all and of none alone; "–" where it is not known. */
export function percent(ratio: number | null): string {
  if (ratio === null) return '–';
  if (ratio === 0 || ratio === 1) return `${ratio * 100} %`;
  return `${Math.min(99.9, Math.max(0.1, ratio * 100)).toFixed(1)} %`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '–';
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Class of a success ratio: 99.9 % and above is good, below 99 % is bad. */
export function grade(ratio: number | null): 'good' | 'warn' | 'bad' | 'unknown' {
  if (ratio === null) return 'unknown';
  return ratio >= 0.999 ? 'good' : ratio >= 0.99 ? 'warn' : 'bad';
}
