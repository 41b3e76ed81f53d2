import type { Context } from './context.ts';
import type { KubernetesWorkload } from './kubernetes.ts';

/** One service calls another, as far as somebody has written it down. */
export interface KnownCall {
  /** Full host of a Service of Kubernetes. */
  readonly caller: string;
  readonly callee: string;
}

/**
 * Who calls whom: by the hosts that Sidecars name, the identities that AuthorizationPolicies let in, and the callers that VirtualServices tell
 * apart. What nobody has written is not guessed.
 */
export function knownCalls(context: Context): readonly KnownCall[] {
  return context.once(CALLS, () => findCalls(context));
}

const CALLS = Symbol('known calls');

function findCalls(context: Context): readonly KnownCall[] {
  const calls = new Map<string, KnownCall>();
  const add = (callers: Iterable<string>, callees: Iterable<string>): void => {
    for (const caller of callers) for (const callee of callees) if (caller !== callee) calls.set(`${caller} ${callee}`, { caller, callee });
  };
  addSidecars(context, add);
  addPolicies(context, add);
  addSources(context, add);
  return [...calls.values()];
}

type Add = (callers: Iterable<string>, callees: Iterable<string>) => void;

function addSidecars(context: Context, add: Add): void {
  for (const { metadata, spec } of context.ofKind('Sidecar')) {
    const labels = spec.workloadSelector?.labels;
    // One for a whole namespace says what anybody there may call, not what each does.
    if (labels === undefined || Object.keys(labels).length === 0) continue;
    const named = (spec.egress ?? []).flatMap(({ hosts }) => hosts ?? []).map((host) => host.slice(host.indexOf('/') + 1));
    const callees = named.filter((host) => !host.includes('*')).map((host) => context.fullHost(host, metadata.namespace));
    if (callees.length > 0) add(hostsOf(context, context.workloadsWith({ namespace: metadata.namespace, labels })), callees);
  }
}

function addPolicies(context: Context, add: Add): void {
  const ofAccount = Map.groupBy([...context.workloads.values()].flat(), ({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`);
  for (const { metadata, spec } of context.ofKind('AuthorizationPolicy')) {
    if ((spec.action ?? 'ALLOW') !== 'ALLOW' || spec.targetRef !== undefined || (spec.targetRefs ?? []).length > 0) continue;
    const sources = (spec.rules ?? []).flatMap(({ from }) => (from ?? []).map(({ source }) => source));
    const accounts = sources.flatMap((source) => [
      ...(source?.principals ?? []).flatMap((principal) => {
        const named = /^[^*/]+\/ns\/([^*/]+)\/sa\/([^*/]+)$/.exec(principal);
        return named === null ? [] : [{ namespace: named[1]!, name: named[2]! }];
      }),
      ...(source?.serviceAccounts ?? []).map((account) => {
        const [name = '', namespace = metadata.namespace] = account.split('/').reverse();
        return { namespace, name };
      }),
    ]);
    if (accounts.length === 0) continue;
    const callees = hostsOf(context, context.workloadsWith({ namespace: metadata.namespace, labels: spec.selector?.matchLabels ?? {} }));
    for (const { namespace, name } of accounts) add(hostsOf(context, ofAccount.get(`${namespace}/${name}`) ?? []), callees);
  }
}

function addSources(context: Context, add: Add): void {
  for (const { metadata, spec } of context.ofKind('VirtualService')) {
    const callees = (spec.hosts ?? []).filter((host) => !host.includes('*')).map((host) => context.fullHost(host, metadata.namespace));
    for (const { match } of spec.http ?? []) {
      for (const { sourceLabels, sourceNamespace } of match ?? []) {
        if (sourceLabels === undefined || Object.keys(sourceLabels).length === 0) continue;
        const namespaces = sourceNamespace === undefined ? [...context.workloads.keys()] : [sourceNamespace];
        for (const namespace of namespaces) add(hostsOf(context, context.workloadsWith({ namespace, labels: sourceLabels })), callees);
      }
    }
  }
}

/** Hosts of the services that workloads are behind. */
function hostsOf(context: Context, workloads: readonly KubernetesWorkload[]): ReadonlySet<string> {
  return new Set(workloads.flatMap((workload) => context.hostsOf(workload)));
}
