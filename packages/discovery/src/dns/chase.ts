import type { DnsRecord } from './message.ts';

/** A loop of aliases is longer. */
const MAX_ALIASES = 16;

export interface Chased<Type extends DnsRecord['type']> {
  readonly records: readonly Extract<DnsRecord, { type: Type }>[];
  /** How long all that it took holds. */
  readonly ttlMs: number;
}

/** Records of a type that a name has, or the name that it is another name of. */
export function chase<Type extends DnsRecord['type']>(all: readonly DnsRecord[], name: string, type: Type): Chased<Type> {
  let at = name;
  let ttlS = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const records = all.filter((record): record is Extract<DnsRecord, { type: Type }> => record.type === type && record.name === at);
    if (records.length > 0) return { records, ttlMs: 1000 * records.reduce((least, record) => Math.min(least, record.ttlS), ttlS) };
    const alias = all.find((record) => record.type === 'CNAME' && record.name === at);
    if (alias?.type !== 'CNAME') break;
    at = alias.target;
    ttlS = Math.min(ttlS, alias.ttlS);
  }
  return { records: [], ttlMs: 0 };
}
