import { checkRegistration, type RegistrationInput } from '../registry/check-registration.ts';
import type { Registration } from '../registry/registration.ts';

/** An instance of order-service as `rig run` would register it. */
export function input(changes: Partial<RegistrationInput> = {}): RegistrationInput {
  return {
    instance: 'order-service-v1-1',
    namespace: 'default',
    service: 'order-service',
    serviceAccount: 'order-service',
    labels: { app: 'order-service', version: 'v1' },
    locality: 'eu/eu-1',
    weight: 1,
    ports: [{ name: 'http', protocol: 'http', servicePort: 8080, applicationPort: 9001, meshPort: 15_100 }],
    address: '127.0.0.1',
    dataPlane: 'outrigger',
    metricsAddress: '127.0.0.1:15020',
    nodeId: '',
    applicationPid: 100,
    proxyPid: 101,
    ...changes,
  };
}

export function registration(changes: Partial<RegistrationInput> = {}): Registration {
  const checked = checkRegistration(input(changes));
  if ('refused' in checked) throw new Error(checked.reason);
  return checked;
}
