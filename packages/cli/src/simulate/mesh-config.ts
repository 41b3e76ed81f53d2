import { type JsonObject, meshConfigFields, text } from '@outrigger/resources';
import { type MeshSettings, settingsOf } from '@outrigger/translate';
import { DEFAULT_INGRESS, type IngressSettings } from './ingress.ts';

/** What of Istio's MeshConfig is in effect in a simulation. */
export interface MeshConfig {
  readonly settings: Partial<MeshSettings>;
  /** undefined: no Ingress is served. */
  readonly ingress: IngressSettings | undefined;
  /** Fields that are written and do nothing. */
  readonly unread: readonly string[];
}

export function meshConfigOf(config: JsonObject): MeshConfig {
  const ingresses = text(config['ingressControllerMode']);
  return {
    settings: settingsOf(config),
    ingress:
      ingresses === 'OFF'
        ? undefined
        : {
            className: text(config['ingressClass']) || DEFAULT_INGRESS.className,
            unclassed: ingresses === 'DEFAULT',
            gateway: text(config['ingressSelector']) || text(config['ingressService']) || DEFAULT_INGRESS.gateway,
          },
    unread: Object.keys(config).filter((name) => Object.hasOwn(meshConfigFields, name) && meshConfigFields[name]?.effect === 'no'),
  };
}
