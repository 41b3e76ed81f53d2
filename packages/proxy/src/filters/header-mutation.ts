import type { HeaderMutation as HeaderMutationConfig } from '@outrigger/xds/protos/envoy/config/common/mutation_rules/v3/mutation_rules';
import type { Mutations } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileHeaderOption, type HeaderMutation, HeaderMutations, NO_MUTATIONS, removal } from '../routing/header-mutations.ts';

function compileList(configs: readonly HeaderMutationConfig[], path: string, report: CompileReport): HeaderMutations {
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
  return steps.length === 0 ? NO_MUTATIONS : new HeaderMutations(steps);
}

export interface CompiledMutations {
  readonly request: HeaderMutations;
  readonly response: HeaderMutations;
}

/** envoy.extensions.filters.http.header_mutation.v3.Mutations, of the filter or of a route. */
export function compileMutations(config: Mutations | undefined, path: string, report: CompileReport): CompiledMutations {
  return {
    request: compileList(config?.requestMutations ?? [], `${path}.request_mutations`, report),
    response: compileList(config?.responseMutations ?? [], `${path}.response_mutations`, report),
  };
}
