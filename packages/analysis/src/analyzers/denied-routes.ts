import {
  type AuthorizationOperation,
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  type HttpMatchRequest,
  type HttpRoute,
  type Resource,
  refOf,
  refText,
  SelectorIndex,
} from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import type { KubernetesWorkload } from '../kubernetes.ts';

/** Routes whose every request the destination's own policies refuse, whoever calls. False where it cannot be told. */
export const deniedRoutes: Analyzer = {
  name: 'rig.DeniedRoutes',
  codes: ['RIG0106'],
  ofFiles: true,
  run(context) {
    const policies = context.ofKind('AuthorizationPolicy').filter(({ spec }) => spec.targetRef === undefined && (spec.targetRefs ?? []).length === 0);
    if (policies.length === 0) return;
    const ownPolicies = policiesOf(context, policies);
    const workloads = new Map<string, readonly KubernetesWorkload[]>();
    for (const resource of context.ofKind('VirtualService')) {
      for (const [index, rule] of (resource.spec.http ?? []).entries()) {
        const requests = requestsOf(rule);
        if (requests.length === 0) continue;
        for (const [at, { destination }] of (rule.route ?? []).entries()) {
          const host = context.fullHost(destination?.host ?? '', resource.metadata.namespace);
          const behind = workloads.get(host) ?? workloadsOf(context, host);
          workloads.set(host, behind);
          const refusals = behind.flatMap((workload) => requests.map((request) => refusalOf(ownPolicies(workload), request)));
          if (refusals.length === 0 || refusals.includes(undefined)) continue;
          context.report(resource, `spec.http[${index}].route[${at}]`, 'RIG0106', destination?.host ?? '', [...new Set(refusals)].join(' and '));
        }
      }
    }
  },
};

/** What a rule's requests have in common when they arrive; a prefix stands for all that begins with it. */
interface Arriving {
  readonly path: { readonly text: string; readonly exact: boolean };
  /** '' : any. */
  readonly method: string;
}

/** None: it cannot be told which paths arrive. */
function requestsOf({ match, rewrite }: HttpRoute): readonly Arriving[] {
  if (rewrite?.uri !== undefined || rewrite?.uriRegexRewrite !== undefined || match === undefined || match.length === 0) return [];
  const requests = match.map(arrivingOf);
  return requests.includes(undefined) ? [] : (requests as Arriving[]);
}

function arrivingOf({ uri, method, ignoreUriCase }: HttpMatchRequest): Arriving | undefined {
  if (ignoreUriCase === true || uri?.regex !== undefined) return undefined;
  const path = uri?.exact !== undefined ? { text: uri.exact, exact: true } : { text: uri?.prefix ?? '/', exact: false };
  return { path, method: method?.exact ?? '' };
}

function workloadsOf(context: Context, host: string): readonly KubernetesWorkload[] {
  const selector = context.selectorOf(host);
  if (selector === undefined || Object.keys(selector.labels).length === 0) return [];
  return context.workloadsWith(selector);
}

type Policy = Resource<AuthorizationPolicySpec>;

/** The policies of a workload: of its namespace and of the mesh, those that select it. */
function policiesOf({ rootNamespace }: Context, policies: readonly Policy[]): (workload: KubernetesWorkload) => readonly Policy[] {
  const index = new SelectorIndex<Policy>(({ metadata: { namespace }, spec }) => ({ namespace, labels: spec.selector?.matchLabels ?? {} }));
  for (const policy of policies) index.put(policy);
  const known = new Map<KubernetesWorkload, readonly Policy[]>();
  return (workload) => {
    const own =
      known.get(workload) ?? [...new Set([workload.namespace, rootNamespace])].flatMap((namespace) => index.selecting({ namespace, labels: workload.labels }));
    known.set(workload, own);
    return own;
  };
}

/** Which policies refuse a request, in words; undefined: none does for sure. */
function refusalOf(own: readonly Policy[], request: Arriving): string | undefined {
  // A CUSTOM one asks somebody else.
  const denying = own.find(({ spec }) => spec.action === 'DENY' && (spec.rules ?? []).some((rule) => coversAll(rule, request)));
  if (denying !== undefined) return `${refText(refOf(denying))} denies it to everybody`;
  const allowing = own.filter(({ spec }) => (spec.action ?? 'ALLOW') === 'ALLOW');
  if (allowing.length === 0 || allowing.some(({ spec }) => (spec.rules ?? []).some((rule) => mayMatch(rule, request)))) return undefined;
  return `${allowing.map((policy) => refText(refOf(policy))).join(', ')} ${allowing.length === 1 ? 'allows' : 'allow'} other requests alone`;
}

/** Whether a rule matches every such request, whoever makes it. */
function coversAll({ from, to, when }: AuthorizationRule, request: Arriving): boolean {
  if ((from ?? []).length > 0 || (when ?? []).length > 0) return false;
  return (to ?? []).length === 0 || (to ?? []).some(({ operation }) => operation !== undefined && operationCovers(operation, request));
}

function operationCovers(operation: AuthorizationOperation, { path, method }: Arriving): boolean {
  const { paths = [], methods = [], hosts = [], ports = [], notHosts = [], notPorts = [], notMethods = [], notPaths = [] } = operation;
  if ([hosts, ports, notHosts, notPorts, notMethods, notPaths].some((list) => list.length > 0)) return false;
  const everyPath = paths.length === 0 || paths.some((pattern) => coversPath(pattern, path));
  return everyPath && (methods.length === 0 || methods.includes('*') || (method !== '' && methods.includes(method)));
}

function coversPath(pattern: string, { text, exact }: Arriving['path']): boolean {
  if (pattern.includes('{')) return false;
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1));
  return exact && (pattern.startsWith('*') ? text.endsWith(pattern.slice(1)) : pattern === text);
}

/** Whether a rule may match one of such requests of somebody. */
function mayMatch({ to }: AuthorizationRule, request: Arriving): boolean {
  return (to ?? []).length === 0 || (to ?? []).some(({ operation }) => operationMayMatch(operation ?? {}, request));
}

function operationMayMatch({ paths = [], methods = [], notPaths = [], notMethods = [] }: AuthorizationOperation, { path, method }: Arriving): boolean {
  if (paths.length > 0 && !paths.some((pattern) => meetsPath(pattern, path))) return false;
  if (notPaths.some((pattern) => coversPath(pattern, path))) return false;
  if (method !== '' && notMethods.includes(method)) return false;
  return methods.length === 0 || method === '' || methods.includes('*') || methods.includes(method);
}

/** Whether a path exists that both stand for. */
function meetsPath(pattern: string, { text, exact }: Arriving['path']): boolean {
  if (pattern.includes('{') || pattern === '*') return true;
  if (pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return text.startsWith(prefix) || (!exact && prefix.startsWith(text));
  }
  if (pattern.startsWith('*')) return !exact || text.endsWith(pattern.slice(1));
  return exact ? pattern === text : pattern.startsWith(text);
}
