import type { DnsRecord } from './message.ts';

/** A loop of aliases is longer. */
const MAX_ALIASES = 16;

export interface Chased<Type extends DnsRecord['type']> {
  readonly records: readonly Extract<DnsRecord, { type: Type }>[];
  /** How long all that it took holds. */
  readonly ttlMs: number;
}

export type RecordsByName = ReadonlyMap<string, readonly DnsRecord[]>;

export function recordsByName(records: readonly DnsRecord[]): RecordsByName {
  return Map.groupBy(records, ({ name }) => name);
}

/** Records of a type that a name has, or the name that it is another name of. */
export function chase<Type extends DnsRecord['type']>(all: RecordsByName, name: string, type: Type): Chased<Type> {
  let at = name;
  let ttlS = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const own = all.get(at) ?? [];
    const records = own.filter((record): record is Extract<DnsRecord, { type: Type }> => record.type === type);
    if (records.length > 0) return { records, ttlMs: 1000 * records.reduce((least, record) => Math.min(least, record.ttlS), ttlS) };
    const alias = own.find((record) => record.type === 'CNAME');
    if (alias === undefined) break;
    at = alias.target;
    ttlS = Math.min(ttlS, alias.ttlS);
  }
  return { records: [], ttlMs: 0 };
}
