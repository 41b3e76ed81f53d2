import type { GraphView, Problem, ProxyView, ResourceView, ServiceView, TopRow, VersionInfo } from '@outrigger/control-plane/api';

/** Everything that the page shows, as last fetched. */
export interface MeshData {
  version: VersionInfo | undefined;
  top: TopRow[];
  graph: GraphView | undefined;
  services: ServiceView[];
  proxies: ProxyView[];
  resources: ResourceView[];
  problems: Problem[];
}

export const noData: MeshData = { version: undefined, top: [], graph: undefined, services: [], proxies: [], resources: [], problems: [] };

const paths: Record<keyof MeshData, string> = {
  version: '/version',
  top: '/top?windowMs=10000',
  graph: '/graph?windowMs=10000',
  services: '/services',
  proxies: '/proxies',
  resources: '/resources',
  problems: '/problems',
};

/** Why the page has no fresh data: the sentence to show, and what to do. */
export class ApiFault extends Error {}

async function fetchPart(part: keyof MeshData): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${paths[part]}`, { credentials: 'same-origin' });
  } catch {
    throw new ApiFault('The control plane does not answer. Sidecars go on with what they know; start it again with `rig up`.');
  }
  if (response.status === 401 || response.status === 403)
    throw new ApiFault('This page is not signed in, or no longer. Open the address that `rig up` printed; its token works once.');
  if (!response.ok) throw new ApiFault(`The control plane answered ${response.status} to ${paths[part]}.`);
  return response.json();
}

/** Fetches the parts and hands on what came; the first fault is handed on instead of being thrown. */
export async function refresh(parts: readonly (keyof MeshData)[], update: (data: Partial<MeshData>, fault: string) => void): Promise<void> {
  try {
    const values = await Promise.all(parts.map(fetchPart));
    update(Object.fromEntries(parts.map((part, index) => [part, values[index]])) as Partial<MeshData>, '');
  } catch (error) {
    update({}, error instanceof Error ? error.message : String(error));
  }
}

const everything = Object.keys(paths) as (keyof MeshData)[];
/** Shortest time between two fetches. */
const pauseMs = 500;
const pollMs = 2000;

/** Follows the mesh: server-sent events say what to fetch again; a slow poll covers what they miss. */
export function follow(update: (data: Partial<MeshData>, fault: string) => void): () => void {
  const due = new Set<keyof MeshData>();
  let timer: number | undefined;
  const flush = (): void => {
    timer = undefined;
    const parts = [...due];
    due.clear();
    void refresh(parts, update);
  };
  const want = (part: keyof MeshData): void => {
    due.add(part);
    timer ??= window.setTimeout(flush, pauseMs);
  };
  void refresh(everything, update);
  const events = new EventSource('/api/v1/events');
  events.onmessage = (event) => {
    try {
      const { kind } = JSON.parse(event.data as string) as { kind: string };
      if (kind in paths) want(kind as keyof MeshData);
    } catch {
      for (const part of everything) want(part);
    }
  };
  const poll = window.setInterval(() => {
    for (const part of everything) want(part);
  }, pollMs);
  return () => {
    events.close();
    window.clearInterval(poll);
    window.clearTimeout(timer);
  };
}
