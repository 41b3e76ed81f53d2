import { field, type Json, list, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** What a control plane has written into the status of a resource, where it says that something is not as it should be. */
export const conditions: Analyzer = {
  name: 'conditions.ConditionAnalyzer',
  codes: ['IST0171'],
  ofFiles: true,
  run(context: Context) {
    for (const service of context.otherOfKind('Service'))
      for (const args of negative(field(service.value, 'status'))) context.reportOn(service, 'status.conditions', 'IST0171', ...args);
    for (const resource of [...context.ofKind('ServiceEntry'), ...context.ofKind('AuthorizationPolicy')])
      for (const args of negative(context.statusOf(resource))) context.report(resource, 'status.conditions', 'IST0171', ...args);
  },
};

function negative(status: Json | undefined): readonly (readonly string[])[] {
  return list(field(status, 'conditions'))
    .filter((condition) => field(condition, 'status') === 'False')
    .map((condition) => ['type', 'reason', 'message'].map((name) => text(field(condition, name))));
}
