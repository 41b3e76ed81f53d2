import { type Kind, kinds } from './registry.ts';

/** As the CRDs have them, by "group/Kind". */
const shortNames: Readonly<Record<string, string>> = {
  'gateway.networking.k8s.io/BackendTLSPolicy': 'btlspolicy',
  'gateway.networking.k8s.io/Gateway': 'gtw',
  'gateway.networking.k8s.io/GatewayClass': 'gc',
  'gateway.networking.k8s.io/ListenerSet': 'lset',
  'gateway.networking.k8s.io/ReferenceGrant': 'refgrant',
  'gateway.networking.x-k8s.io/XBackend': 'xbackend',
  'gateway.networking.x-k8s.io/XBackendTrafficPolicy': 'xbtrafficpolicy',
  'gateway.networking.x-k8s.io/XMesh': 'mesh',
  'networking.istio.io/DestinationRule': 'dr',
  'networking.istio.io/Gateway': 'gw',
  'networking.istio.io/ServiceEntry': 'se',
  'networking.istio.io/VirtualService': 'vs',
  'networking.istio.io/WorkloadEntry': 'we',
  'networking.istio.io/WorkloadGroup': 'wg',
  'security.istio.io/AuthorizationPolicy': 'ap',
  'security.istio.io/PeerAuthentication': 'pa',
  'security.istio.io/RequestAuthentication': 'ra',
};

/**
 * Every kind that goes by a name, in any case: its own, its plural or its short one, with or without its group ("vs", "Gateways",
 * "gateway.networking.istio.io"). Several where a name without group is of several.
 */
export function kindsNamed(text: string): readonly Kind[] {
  const [name = '', ...group] = text.toLowerCase().split('.');
  return kinds.filter(
    (kind) =>
      (kind.kind.toLowerCase() === name || kind.plural === name || shortNames[`${kind.group}/${kind.kind}`] === name) &&
      (group.length === 0 || kind.group === group.join('.')),
  );
}
