import { type RBAC, RBAC_Action } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { type RBAC as HttpRbac, RBACSchema as HttpRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import { type RBAC as NetworkRbac, RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import type { RequestHead } from '../../http/message.ts';
import { CompileReport, type CompileResult } from '../../routing/compile-result.ts';
import { checkFields, fieldPolicy } from '../../xds/fields.ts';
import { compilePermission, compilePrincipal } from './compile-rules.ts';
import { AllOf, AnyOf, type ConnectionFacts, type DynamicMetadata, type Rule } from './rule.ts';

export type RbacAction = 'allow' | 'deny' | 'log';

interface CompiledPolicy {
  readonly name: string;
  readonly rule: Rule;
}

/** One envoy.config.rbac.v3.RBAC. Policies are tried by name, as Envoy orders them. */
export class RbacRules {
  readonly action: RbacAction;
  readonly #policies: readonly CompiledPolicy[];

  constructor(action: RbacAction, policies: readonly CompiledPolicy[]) {
    this.action = action;
    this.#policies = policies;
  }

  /** Name of the first policy that matches, or ''. */
  matchingPolicy(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): string {
    const policies = this.#policies;
    for (let i = 0; i < policies.length; i++) {
      if (policies[i]!.rule.matches(connection, head, metadata)) return policies[i]!.name;
    }
    return '';
  }
}

export interface RbacVerdict {
  readonly allowed: boolean;
  /** The policy that decided, or '' where none matched. */
  readonly policy: string;
}

const ALLOWED_BY_DEFAULT: RbacVerdict = { allowed: true, policy: '' };
const DENIED_BY_DEFAULT: RbacVerdict = { allowed: false, policy: '' };

/** An RBAC filter: rules that decide, and shadow rules that only tell. */
export class RbacFilter {
  /** null: everything is allowed. */
  readonly rules: RbacRules | null;
  readonly shadowRules: RbacRules | null;

  constructor(rules: RbacRules | null, shadowRules: RbacRules | null) {
    this.rules = rules;
    this.shadowRules = shadowRules;
  }

  /** `head` is null for TCP. The answer to a refusal is 403 "RBAC: access denied" (details `rbac_access_denied_matched_policy[NAME]`). */
  decide(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata = null): RbacVerdict {
    return this.rules === null ? ALLOWED_BY_DEFAULT : decide(this.rules, connection, head, metadata);
  }

  /** What the shadow rules would have said; null: there are none. */
  decideShadow(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata = null): RbacVerdict | null {
    return this.shadowRules === null ? null : decide(this.shadowRules, connection, head, metadata);
  }
}

function decide(rules: RbacRules, connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): RbacVerdict {
  const policy = rules.matchingPolicy(connection, head, metadata);
  if (policy === '') return rules.action === 'allow' ? DENIED_BY_DEFAULT : ALLOWED_BY_DEFAULT;
  return { allowed: rules.action !== 'deny', policy };
}

/** %RESPONSE_CODE_DETAILS% of a refusal. */
export function denialDetails(verdict: RbacVerdict): string {
  return `rbac_access_denied_matched_policy[${verdict.policy === '' ? 'none' : verdict.policy}]`;
}

export const ALLOW_EVERYTHING = new RbacFilter(null, null);

const ACTIONS: Readonly<Record<RBAC_Action, RbacAction>> = { [RBAC_Action.ALLOW]: 'allow', [RBAC_Action.DENY]: 'deny', [RBAC_Action.LOG]: 'log' };

export function compileRbacRules(config: RBAC, path: string, report: CompileReport): RbacRules {
  const action = ACTIONS[config.action];
  if (action === undefined) report.error(`${path}.action`, `${config.action} is not known here`);
  if (config.auditLoggingOptions !== undefined) report.ignore(`${path}.audit_logging_options`);
  const policies = Object.entries(config.policies)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, policy]): CompiledPolicy => {
      const at = `${path}.policies[${JSON.stringify(name)}]`;
      if (policy.condition !== undefined || policy.checkedCondition !== undefined) report.error(`${at}.condition`, 'CEL conditions are not supported');
      if (policy.permissions.length === 0) report.error(`${at}.permissions`, 'must not be empty');
      if (policy.principals.length === 0) report.error(`${at}.principals`, 'must not be empty');
      const permissions = policy.permissions.map((permission, i) => compilePermission(permission, `${at}.permissions[${i}]`, report));
      const principals = policy.principals.map((principal, i) => compilePrincipal(principal, `${at}.principals[${i}]`, report));
      return { name, rule: new AllOf([new AnyOf(permissions), new AnyOf(principals)]) };
    });
  return new RbacRules(action ?? 'deny', policies);
}

/** What the HTTP and the network filter have in common; also RBACPerRoute's inner message. */
export interface RbacFilterConfig {
  readonly rules?: RBAC | undefined;
  readonly shadowRules?: RBAC | undefined;
  /** Rules as a matcher tree. */
  readonly matcher?: unknown;
  readonly shadowMatcher?: unknown;
}

function compileRbacInto(config: RbacFilterConfig, path: string, report: CompileReport): RbacFilter {
  if (config.matcher !== undefined) report.error(`${path}.matcher`, 'is not supported');
  if (config.shadowMatcher !== undefined) report.ignore(`${path}.shadow_matcher`);
  // Told by `rig simulate`; the running proxy does not say what they would have done.
  if (config.shadowRules !== undefined) report.ignore(`${path}.shadow_rules`);
  return new RbacFilter(
    config.rules === undefined ? null : compileRbacRules(config.rules, `${path}.rules`, report),
    config.shadowRules === undefined ? null : compileRbacRules(config.shadowRules, `${path}.shadow_rules`, report),
  );
}

const HTTP = fieldPolicy('rules matcher shadow_rules shadow_matcher', 'rules_stat_prefix shadow_rules_stat_prefix track_per_rule_stats');
// With facts of the connection alone, each decision is the same at any time.
const NETWORK = fieldPolicy('rules matcher shadow_rules shadow_matcher stat_prefix', 'shadow_rules_stat_prefix enforcement_type');

export function compileHttpRbac(config: HttpRbac, path: string, report: CompileReport): RbacFilter {
  checkFields(HttpRbacSchema, config, HTTP, path, report);
  return compileRbacInto(config, path, report);
}

export function compileNetworkRbac(config: NetworkRbac, path: string, report: CompileReport): RbacFilter {
  checkFields(NetworkRbacSchema, config, NETWORK, path, report);
  return compileRbacInto(config, path, report);
}

/** envoy.extensions.filters.http.rbac.v3.RBAC or envoy.extensions.filters.network.rbac.v3.RBAC. */
export function compileRbac(config: RbacFilterConfig, path = 'rbac'): CompileResult<RbacFilter> {
  const report = new CompileReport();
  return report.result(compileRbacInto(config, path, report));
}
