import type { AuthorizationCondition, AuthorizationPolicySpec, AuthorizationRule } from '../kinds/security.ts';
import type { PolicyTargetReference } from '../kinds/shared.ts';
import type { Resource } from '../resource.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkSelector } from './checks.ts';
import { addressFault, attributeFault, attributeValueFault, pathFault, portFault, serviceAccountFault, trustDomainFault } from './policy-values.ts';

const dryRun = 'istio.io/dry-run';
/** What an external authorizer's rules cannot go by: it is asked before the peer or the token is looked at. */
const identityFields = [
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
];
const identityAttributes: ReadonlySet<string> = new Set(['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal']);

/** What is wrong with an AuthorizationPolicy that its schema accepts. */
export function authorizationPolicyErrors({ spec, metadata }: Resource<AuthorizationPolicySpec>): readonly FieldError[] {
  const errors: FieldError[] = [];
  const { action = 'ALLOW', rules, provider } = spec;
  checkSelector(spec.selector?.matchLabels, 'spec.selector.matchLabels', errors);
  checkTarget(spec.targetRef, 'spec.targetRef', errors);
  for (const [index, target] of (spec.targetRefs ?? []).entries()) checkTarget(target, `spec.targetRefs[${index}]`, errors);
  checkDryRun(metadata.annotations[dryRun], action, errors);
  if ((rules ?? []).length === 0 && (action === 'CUSTOM' || action === 'DENY'))
    errors.push(required('spec.rules', `${action} without rules is never in effect; one empty rule, {}, is for every request`));
  if (action !== 'CUSTOM' && provider !== undefined) errors.push(forbidden('spec.provider', `is for the action CUSTOM, not ${action}`));
  if (action === 'CUSTOM' && (rules ?? []).length > 0 && !provider?.name) errors.push(required('spec.provider.name', 'CUSTOM needs the provider that decides'));
  for (const [index, rule] of (rules ?? []).entries()) {
    if (action === 'CUSTOM') checkCustom(rule, `spec.rules[${index}]`, errors);
    checkRule(rule, `spec.rules[${index}]`, errors);
  }
  return errors;
}

function checkTarget(target: PolicyTargetReference | undefined, path: string, errors: FieldError[]): void {
  if (target === undefined) return;
  if (target.namespace) errors.push(forbidden(`${path}.namespace`, 'a policy is for targets of its own namespace'));
  const kind = `${target.group ?? ''}/${target.kind}`;
  const allowed = [
    '/Service',
    'core/Service',
    'networking.istio.io/ServiceEntry',
    'gateway.networking.k8s.io/Gateway',
    'gateway.networking.k8s.io/GatewayClass',
  ];
  if (!allowed.includes(kind))
    errors.push(invalid(`${path}.kind`, target.kind, 'must be a Service, a ServiceEntry, or a Gateway or GatewayClass of Gateway API'));
}

function checkDryRun(value: string | undefined, action: string, errors: FieldError[]): void {
  if (value === undefined) return;
  const path = `metadata.annotations[${dryRun}]`;
  if (action !== 'ALLOW' && action !== 'DENY') errors.push(forbidden(path, `${action} cannot be tried: only ALLOW and DENY can`));
  else if (!/^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(value)) errors.push(invalid(path, value, 'must be "true" or "false"'));
}

function checkCustom(rule: AuthorizationRule, path: string, errors: FieldError[]): void {
  for (const [index, { source = {} }] of (rule.from ?? []).entries()) {
    for (const [field, values] of Object.entries(source))
      if (identityFields.includes(field) && values.length > 0)
        errors.push(forbidden(`${path}.from[${index}].source.${field}`, 'is not supported with CUSTOM action'));
  }
  for (const [index, { key }] of (rule.when ?? []).entries()) {
    if (identityAttributes.has(key) || key.startsWith('request.auth.'))
      errors.push(forbidden(`${path}.when[${index}].key`, `${key} is not supported with CUSTOM action`));
  }
}

function checkRule({ from, to, when }: AuthorizationRule, path: string, errors: FieldError[]): void {
  for (const [index, { source }] of (from ?? []).entries()) checkFields(source, `${path}.from[${index}].source`, errors);
  for (const [index, { operation }] of (to ?? []).entries()) checkFields(operation, `${path}.to[${index}].operation`, errors);
  for (const [index, condition] of (when ?? []).entries()) checkCondition(condition, `${path}.when[${index}]`, errors);
}

const valueChecks: Readonly<Record<string, (value: string) => string | undefined>> = {
  ipBlocks: addressFault,
  remoteIpBlocks: addressFault,
  serviceAccounts: serviceAccountFault,
  trustDomains: trustDomainFault,
  ports: portFault,
  paths: pathFault,
};

/** A source or an operation: lists of values, and lists of what may not be. */
function checkFields(fields: object | undefined, path: string, errors: FieldError[]): void {
  const lists = Object.entries((fields ?? {}) as Readonly<Record<string, readonly string[]>>);
  if (lists.every(([, values]) => values.length === 0)) errors.push(required(path, 'at least one field; an empty one would match nothing'));
  for (const [field, values] of lists) {
    const positive = field.startsWith('not') ? `${(field[3] ?? '').toLowerCase()}${field.slice(4)}` : field;
    const fault = valueChecks[positive];
    for (const [index, value] of values.entries()) {
      const wrong = value === '' ? 'an empty value matches nothing' : fault?.(value);
      if (wrong !== undefined) errors.push(invalid(`${path}.${field}[${index}]`, value, wrong));
    }
  }
}

function checkCondition({ key, values = [], notValues = [] }: AuthorizationCondition, path: string, errors: FieldError[]): void {
  if (key === '') errors.push(required(`${path}.key`, 'the attribute that is looked at'));
  else if (values.length === 0 && notValues.length === 0) errors.push(required(`${path}.values`, 'at least one of values or notValues'));
  else {
    const fault = attributeFault(key);
    if (fault !== undefined) errors.push(invalid(`${path}.key`, key, fault));
    for (const [field, list] of Object.entries({ values, notValues })) {
      for (const [index, value] of list.entries()) {
        const wrong = value === '' ? 'an empty value matches nothing' : attributeValueFault(key, value);
        if (wrong !== undefined) errors.push(invalid(`${path}.${field}[${index}]`, value, wrong));
      }
    }
  }
}
