import { create } from '@bufbuild/protobuf';
import { matchesLabels } from '@outrigger/resources';
import type { FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { type RBAC, RBAC_Action, RBACSchema } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { RBACSchema as HttpRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import type { HttpFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { targetsNode } from '../gateways/api/targets.ts';
import type { AuthorizationPolicy } from '../mesh.ts';
import { filter, type Init } from '../messages.ts';
import { type InboundPort, NO_PORT } from '../node.ts';
import type { Reader } from '../reader.ts';
import { matchesNothing, type RuleContext, rulePolicy } from './rbac.ts';

const HTTP_RBAC = 'envoy.filters.http.rbac';
const NETWORK_RBAC = 'envoy.filters.network.rbac';
const DRY_RUN = 'istio.io/dry-run';

/** Filters of one action: what is enforced, and what is only tried (dry run). */
export interface ActionRules {
  readonly rules: RBAC | undefined;
  readonly shadowRules: RBAC | undefined;
  readonly shadowPrefix: string;
}

export interface AuthorizationInput {
  readonly policies: readonly AuthorizationPolicy[];
  readonly tcp: boolean;
  readonly trustDomains: readonly string[];
  readonly portSeen: (port: number) => number | undefined;
  readonly onProblem: (policy: AuthorizationPolicy, field: string, message: string) => void;
}

const ORDER = [
  { name: 'CUSTOM', rbac: RBAC_Action.DENY, as: 'DENY' },
  { name: 'AUDIT', rbac: RBAC_Action.LOG, as: 'AUDIT' },
  { name: 'DENY', rbac: RBAC_Action.DENY, as: 'DENY' },
  { name: 'ALLOW', rbac: RBAC_Action.ALLOW, as: 'ALLOW' },
] as const;

/** Envoy's RBAC for the policies of one workload, in the order in which they are asked: CUSTOM, AUDIT, DENY, ALLOW. */
export function authorizationRules(input: AuthorizationInput): readonly ActionRules[] {
  const found: ActionRules[] = [];
  for (const action of ORDER) {
    const enforced: Record<string, NonNullable<ReturnType<typeof rulePolicy>>> = {};
    const tried: typeof enforced = {};
    let enforces = false;
    let tries = false;
    for (const policy of input.policies) {
      if ((policy.spec.action ?? 'ALLOW') !== action.name) continue;
      if (action.name === 'CUSTOM') input.onProblem(policy, 'spec.provider', 'no extension provider is configured: what the rules match is denied');
      const { namespace, name, annotations } = policy.metadata;
      const dryRun = annotations[DRY_RUN] === 'true';
      if (dryRun) tries = true;
      else enforces = true;
      const target = dryRun ? tried : enforced;
      const title = `ns[${namespace}]-policy[${name}]${action.name === 'CUSTOM' ? '-deny-for-want-of-provider' : ''}`;
      if (policy.spec.rules === undefined || policy.spec.rules.length === 0) {
        target[`${title}-rule[0]`] = matchesNothing;
        continue;
      }
      const context: RuleContext = { ...input, action: action.as, namespace, onProblem: (field, message) => input.onProblem(policy, field, message) };
      for (const [index, rule] of policy.spec.rules.entries()) {
        const made = rulePolicy(rule ?? {}, `spec.rules[${index}]`, context);
        if (made !== undefined) target[`${title}-rule[${index}]`] = made;
      }
    }
    if (!enforces && !tries) continue;
    found.push({
      // ALLOW with no policy left still denies: there was one, and it allows nothing of this.
      rules: enforces ? create(RBACSchema, { action: action.rbac, policies: enforced }) : undefined,
      shadowRules: tries ? create(RBACSchema, { action: action.rbac, policies: tried }) : undefined,
      shadowPrefix: `istio_dry_run_${action.as.toLowerCase()}_`,
    });
  }
  return found;
}

/** The port that a policy names, and the one on which its connections come in. */
type PolicyPort = Pick<InboundPort, 'application' | 'mesh'>;

/** Policies that select the node: of the root namespace and of its own, those with a matching selector or none. */
function policiesFor(reader: Reader): readonly AuthorizationPolicy[] {
  const { node, settings } = reader;
  return [...new Set([settings.rootNamespace, node.namespace])].flatMap((namespace) =>
    reader.authorizationPolicies(namespace).filter((policy) => {
      const targets = [...(policy.spec.targetRef === undefined ? [] : [policy.spec.targetRef]), ...(policy.spec.targetRefs ?? [])];
      if (targets.length > 0 && node.gateway !== undefined) return targetsNode(reader, policy.metadata.namespace, targets);
      if (targets.length > 0) {
        reader.ignored(policy, 'spec.targetRefs', 'policies with targetRefs are for gateways and waypoints, not for sidecars');
        return false;
      }
      return matchesLabels(policy.spec.selector?.matchLabels, node.labels);
    }),
  );
}

function rulesFor(reader: Reader, port: PolicyPort, tcp: boolean): readonly ActionRules[] {
  const policies = policiesFor(reader);
  for (const policy of policies) reader.uses(policy);
  return authorizationRules({
    policies,
    tcp,
    trustDomains: [reader.settings.trustDomain, ...reader.settings.trustDomainAliases],
    // A policy means the workload's own port; the connection comes in on the sidecar's. What no service has is seen as it was dialled.
    portSeen: (named) => (port.application.port === NO_PORT ? named : named === port.application.port ? port.mesh.port : undefined),
    onProblem: (policy, field, message) => reader.differs(policy, field, message),
  });
}

export function httpAuthorization(reader: Reader, port: PolicyPort): Init<typeof HttpFilterSchema>[] {
  return rulesFor(reader, port, false).map(({ rules, shadowRules, shadowPrefix }) =>
    filter(HTTP_RBAC, HttpRbacSchema, {
      ...(rules === undefined ? {} : { rules }),
      ...(shadowRules === undefined ? {} : { shadowRules, shadowRulesStatPrefix: shadowPrefix }),
    }),
  );
}

export function tcpAuthorization(reader: Reader, port: PolicyPort): Init<typeof FilterSchema>[] {
  return rulesFor(reader, port, true).map(({ rules, shadowRules, shadowPrefix }) =>
    filter(NETWORK_RBAC, NetworkRbacSchema, {
      statPrefix: 'tcp.',
      ...(rules === undefined ? {} : { rules }),
      ...(shadowRules === undefined ? {} : { shadowRules, shadowRulesStatPrefix: shadowPrefix }),
    }),
  );
}
