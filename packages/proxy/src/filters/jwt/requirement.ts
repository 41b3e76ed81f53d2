import { type JwtRequirement, JwtRequirementSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import type { RequestHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { checkFields, fieldPolicy } from '../../xds/fields.ts';
import type { FilterServices } from '../http-filter.ts';
import type { Provider } from './provider.ts';
import { type Failure, MISSING, type Verified, verifyTokens } from './verification.ts';

const REQUIREMENT = fieldPolicy('provider_name provider_and_audiences requires_any requires_all allow_missing_or_failed allow_missing');
const MAX_DEPTH = 32;

/** Verified tokens, none where none is needed, or why it is not met. */
export type Met = readonly Verified[] | Failure;

/** envoy.extensions.filters.http.jwt_authn.v3.JwtRequirement. */
export interface Requirement {
  check(head: RequestHead, services: FilterServices): Promise<Met>;
}

class OfProvider implements Requirement {
  readonly #provider: Provider;
  readonly #audiences: readonly string[];
  constructor(provider: Provider, audiences: readonly string[]) {
    this.#provider = provider;
    this.#audiences = audiences;
  }
  check(head: RequestHead, services: FilterServices): Promise<Met> {
    return verifyTokens(this.#provider, this.#audiences, head, services);
  }
}

class AnyOf implements Requirement {
  readonly #inner: readonly Requirement[];
  readonly #allowMissing: boolean;
  readonly #allowFailed: boolean;
  constructor(inner: readonly Requirement[], allowMissing: boolean, allowFailed: boolean) {
    this.#inner = inner;
    this.#allowMissing = allowMissing;
    this.#allowFailed = allowFailed;
  }
  async check(head: RequestHead, services: FilterServices): Promise<Met> {
    let worst: Failure = MISSING;
    for (const one of this.#inner) {
      const met = await one.check(head, services);
      if (!('kind' in met)) return met;
      if (met.kind === 'failed') worst = met;
    }
    if (this.#allowFailed || (this.#allowMissing && worst.kind === 'missing')) return [];
    return worst;
  }
}

class AllOf implements Requirement {
  readonly #inner: readonly Requirement[];
  constructor(inner: readonly Requirement[]) {
    this.#inner = inner;
  }
  async check(head: RequestHead, services: FilterServices): Promise<Met> {
    const all: Verified[] = [];
    for (const one of this.#inner) {
      const met = await one.check(head, services);
      if ('kind' in met) return met;
      all.push(...met);
    }
    return all;
  }
}

/** With `allow_missing` or `allow_missing_or_failed` alone, tokens of every provider are looked at, and a good one has its effect. */
class Permissive implements Requirement {
  readonly #providers: readonly Provider[];
  readonly #allowFailed: boolean;
  constructor(providers: readonly Provider[], allowFailed: boolean) {
    this.#providers = providers;
    this.#allowFailed = allowFailed;
  }
  async check(head: RequestHead, services: FilterServices): Promise<Met> {
    const all: Verified[] = [];
    let failure: Failure | null = null;
    for (const provider of this.#providers) {
      const met = await verifyTokens(provider, provider.audiences, head, services);
      if (!('kind' in met)) all.push(...met);
      else if (met.kind === 'failed') failure ??= met;
    }
    // A token of another issuer stands where this provider looks too.
    return failure === null || all.length > 0 || this.#allowFailed ? all : failure;
  }
}

export function compileRequirement(
  config: JwtRequirement,
  providers: ReadonlyMap<string, Provider>,
  path: string,
  report: CompileReport,
  depth = 0,
): Requirement {
  if (depth > MAX_DEPTH) report.error(path, `is nested more than ${MAX_DEPTH} deep`);
  checkFields(JwtRequirementSchema, config, REQUIREMENT, path, report);
  const needed = config.requiresType;
  const provider = (name: string, at: string): Provider | undefined => {
    const found = providers.get(name);
    if (found === undefined) report.error(at, `there is no provider ${JSON.stringify(name)}`);
    return found;
  };
  switch (needed.case) {
    case 'providerName': {
      const found = provider(needed.value, `${path}.provider_name`);
      return found === undefined ? new AllOf([]) : new OfProvider(found, found.audiences);
    }
    case 'providerAndAudiences': {
      const found = provider(needed.value.providerName, `${path}.provider_and_audiences.provider_name`);
      return found === undefined ? new AllOf([]) : new OfProvider(found, needed.value.audiences);
    }
    case 'requiresAny': {
      const { requirements } = needed.value;
      const inner = requirements.flatMap((one, i) =>
        one.requiresType.case === 'allowMissing' || one.requiresType.case === 'allowMissingOrFailed'
          ? []
          : [compileRequirement(one, providers, `${path}.requires_any.requirements[${i}]`, report, depth + 1)],
      );
      const has = (kind: 'allowMissing' | 'allowMissingOrFailed'): boolean => requirements.some(({ requiresType }) => requiresType.case === kind);
      return new AnyOf(inner, has('allowMissing'), has('allowMissingOrFailed'));
    }
    case 'requiresAll':
      return new AllOf(
        needed.value.requirements.map((one, i) => compileRequirement(one, providers, `${path}.requires_all.requirements[${i}]`, report, depth + 1)),
      );
    case 'allowMissing':
      return new Permissive([...providers.values()], false);
    case 'allowMissingOrFailed':
      return new Permissive([...providers.values()], true);
    default:
      report.error(path, 'holds no requirement');
      return new AllOf([]);
  }
}
