import type { HeaderMutation as HeaderMutationConfig } from '@outrigger/xds/protos/envoy/config/common/mutation_rules/v3/mutation_rules';
import {
  HeaderMutationPerRouteSchema,
  HeaderMutationSchema,
  type Mutations,
  MutationsSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import type { ResponseHead } from '../http/message.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileHeaderOption, type HeaderMutation, HeaderMutations, NO_MUTATIONS, removal } from '../routing/header-mutations.ts';
import { checkFields, fieldPolicy, unpack } from '../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from './http-filter.ts';

export function compileMutationList(configs: readonly HeaderMutationConfig[], path: string, report: CompileReport): HeaderMutations {
  const steps: HeaderMutation[] = [];
  configs.forEach((config, index) => {
    const at = `${path}[${index}]`;
    const action = config.action;
    if (action.case === 'remove') steps.push(removal(action.value, `${at}.remove`, report));
    else if (action.case === 'append') {
      const step = compileHeaderOption(action.value, `${at}.append`, report);
      if (step !== null) steps.push(step);
    } else report.error(at, 'needs one of remove, append');
  });
  return steps.length === 0 ? NO_MUTATIONS : new HeaderMutations(steps.map((step) => [step]));
}

const FILTER = fieldPolicy('mutations most_specific_header_mutations_wins');
const PER_ROUTE = fieldPolicy('mutations');
const MUTATIONS = fieldPolicy('request_mutations response_mutations');

/** envoy.extensions.filters.http.header_mutation.v3.Mutations, of the filter or of a route. */
export class MutationSet {
  readonly request: HeaderMutations;
  readonly response: HeaderMutations;

  constructor(request: HeaderMutations, response: HeaderMutations) {
    this.request = request;
    this.response = response;
  }
}

export function compileMutations(config: Mutations | undefined, path: string, report: CompileReport): MutationSet {
  if (config !== undefined) checkFields(MutationsSchema, config, MUTATIONS, path, report);
  return new MutationSet(
    compileMutationList(config?.requestMutations ?? [], `${path}.request_mutations`, report),
    compileMutationList(config?.responseMutations ?? [], `${path}.response_mutations`, report),
  );
}

/** envoy.filters.http.header_mutation: its own mutations, then those of the levels, the least specific last unless the most specific is to win. */
class HeaderMutationFilter implements HttpFilter {
  readonly name: string;
  readonly #sets: readonly MutationSet[];
  readonly #mostSpecificWins: boolean;

  constructor(name: string, sets: readonly MutationSet[], mostSpecificWins: boolean) {
    this.name = name;
    this.#sets = sets;
    this.#mostSpecificWins = mostSpecificWins;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.filter((setting) => setting instanceof MutationSet);
    if (own.length === 0) return this;
    return new HeaderMutationFilter(this.name, [...this.#sets, ...(this.#mostSpecificWins ? own.reverse() : own)], this.#mostSpecificWins);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    for (let i = 0; i < this.#sets.length; i++) this.#sets[i]!.request.apply(stream.head.headers, stream);
    return PASS;
  }

  onResponse(stream: FilteredStream, head: ResponseHead): void {
    for (let i = 0; i < this.#sets.length; i++) this.#sets[i]!.response.apply(head.headers, stream);
  }
}

export const headerMutationType: HttpFilterType = {
  typeName: HeaderMutationSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, HeaderMutationSchema, path, report);
    if (config === undefined) return null;
    checkFields(HeaderMutationSchema, config, FILTER, path, report);
    return new HeaderMutationFilter(name, [compileMutations(config.mutations, `${path}.mutations`, report)], config.mostSpecificHeaderMutationsWins);
  },
  settings: {
    [HeaderMutationPerRouteSchema.typeName](any, path, report) {
      const config = unpack(any, HeaderMutationPerRouteSchema, path, report);
      if (config === undefined) return null;
      checkFields(HeaderMutationPerRouteSchema, config, PER_ROUTE, path, report);
      return compileMutations(config.mutations, `${path}.mutations`, report);
    },
  },
};
