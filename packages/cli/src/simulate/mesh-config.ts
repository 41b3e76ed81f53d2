import { field, type JsonObject, list, type Resource, text } from '@outrigger/resources';
import type { MeshSettings, OutboundPolicy } from '@outrigger/translate';
import { DEFAULT_INGRESS, type IngressSettings } from './ingress.ts';

/** What of Istio's MeshConfig is in effect in a simulation. */
export interface MeshConfig {
  readonly settings: Partial<MeshSettings>;
  /** Resources that say nothing of whom they are exported to are exported to these, by kind. */
  readonly exportTo: Readonly<Record<string, readonly string[]>>;
  /** undefined: no Ingress is served. */
  readonly ingress: IngressSettings | undefined;
  /** Fields that change what becomes of requests and that are not looked at. */
  readonly unread: readonly string[];
}

const POLICIES: ReadonlySet<string> = new Set(['ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS']);

const UNREAD = [
  'connectTimeout',
  'defaultHttpRetryPolicy',
  'defaultTrafficPolicy',
  'extensionProviders',
  'localityLbSetting',
  'meshMTLS',
  'pathNormalization',
  'serviceEntryVisibility',
  'serviceSettings',
  'tlsDefaults',
] as const;

const EXPORT_TO = {
  ServiceEntry: 'defaultServiceExportTo',
  VirtualService: 'defaultVirtualServiceExportTo',
  DestinationRule: 'defaultDestinationRuleExportTo',
} as const;

export function meshConfigOf(config: JsonObject): MeshConfig {
  const written = field(config, 'outboundTrafficPolicy');
  // The enumeration's first value is what a policy without a mode has.
  const mode = written === undefined ? 'ALLOW_ANY' : text(field(written, 'mode')) || 'REGISTRY_ONLY';
  const rootNamespace = text(config['rootNamespace']);
  const trustDomain = text(config['trustDomain']);
  const ingresses = text(config['ingressControllerMode']);
  return {
    settings: {
      ...(POLICIES.has(mode) ? { outboundPolicy: mode as OutboundPolicy } : {}),
      ...(rootNamespace === '' ? {} : { rootNamespace }),
      ...(trustDomain === '' ? {} : { trustDomain }),
      trustDomainAliases: list(config['trustDomainAliases']).map(text),
    },
    exportTo: Object.fromEntries(Object.entries(EXPORT_TO).map(([kind, name]) => [kind, list(config[name]).map(text)])),
    ingress:
      ingresses === 'OFF'
        ? undefined
        : {
            className: text(config['ingressClass']) || DEFAULT_INGRESS.className,
            unclassed: ingresses === 'DEFAULT',
            gateway: text(config['ingressSelector']) || text(config['ingressService']) || DEFAULT_INGRESS.gateway,
          },
    unread: UNREAD.filter((name) => config[name] !== undefined),
  };
}

/** The resources as they are where the mesh's settings say to whom they are exported. */
export function exported(resources: readonly Resource[], exportTo: MeshConfig['exportTo']): readonly Resource[] {
  return resources.map((resource) => {
    const defaults = exportTo[resource.kind] ?? [];
    const { exportTo: own = [] } = resource.spec as { readonly exportTo?: readonly string[] };
    return defaults.length === 0 || own.length > 0 ? resource : ({ ...resource, spec: { ...(resource.spec as object), exportTo: defaults } } as Resource);
  });
}
