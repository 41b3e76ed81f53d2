import { hostPort } from '../xds/compile-endpoints.ts';
import { type EndpointConfig, PLAIN_CHECK } from '../xds/endpoint-config.ts';

/** An endpoint that nothing configured: a request or a connection named its address. */
export function addressEndpoint(host: string, port: number): EndpointConfig {
  return {
    text: hostPort(host, port),
    address: { kind: 'socket', host, port },
    additionalAddresses: [],
    hostname: '',
    weight: 1,
    priority: 0,
    locality: '',
    localityWeight: 0,
    health: 'healthy',
    edsHealth: 'HEALTHY',
    hashKey: '',
    metadata: {},
    healthCheck: PLAIN_CHECK,
    transportSocketMatch: {},
    workload: '',
  };
}
