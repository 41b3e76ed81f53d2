import {
  type AuthorizationPolicySpec,
  GATEWAY_API,
  isKind,
  type Json,
  matchesLabels,
  ofKind,
  type Resource,
  type ResourceRef,
  refOf,
} from '@outrigger/resources';

/** Something that is asked of a mesh's gateway and is an API gateway's to do. */
export interface ApiGatewayNeed {
  readonly resource: ResourceRef;
  /** "quotas for each customer" */
  readonly need: string;
  /** What of the resource asks for it. */
  readonly by: string;
}

/** Names by which clients send a key. */
const KEY_HEADER = /^(x-)?(api-?key|app-?key|client-?id|client-?secret|subscription-key|consumer(-id)?)$/i;
const RATE_LIMIT = /rate_?limit/i;
const SCRIPT = /\b(lua|wasm|transform|json_to_metadata|grpc_json)/i;

const KEYS = 'keys of customers';
const QUOTAS = 'quotas for each customer';
const TRANSFORMATION = 'transformations of requests';

/** Which resources try to make an API gateway of a gateway of the mesh. */
export function apiGatewayNeeds(resources: readonly Resource[]): readonly ApiGatewayNeed[] {
  const selectors = ofKind(resources, 'Gateway')
    .map(({ spec }) => spec.selector ?? {})
    .filter((selector) => Object.keys(selector).length > 0);
  const selectsGateway = (labels: unknown): boolean =>
    typeof labels === 'object' &&
    labels !== null &&
    Object.keys(labels).length > 0 &&
    selectors.some((selector) => matchesLabels(labels as Record<string, string>, selector));
  return resources.flatMap((resource) => needsOf(resource, selectsGateway).map(([need, by]) => ({ resource: refOf(resource), need, by })));
}

function needsOf(resource: Resource, selectsGateway: (labels: unknown) => boolean): readonly (readonly [string, string])[] {
  const spec = resource.spec as Readonly<Record<string, Json | undefined>>;
  const atGateway = selectsGateway(at(spec, 'workloadSelector', 'labels')) || selectsGateway(at(spec, 'selector', 'matchLabels')) || targetsGateway(spec);
  switch (resource.kind) {
    case 'EnvoyFilter': {
      const text = JSON.stringify(spec);
      if (!atGateway && !text.includes('"GATEWAY"')) return [];
      return [
        ...(RATE_LIMIT.test(text) ? [[QUOTAS, 'it limits requests at a gateway'] as const] : []),
        ...(SCRIPT.test(text) ? [[TRANSFORMATION, 'it runs a script at a gateway'] as const] : []),
      ];
    }
    case 'WasmPlugin':
    case 'TrafficExtension':
      return atGateway ? [[TRANSFORMATION, 'it runs code at a gateway']] : [];
    case 'RequestAuthentication':
      return atGateway ? [[KEYS, 'it checks tokens of clients at a gateway']] : [];
  }
  if (isKind(resource, 'AuthorizationPolicy')) return atGateway ? keysOfPolicy(resource.spec) : [];
  const headers = matchedHeaders(resource).filter((name) => KEY_HEADER.test(name));
  return headers.length === 0 ? [] : [[KEYS, `it routes by the header ${headers[0]}`]];
}

function keysOfPolicy({ rules = [] }: AuthorizationPolicySpec): readonly (readonly [string, string])[] {
  const compared = rules.flatMap(({ when = [] }) => when.map(({ key }) => /^request\.headers\[(.+)\]$/.exec(key)?.[1] ?? ''));
  const header = compared.find((name) => KEY_HEADER.test(name) || name.toLowerCase() === 'authorization');
  return header === undefined ? [] : [[KEYS, `it compares the header ${header}`]];
}

/** Of routes at gateways. */
function matchedHeaders(resource: Resource): readonly string[] {
  if (isKind(resource, 'VirtualService')) {
    const { gateways = [], http = [] } = resource.spec;
    if (gateways.every((name) => name === 'mesh')) return [];
    return http.flatMap(({ match = [] }) => match.flatMap(({ headers = {} }) => Object.keys(headers)));
  }
  if (isKind(resource, 'HTTPRoute')) {
    const { parentRefs = [], rules = [] } = resource.spec;
    if (parentRefs.every(({ kind }) => kind === 'Service')) return [];
    return rules.flatMap(({ matches = [] }) => matches.flatMap(({ headers = [] }) => headers.map(({ name }) => name)));
  }
  return [];
}

function targetsGateway(spec: Readonly<Record<string, Json | undefined>>): boolean {
  const targets = [spec['targetRef'], ...(Array.isArray(spec['targetRefs']) ? (spec['targetRefs'] as readonly Json[]) : [])];
  return targets.some((target) => at(target, 'group') === GATEWAY_API && (at(target, 'kind') === 'Gateway' || at(target, 'kind') === 'GatewayClass'));
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, name) => (typeof found === 'object' && found !== null ? (found as Record<string, unknown>)[name] : undefined), value);
}
