import type { Clock } from '../clock.ts';
import { chase, type RecordsByName, recordsByName } from './chase.ts';
import type { DnsClient } from './dns-client.ts';
import { type AddressRecord, RCODE_NAME_ERROR } from './message.ts';
import { FAILED_RETRY_MS, heldMs, negativeMs } from './ttl.ts';

/** Hosts that are remembered; of more those whose answer is the oldest are forgotten. */
const MAX_HOSTS = 20_000;
const MAX_ADDRESSES = 64;

export interface HostAnswer {
  readonly addresses: readonly string[];
  /** How long from now it holds. */
  readonly ttlMs: number;
  /** Why there are none, or only those of before. */
  readonly fault?: string;
  /** Nobody could say: with it the addresses are those of before. */
  readonly failed: boolean;
}

interface Known {
  readonly answer: HostAnswer;
  readonly untilMs: number;
}

/** Addresses of hosts, each asked for once while they hold, whoever wants them. Those of IPv4; where there are none, those of IPv6. */
export class HostAddresses {
  readonly #clock: Clock;
  readonly #client: DnsClient;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<HostAnswer>>();

  constructor(clock: Clock, client: DnsClient) {
    this.#clock = clock;
    this.#client = client;
  }

  /** `given`: records that came with an answer about something else. */
  resolve(host: string, given: RecordsByName): Promise<HostAnswer> {
    const known = this.#known.get(host);
    const leftMs = (known?.untilMs ?? 0) - this.#clock.now();
    // More is left than there was where somebody has set the clock back.
    const holds = known !== undefined && leftMs > 0 && leftMs <= known.answer.ttlMs;
    const inGiven = chase(given, host, 'A');
    if (inGiven.records.length > 0) return Promise.resolve(this.#remember(host, found(inGiven)));
    if (holds) return Promise.resolve({ ...known.answer, ttlMs: leftMs });
    const asked = this.#asked.get(host) ?? this.#ask(host, known?.answer.addresses ?? []).finally(() => this.#asked.delete(host));
    this.#asked.set(host, asked);
    return asked;
  }

  async #ask(host: string, before: readonly string[]): Promise<HostAnswer> {
    let negativeTtlMs = Number.POSITIVE_INFINITY;
    for (const type of ['A', 'AAAA'] as const) {
      const outcome = await this.#client.query(host, type);
      if ('failed' in outcome)
        return this.#remember(host, { addresses: before, ttlMs: FAILED_RETRY_MS, fault: `${host} could not be resolved (${outcome.failed})`, failed: true });
      const chased = chase<'A' | 'AAAA'>(recordsByName(outcome.response.answers), host, type);
      if (chased.records.length > 0) return this.#remember(host, found(chased));
      negativeTtlMs = Math.min(negativeTtlMs, negativeMs(outcome.response.negativeTtlS));
      if (outcome.response.rcode === RCODE_NAME_ERROR) break;
    }
    return this.#remember(host, { addresses: [], ttlMs: negativeTtlMs, fault: `${host} has no address`, failed: false });
  }

  #remember(host: string, answer: HostAnswer): HostAnswer {
    this.#known.delete(host);
    this.#known.set(host, { answer, untilMs: this.#clock.now() + answer.ttlMs });
    if (this.#known.size > MAX_HOSTS) this.#known.delete(this.#known.keys().next().value!);
    return answer;
  }
}

function found({ records, ttlMs }: { readonly records: readonly AddressRecord[]; readonly ttlMs: number }): HostAnswer {
  const addresses = [...new Set(records.map(({ address }) => address))].sort().slice(0, MAX_ADDRESSES);
  return { addresses, ttlMs: heldMs(ttlMs), failed: false };
}
