import { field, labelsOf, list } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

const VARIABLE = 'BLOCKED_CIDRS_IN_JWKS_URIS';
const maxNames = 5;

/** A control plane that fetches the keys which RequestAuthentications name from wherever they say. */
export const jwksFetches: Analyzer = {
  name: 'authn.BlockedCIDRsAnalyzer',
  codes: ['IST0175'],
  ofFiles: true,
  run(context) {
    const names = context.ofOtherKind('security.istio.io', 'RequestAuthentication').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    if (names.length === 0) return;
    const shown = names.slice(0, maxNames).join(', ') + (names.length > maxNames ? `, and ${names.length - maxNames} more` : '');
    for (const deployment of context.otherOfKind('Deployment')) {
      if (labelsOf(deployment).app !== 'istiod') continue;
      const isSet = list(field(deployment.value, 'spec', 'template', 'spec', 'containers'))
        .flatMap((container) => list(field(container, 'env')))
        .some((variable) => field(variable, 'name') === VARIABLE && (field(variable, 'value') ?? '') !== '');
      if (!isSet) context.reportOn(deployment, 'metadata.name', 'IST0175', names.length, shown);
    }
  },
};
