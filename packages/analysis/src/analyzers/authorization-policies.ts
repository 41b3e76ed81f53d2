import { type AuthorizationPolicySpec, matchesLabels, type Resource } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { isPodAmbient, isPodInMesh } from '../injection.ts';
import { selectorText } from '../selector-text.ts';

/** AuthorizationPolicies that hold for nobody, and the namespaces they name that are not there. */
export const authorizationPolicies: Analyzer = {
  name: 'authz.AuthorizationPoliciesAnalyzer',
  codes: ['IST0101', 'IST0127'],
  ofFiles: true,
  run(context) {
    for (const resource of context.ofKind('AuthorizationPolicy')) {
      reportNoWorkloads(context, resource);
      reportUnknownNamespaces(context, resource);
    }
  },
};

function reportNoWorkloads(context: Context, resource: Resource<AuthorizationPolicySpec>): void {
  const { spec, metadata } = resource;
  if (!context.knowsWorkloads || spec.targetRef !== undefined || (spec.targetRefs ?? []).length > 0) return;
  const forMesh = metadata.namespace === context.rootNamespace;
  if (forMesh && spec.selector === undefined) return;
  const selector = spec.selector?.matchLabels ?? {};
  const fits = ({ namespace, labels }: { namespace: string; labels: Readonly<Record<string, string>> }): boolean =>
    (forMesh || namespace === metadata.namespace) && matchesLabels(selector, labels);
  const selected = context.instances.some(fits) || context.pods.some((pod) => fits(pod) && (isPodInMesh(context, pod.document) || isPodAmbient(context, pod)));
  if (!selected) context.report(resource, 'spec.selector', 'IST0127', selectorText(selector));
}

function reportUnknownNamespaces(context: Context, resource: Resource<AuthorizationPolicySpec>): void {
  const known = context.otherOfKind('Namespace').map(({ name }) => name);
  // Off Kubernetes a namespace is there as soon as somebody is in it.
  if (known.length === 0 && !context.knowsWorkloads) return;
  known.push(...context.instances.map(({ namespace }) => namespace));
  for (const [rule, { from }] of (resource.spec.rules ?? []).entries()) {
    for (const [index, { source }] of (from ?? []).entries()) {
      for (const name of ['namespaces', 'notNamespaces'] as const) {
        for (const [number, pattern] of (source?.[name] ?? []).entries()) {
          if (!known.some((namespace) => matches(pattern, namespace)))
            context.report(resource, `spec.rules[${rule}].from[${index}].source.${name}[${number}]`, 'IST0101', 'namespace', pattern);
        }
      }
    }
  }
}

/** "*" any, "a*" a beginning, "*a" an end, else the name. */
function matches(pattern: string, namespace: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*')) return namespace.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return namespace.startsWith(pattern.slice(0, -1));
  return pattern.toLowerCase() === namespace.toLowerCase();
}
