import { field, isJsonObject, labelsOf, list } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Istio's names of the registries that every control plane has. */
const builtIn: readonly string[] = ['Kubernetes', 'External', 'Mock'];

/** Networks whose endpoints come from a registry that there is none of: neither a built-in one nor a remote cluster's. */
export const meshNetworks: Analyzer = {
  name: 'multicluster.MeshNetworksAnalyzer',
  codes: ['IST0126'],
  ofFiles: true,
  run(context) {
    const { meshNetworks: networks } = context;
    const byName = field(networks?.value, 'networks');
    if (networks === undefined || !isJsonObject(byName)) return;
    const clusters = context
      .otherOfKind('Secret')
      .filter((secret) => labelsOf(secret)['istio/multiCluster'] === 'true')
      .flatMap(({ value }) => [field(value, 'data'), field(value, 'stringData')])
      .flatMap((data) => (isJsonObject(data) ? Object.keys(data) : []));
    const known = new Set([...builtIn, ...clusters]);
    for (const [name, network] of Object.entries(byName)) {
      for (const [index, endpoint] of list(field(network, 'endpoints')).entries()) {
        const registry = field(endpoint, 'fromRegistry') ?? field(endpoint, 'from_registry');
        if (typeof registry === 'string' && !known.has(registry))
          context.reportOnSettings('MeshNetworks', networks, `networks.${name}.endpoints[${index}].fromRegistry`, 'IST0126', registry, name);
      }
    }
  },
};
