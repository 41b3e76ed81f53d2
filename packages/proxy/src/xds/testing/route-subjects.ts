import type { JsonObject } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import {
  RetryPolicySchema,
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { compileRouteConfiguration } from '../../routing/compile-routes.ts';
import { message, typed } from '../../testing/messages.ts';
import { type Outcome, outcome, type Subject } from './probe.ts';

export const ADS = { ads: {} };
export const ROUTES = { name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }] };
const PER_FILTER: JsonObject = { typedPerFilterConfig: { x: typed('envoy.extensions.filters.http.cors.v3.CorsPolicy') } };
const routes = (json: JsonObject): Outcome => outcome(compileRouteConfiguration(message(RouteConfigurationSchema, json)));
const virtualHost = (json: JsonObject): Outcome => routes({ name: 'r', virtualHosts: [json] });
const route = (json: JsonObject): Outcome => virtualHost({ name: 'v', domains: ['*'], routes: [json] });
const action = (json: JsonObject): Outcome => route({ match: { prefix: '/' }, route: json });
const ACTION_PATH = 'virtual_hosts[0].routes[0].route';

export const ROUTE_SUBJECTS: Readonly<Record<string, Subject>> = {
  RouteConfiguration: {
    schema: RouteConfigurationSchema,
    base: ROUTES,
    right: { vhds: { configSource: ADS }, ...PER_FILTER },
    path: '',
    compile: routes,
  },
  VirtualHost: { schema: VirtualHostSchema, base: ROUTES.virtualHosts[0]!, right: PER_FILTER, path: 'virtual_hosts[0]', compile: virtualHost },
  Route: { schema: RouteSchema, base: ROUTES.virtualHosts[0]!.routes[0]!, right: PER_FILTER, path: 'virtual_hosts[0].routes[0]', compile: route },
  RouteMatch: {
    schema: RouteMatchSchema,
    base: { prefix: '/' },
    right: {
      pathMatchPolicy: { name: 'x', typedConfig: typed('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', { pathTemplate: '/{x}' }) },
    },
    path: 'virtual_hosts[0].routes[0].match',
    compile: (json) => route({ match: json, route: { cluster: 'c' } }),
  },
  RouteAction: { schema: RouteActionSchema, base: { cluster: 'c' }, path: ACTION_PATH, compile: action },
  RetryPolicy: {
    schema: RetryPolicySchema,
    base: {},
    right: {
      retryHostPredicate: [{ name: 'x', typedConfig: typed('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate') }],
      retryPriority: {
        name: 'x',
        typedConfig: typed('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', { updateFrequency: 1 }),
      },
    },
    path: `${ACTION_PATH}.retry_policy`,
    compile: (json) => action({ cluster: 'c', retryPolicy: json }),
  },
  RequestMirrorPolicy: {
    schema: RouteAction_RequestMirrorPolicySchema,
    base: { cluster: 'm' },
    path: `${ACTION_PATH}.request_mirror_policies[0]`,
    compile: (json) => action({ cluster: 'c', requestMirrorPolicies: [json] }),
  },
  WeightedCluster: {
    schema: WeightedClusterSchema,
    base: { clusters: [{ name: 'c', weight: 1 }] },
    path: `${ACTION_PATH}.weighted_clusters`,
    compile: (json) => action({ weightedClusters: json }),
  },
  'WeightedCluster.ClusterWeight': {
    schema: WeightedCluster_ClusterWeightSchema,
    base: { name: 'c', weight: 1 },
    path: `${ACTION_PATH}.weighted_clusters.clusters[0]`,
    compile: (json) => action({ weightedClusters: { clusters: [json] } }),
  },
};
