import type { SrvEndpoint } from '@outrigger/resources';
import { chase, recordsByName } from './chase.ts';
import type { DnsClient } from './dns-client.ts';
import type { HostAddresses } from './host-addresses.ts';
import { type DnsResponse, RCODE_NAME_ERROR, type SrvRecord } from './message.ts';
import { heldMs, negativeMs } from './ttl.ts';

const MAX_TARGETS = 1_000;
const MAX_ENDPOINTS = 1_000;
/** So that a weight can be divided among the addresses of a host, and 0 weighs little beside others. */
const PARTS = 16;

export type SrvAnswer =
  | {
      readonly kind: 'found';
      readonly endpoints: readonly SrvEndpoint[];
      /** How long what could be asked for holds. */
      readonly ttlMs: number;
      /** What is not as it should be all the same. */
      readonly faults: readonly string[];
      /** Some of it could not be asked for, and is as it was. */
      readonly failing: boolean;
    }
  /** Said by who must know. `decidedly`: by a target ".", which is written down for that. */
  | { readonly kind: 'absent'; readonly reason: string; readonly decidedly: boolean; readonly ttlMs: number }
  /** Nobody could say. */
  | { readonly kind: 'failed'; readonly reason: string };

interface Target {
  readonly record: SrvRecord;
  readonly addresses: readonly string[];
}

/** The endpoints that the SRV records of a name stand for (RFC 2782). */
export async function lookupSrv(client: DnsClient, hosts: HostAddresses, name: string): Promise<SrvAnswer> {
  const outcome = await client.query(name, 'SRV');
  if ('failed' in outcome) return { kind: 'failed', reason: outcome.failed };
  const { response } = outcome;
  const { records, ttlMs } = chase(recordsByName(response.answers), name, 'SRV');
  const usable = records.filter(({ target, port }) => target !== '' && port !== 0);
  if (records.length === 0) return absent(response.rcode === RCODE_NAME_ERROR ? 'there is no such name' : 'it has no SRV records', response);
  if (usable.length === 0) return { ...absent('its SRV record says that there is no such service', response), decidedly: true };
  // Of two that are one endpoint the one that is called first.
  const distinct = Map.groupBy(usable.toSorted(byPlace), ({ target, port }) => `${target} ${port}`);
  const sorted = [...distinct.values()].map(([first]) => first!);
  const used = sorted.slice(0, MAX_TARGETS);
  const additionals = recordsByName(response.additionals);
  const answers = await Promise.all(used.map(async (record) => ({ record, ...(await hosts.resolve(record.target, additionals)) })));
  const all = endpointsOf(answers);
  const endpoints = all.slice(0, MAX_ENDPOINTS);
  const faults = [...new Set(answers.flatMap(({ fault }) => fault ?? []))];
  const leftOut = sorted.length - used.length + all.length - endpoints.length;
  if (leftOut > 0) faults.push(`${leftOut} of its endpoints are left out: ${MAX_ENDPOINTS} are used at most`);
  const holdsMs = answers.reduce((least, answer) => (answer.failed ? least : Math.min(least, answer.ttlMs)), heldMs(ttlMs));
  const failing = answers.some(({ failed }) => failed);
  if (endpoints.length > 0) return { kind: 'found', endpoints, ttlMs: holdsMs, faults, failing };
  return failing ? { kind: 'failed', reason: faults[0]! } : { kind: 'absent', reason: faults[0]!, decidedly: false, ttlMs: holdsMs };
}

function absent(reason: string, { negativeTtlS }: DnsResponse): Extract<SrvAnswer, { kind: 'absent' }> {
  return { kind: 'absent', reason, decidedly: false, ttlMs: negativeMs(negativeTtlS) };
}

function byPlace(a: SrvRecord, b: SrvRecord): number {
  return a.priority - b.priority || (a.target < b.target ? -1 : a.target > b.target ? 1 : 0) || a.port - b.port;
}

/** The weight of a record is that of all the addresses of its target together. */
function endpointsOf(targets: readonly Target[]): SrvEndpoint[] {
  return [...Map.groupBy(targets, ({ record }) => record.priority)].flatMap(([priority, own]) => {
    const weighed = own.some(({ record }) => record.weight > 0);
    const inParts = own.some(({ record, addresses }) => addresses.length > 1 || (weighed && record.weight === 0));
    return own.flatMap(({ record: { port, weight }, addresses }) => {
      // Where none has a weight all are equal.
      const whole = (weighed ? weight : 1) * (inParts ? PARTS : 1);
      return addresses.map((address) => ({ address, port, priority, weight: Math.max(1, Math.round(whole / addresses.length)) }));
    });
  });
}
