import type { Analyzer } from './analyzer.ts';
import { alphaAnnotations, annotations } from './analyzers/annotations.ts';
import { apiReferences } from './analyzers/api-references.ts';
import { apiShadowedRules } from './analyzers/api-shadowed-rules.ts';
import { applicationUids } from './analyzers/application-uids.ts';
import { authorizationPolicies } from './analyzers/authorization-policies.ts';
import { caCertificates } from './analyzers/ca-certificates.ts';
import { conditions } from './analyzers/conditions.ts';
import { conflictingGateways } from './analyzers/conflicting-gateways.ts';
import { conflictingHosts } from './analyzers/conflicting-hosts.ts';
import { conflictingProtocols } from './analyzers/conflicting-protocols.ts';
import { costlyRegexes } from './analyzers/costly-regexes.ts';
import { delegates } from './analyzers/delegates.ts';
import { deniedRoutes } from './analyzers/denied-routes.ts';
import { deploymentServices } from './analyzers/deployment-services.ts';
import { deprecations } from './analyzers/deprecations.ts';
import { destinationHosts } from './analyzers/destination-hosts.ts';
import { destinationRuleWorkloads } from './analyzers/destination-rule-workloads.ts';
import { destinationSubsets } from './analyzers/destination-subsets.ts';
import { envoyFilterPatches } from './analyzers/envoy-filter-patches.ts';
import { exportsToNowhere } from './analyzers/exports-to-nowhere.ts';
import { externalControlPlane } from './analyzers/external-control-plane.ts';
import { gatewayApiVersions } from './analyzers/gateway-api-versions.ts';
import { gatewayCertificates } from './analyzers/gateway-certificates.ts';
import { gatewayCredentials } from './analyzers/gateway-credentials.ts';
import { gatewayPorts } from './analyzers/gateway-ports.ts';
import { gatewaySecrets } from './analyzers/gateway-secrets.ts';
import { hostsOwnedTwice } from './analyzers/hosts-owned-twice.ts';
import { imageAuto } from './analyzers/image-auto.ts';
import { injectorWebhooks } from './analyzers/injector-webhooks.ts';
import { jwksFetches } from './analyzers/jwks-fetches.ts';
import { jwtClaimRoutes } from './analyzers/jwt-claim-routes.ts';
import { kubernetesGatewaySelectors } from './analyzers/kubernetes-gateway-selectors.ts';
import { lightstepTracing } from './analyzers/lightstep-tracing.ts';
import { meshNetworks } from './analyzers/mesh-networks.ts';
import { meshSettings } from './analyzers/mesh-settings.ts';
import { mtlsMismatches } from './analyzers/mtls-mismatches.ts';
import { multipliedRetries } from './analyzers/multiplied-retries.ts';
import { namespaceInjection } from './analyzers/namespace-injection.ts';
import { ownAnnotations } from './analyzers/own-annotations.ts';
import { proxyImages } from './analyzers/proxy-images.ts';
import { serviceEntryAddresses } from './analyzers/service-entry-addresses.ts';
import { servicePortNames } from './analyzers/service-port-names.ts';
import { shadowedRoutes } from './analyzers/shadowed-routes.ts';
import { sidecarSelectors } from './analyzers/sidecar-selectors.ts';
import { telemetryDefaults } from './analyzers/telemetry-defaults.ts';
import { telemetryProviders } from './analyzers/telemetry-providers.ts';
import { telemetrySelectors } from './analyzers/telemetry-selectors.ts';
import { timeoutsBeyondCallers } from './analyzers/timeouts-beyond-callers.ts';
import { unreachableRules } from './analyzers/unreachable-rules.ts';
import { virtualServiceGateways } from './analyzers/virtual-service-gateways.ts';
import { weightsWithoutEndpoints } from './analyzers/weights-without-endpoints.ts';

/** Every analyzer; each adds to the messages, none hinders another. */
export const analyzers: readonly Analyzer[] = [
  destinationHosts,
  destinationSubsets,
  virtualServiceGateways,
  conflictingHosts,
  unreachableRules,
  caCertificates,
  destinationRuleWorkloads,
  conflictingProtocols,
  sidecarSelectors,
  deprecations,
  alphaAnnotations,
  ownAnnotations,
  annotations,
  applicationUids,
  authorizationPolicies,
  conditions,
  conflictingGateways,
  deploymentServices,
  envoyFilterPatches,
  externalControlPlane,
  gatewayApiVersions,
  gatewayCertificates,
  gatewayPorts,
  gatewaySecrets,
  imageAuto,
  injectorWebhooks,
  jwksFetches,
  jwtClaimRoutes,
  kubernetesGatewaySelectors,
  lightstepTracing,
  meshNetworks,
  namespaceInjection,
  proxyImages,
  serviceEntryAddresses,
  servicePortNames,
  telemetryDefaults,
  telemetryProviders,
  telemetrySelectors,
  shadowedRoutes,
  weightsWithoutEndpoints,
  hostsOwnedTwice,
  costlyRegexes,
  deniedRoutes,
  gatewayCredentials,
  mtlsMismatches,
  multipliedRetries,
  timeoutsBeyondCallers,
  delegates,
  exportsToNowhere,
  apiReferences,
  apiShadowedRules,
  meshSettings,
];
