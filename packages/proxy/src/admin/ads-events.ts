import type { AdsClientEvent } from '@outrigger/xds';
import type { ProxyLog } from '../engine/options.ts';

/** Tells of the connection to the control plane; that it is away once. */
export function adsEventLog(log: ProxyLog): (event: AdsClientEvent) => void {
  let away = false;
  return (event) => {
    switch (event.kind) {
      case 'connected':
        away = false;
        log('info', `connected to the control plane at ${event.target}`);
        break;
      case 'disconnected':
        log(away ? 'debug' : 'warn', `the control plane at ${event.target} is away: ${event.reason}; serving with what is known, and trying again`);
        away = true;
        break;
      case 'rejected':
        log('error', `configuration refused (${event.typeUrl}): ${event.reason}; the last good version stays in effect`);
        break;
      case 'cache-used':
        log('warn', `serving ${event.resources} ${event.typeUrl} from the cache; the control plane was last heard of ${ageText(event.lastContactMs)}`);
    }
  };
}

function ageText(lastContactMs: number | undefined): string {
  return lastContactMs === undefined ? 'never' : `${Math.round((Date.now() - lastContactMs) / 1000)} s ago`;
}
