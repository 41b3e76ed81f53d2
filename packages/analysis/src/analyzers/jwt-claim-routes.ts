import { field, matchesLabels, stringMap, type VirtualServiceSpec } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** What stands for a token's claims among the headers of a match. */
const CLAIM = '@request.auth.claims';

/** Routes by claims of a token, at gateways where no RequestAuthentication has tokens checked: no such route ever matches. */
export const jwtClaimRoutes: Analyzer = {
  name: 'virtualservice.JWTClaimRouteAnalyzer',
  codes: ['IST0149'],
  ofFiles: true,
  run(context) {
    const authentications = context.ofOtherKind('security.istio.io', 'RequestAuthentication');
    for (const resource of context.ofKind('VirtualService')) {
      const claim = claimOf(resource.spec);
      if (claim === undefined) continue;
      for (const name of resource.spec.gateways ?? []) {
        const { fullName, gateway } = context.gatewayOf(name, resource.metadata.namespace);
        if (gateway === undefined) continue;
        for (const pod of context.pods.filter(({ labels }) => matchesLabels(gateway.spec.selector, labels))) {
          const isChecked = authentications.some(
            ({ metadata, spec }) =>
              (metadata.namespace === context.rootNamespace || metadata.namespace === pod.namespace) &&
              matchesLabels(stringMap(field(spec, 'selector'), 'matchLabels'), pod.labels),
          );
          if (!isChecked) context.report(resource, claim.path, 'IST0149', claim.key, fullName, pod.name);
        }
      }
    }
  },
};

function claimOf(spec: VirtualServiceSpec): { readonly key: string; readonly path: string } | undefined {
  for (const [rule, { match }] of (spec.http ?? []).entries()) {
    for (const [index, { headers, withoutHeaders }] of (match ?? []).entries()) {
      for (const [name, map] of Object.entries({ headers, withoutHeaders })) {
        const key = Object.keys(map ?? {}).find((header) => header.startsWith(CLAIM));
        if (key !== undefined) return { key, path: `spec.http[${rule}].match[${index}].${name}` };
      }
    }
  }
  return undefined;
}
