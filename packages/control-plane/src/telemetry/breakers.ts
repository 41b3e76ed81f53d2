import type { Sample } from '@outrigger/telemetry';

/** An endpoint's breaker as one caller has it: 1 half-open, 2 open. Those that are closed are not among them. */
export type BreakerStates = ReadonlyMap<string, 1 | 2>;

/** Our proxy's gauge, one series for each endpoint whose breaker is not closed (docs/xds.md). */
export const BREAKER_GAUGE = 'outrigger_endpoint_breaker';
const MAX_ENDPOINTS = 10_000;

/** By "ip:port" of the endpoint. */
export function breakersOf(samples: readonly Sample[]): BreakerStates {
  const states = new Map<string, 1 | 2>();
  for (const { name, labels, value } of samples) {
    if (name !== BREAKER_GAUGE || labels.endpoint === undefined || states.size >= MAX_ENDPOINTS) continue;
    if (value === 2 || (value === 1 && !states.has(labels.endpoint))) states.set(labels.endpoint, value);
  }
  return states;
}

/** The same from Envoy's `/clusters?format=json` (envoy.admin.v3.Clusters), which knows ejected and not ejected alone. */
export function breakersOfEnvoy(text: string): BreakerStates {
  const states = new Map<string, 1 | 2>();
  let clusters: unknown;
  try {
    clusters = (JSON.parse(text) as { cluster_statuses?: unknown }).cluster_statuses;
  } catch {
    return states;
  }
  if (!Array.isArray(clusters)) return states;
  for (const cluster of clusters as { host_statuses?: unknown }[]) {
    if (!Array.isArray(cluster?.host_statuses)) continue;
    for (const host of cluster.host_statuses as EnvoyHost[]) {
      const socket = host?.address?.socket_address;
      if (host?.health_status?.failed_outlier_check !== true || socket === undefined || states.size >= MAX_ENDPOINTS) continue;
      states.set(`${socket.address}:${socket.port_value}`, 2);
    }
  }
  return states;
}

interface EnvoyHost {
  readonly address?: { readonly socket_address?: { readonly address?: string; readonly port_value?: number } };
  readonly health_status?: { readonly failed_outlier_check?: boolean };
}
