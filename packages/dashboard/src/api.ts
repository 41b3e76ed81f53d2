import type { GraphView, Problem, ProxyView, ResourceView, RolloutView, ServiceView, TopRow, VersionInfo } from '@outrigger/control-plane/api';

/** Everything that the page shows, as last fetched; undefined: not yet. */
export interface MeshData {
  version: VersionInfo | undefined;
  top: TopRow[] | undefined;
  graph: GraphView | undefined;
  services: ServiceView[] | undefined;
  proxies: ProxyView[] | undefined;
  resources: ResourceView[] | undefined;
  problems: Problem[] | undefined;
  rollouts: RolloutView[] | undefined;
}
export type Part = keyof MeshData;

export const noData: MeshData = {
  version: undefined,
  top: undefined,
  graph: undefined,
  services: undefined,
  proxies: undefined,
  resources: undefined,
  problems: undefined,
  rollouts: undefined,
};

/** Why the page has no fresh data, and what to do about it. */
export interface Fault {
  readonly kind: 'unreachable' | 'signed-out' | 'failed';
  readonly what: string;
  readonly next: string;
}

export interface Update {
  readonly data: Partial<MeshData>;
  readonly fault: Fault | undefined;
  /** What the control plane's clock is ahead of this one's. */
  readonly clockAheadMs: number;
}

/** The time that the rates and quantiles are of. */
export const windowMs = 10_000;
const paths: Record<Part, string> = {
  version: '/version',
  top: `/top?windowMs=${windowMs}`,
  graph: `/graph?windowMs=${windowMs}`,
  services: '/services',
  proxies: '/proxies',
  resources: '/resources',
  problems: '/problems',
  rollouts: '/rollouts',
};
const everything = Object.keys(paths) as Part[];
/** These change by themselves; of the others events tell. */
const moving: readonly Part[] = ['version', 'top', 'graph', 'problems'];

const answerTimeoutMs = 5_000;
/** Shortest time between two fetches. */
const pauseMs = 400;
const pollMovingMs = 2_000;
const pollEverythingMs = 6_000;

class FetchFault extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super(fault.what);
    this.fault = fault;
  }
}

async function fetchPart(part: Part): Promise<{ value: unknown; clockAheadMs: number }> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${paths[part]}`, { credentials: 'same-origin', signal: AbortSignal.timeout(answerTimeoutMs) });
  } catch {
    throw new FetchFault({
      kind: 'unreachable',
      what: 'The control plane does not answer.',
      next: 'Sidecars go on with what they know. Start it again with `npx rig up`, or the demo with `npm start`.',
    });
  }
  if (response.status === 401 || response.status === 403) {
    throw new FetchFault({
      kind: 'signed-out',
      what: 'This page is not signed in.',
      next: 'Run `npx rig dashboard` and open the address that it prints. Each address can be opened once.',
    });
  }
  if (!response.ok) {
    const { error } = (await response.json().catch(() => ({}))) as { error?: { what: string; next: string } };
    throw new FetchFault({
      kind: 'failed',
      what: `The control plane answered ${response.status} to ${paths[part]}${error === undefined ? '' : `: ${error.what}`}.`,
      next: error?.next ?? 'See the log of `rig up`.',
    });
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  // The header has whole seconds: less than that is no difference.
  const ahead = Number.isNaN(date) || Math.abs(date - Date.now()) < 2_000 ? 0 : date - Date.now();
  return { value: await response.json(), clockAheadMs: ahead };
}

async function fetchParts(parts: readonly Part[]): Promise<Update> {
  try {
    const answers = await Promise.all(parts.map(fetchPart));
    const data = Object.fromEntries(parts.map((part, index) => [part, answers[index]?.value])) as Partial<MeshData>;
    return { data, fault: undefined, clockAheadMs: answers[0]?.clockAheadMs ?? 0 };
  } catch (error) {
    const fault: Fault = error instanceof FetchFault ? error.fault : { kind: 'failed', what: String(error), next: 'Load the page again.' };
    return { data: {}, fault, clockAheadMs: 0 };
  }
}

/** Follows the mesh: server-sent events say what to fetch again, and a slow poll covers what they miss. Nothing while nobody looks. */
export function follow(onUpdate: (update: Update) => void): () => void {
  const due = new Set<Part>();
  let events: EventSource | undefined;
  let timer: number | undefined;
  let fetching = false;
  let stopped = false;

  const want = (parts: readonly Part[]): void => {
    for (const part of parts) due.add(part);
    if (due.size > 0 && !fetching && !document.hidden && !stopped) timer ??= window.setTimeout(() => void flush(), pauseMs);
  };
  const flush = async (): Promise<void> => {
    window.clearTimeout(timer);
    timer = undefined;
    const parts = [...due];
    due.clear();
    fetching = true;
    const update = await fetchParts(parts);
    fetching = false;
    if (stopped) return;
    if (update.fault === undefined) listen();
    onUpdate(update);
    // After a fault the next poll is soon enough.
    if (update.fault === undefined) want([]);
    else for (const part of parts) due.add(part);
  };
  const listen = (): void => {
    // A browser connects again by itself after a lost connection, and not after a refusal.
    if (events !== undefined && events.readyState !== EventSource.CLOSED) return;
    events = new EventSource('/api/v1/events');
    events.onmessage = ({ data }) => {
      const { kind } = JSON.parse(String(data)) as { kind: Part };
      if (kind in paths) want([kind]);
    };
  };
  const look = (): void => want(everything);

  for (const part of everything) due.add(part);
  void flush();
  const polls = [window.setInterval(() => want(moving), pollMovingMs), window.setInterval(look, pollEverythingMs)];
  document.addEventListener('visibilitychange', look);
  return () => {
    stopped = true;
    events?.close();
    for (const poll of polls) window.clearInterval(poll);
    window.clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
  };
}
