/** What stands where a figure is not known. */
export const unknown = '–';

/** "100 %" and "0 %" are said of all and of none alone. */
export function percent(ratio: number | null): string {
  if (ratio === null) return unknown;
  if (ratio === 0 || ratio === 1) return `${ratio * 100} %`;
  return `${Math.min(99.9, Math.max(0.1, ratio * 100)).toFixed(1)} %`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return unknown;
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

export function perSecond(rate: number): string {
  return `${rate >= 1000 ? `${(rate / 1000).toFixed(1)}k` : rate.toFixed(rate < 100 ? 1 : 0)}/s`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

export type Grade = 'good' | 'warn' | 'bad' | 'unknown';

/** Of a success ratio: 99.9 % and above is good, below 99 % is bad. */
export function gradeOfSuccess(ratio: number | null): Grade {
  if (ratio === null) return 'unknown';
  return ratio >= 0.999 ? 'good' : ratio >= 0.99 ? 'warn' : 'bad';
}

export function gradeOfMtls(ratio: number | null): Grade {
  if (ratio === null) return 'unknown';
  return ratio === 1 ? 'good' : 'warn';
}

/** "order-service", with its namespace where that is not the default one. */
export function serviceName({ service, namespace }: { service: string; namespace: string }): string {
  return namespace === 'default' || namespace === '' ? service : `${service}.${namespace}`;
}
