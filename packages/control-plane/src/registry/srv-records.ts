import { createDnsClient, createSrvWatch, type DnsServer, type SrvState, type SrvWatch, systemDnsServers } from '@outrigger/discovery';
import { SRV_ANNOTATION, type SrvEndpoint } from '@outrigger/resources';
import type { Problem } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import { GatheredRecords } from '../store/gathered-records.ts';
import type { Records } from '../store/records.ts';

export interface SrvRecordsOptions {
  readonly clock: Clock;
  /** undefined: those of this machine. */
  readonly servers: readonly DnsServer[] | undefined;
  /** What was last known, over a restart. */
  readonly records: Records<readonly SrvEndpoint[]>;
  readonly log: (entry: LogEntry) => void;
  readonly onFault: () => void;
}

/** The names of SRV records that ServiceEntries have, looked up and kept. */
export function openSrvRecords({ clock, servers, records, log, onFault }: SrvRecordsOptions): { readonly watch: SrvWatch; stop(): void } {
  const kept = new GatheredRecords(records, clock);
  const watch = createSrvWatch({
    clock,
    client: createDnsClient({ clock, servers: servers === undefined ? systemDnsServers(clock) : () => servers }),
    store: kept,
    onStoreError: (error) => log({ level: 'error', part: 'registry', message: `what DNS said could not be kept: ${error.message}` }),
    onFault(state) {
      log(
        state.fault === ''
          ? { level: 'info', part: 'registry', message: `DNS name ${state.name}: all is well again` }
          : { level: 'warn', part: 'registry', message: faultText(state) },
      );
      onFault();
    },
  });
  return {
    watch,
    stop() {
      watch.close();
      kept.stop();
    },
  };
}

/** Of names with which something is wrong. */
export function srvProblems(states: Iterable<SrvState>): Problem[] {
  return [...states]
    .filter(({ fault }) => fault !== '')
    .map((state) => ({
      what: faultText(state),
      where: state.owners.map((owner) => owner.slice(owner.indexOf('/') + 1)).join(', '),
      next: `See what its DNS server says: dig SRV ${state.name}. Another one is asked with \`rig up --dns-server ADDRESS:PORT\`.`,
      sinceMs: state.faultSinceMs,
    }));
}

export function srvNote(state: SrvState): string {
  return `${SRV_ANNOTATION}: ${faultText(state)}`;
}

/** Why a ServiceEntry has no endpoint at all; undefined where it has one, or where DNS has not answered so far. */
export function whyWithoutEndpoints(states: readonly SrvState[]): string | undefined {
  if (states.length === 0 || states.some(({ endpoints, fault }) => (endpoints ?? []).length > 0 || fault === '')) return undefined;
  return states.map(faultText).join('; ');
}

function faultText({ name, fault, endpoints = [] }: SrvState): string {
  const have =
    endpoints.length === 0 ? 'it has no endpoints' : endpoints.length === 1 ? 'its endpoint stays in use' : `its ${endpoints.length} endpoints stay in use`;
  return `DNS name ${name}: ${fault}; ${have}`;
}
