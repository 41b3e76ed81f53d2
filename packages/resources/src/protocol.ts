import type { Protocol } from './mesh.ts';

/**
 * Protocol of a service port: `appProtocol` where it says one, else `protocol` (ServiceEntry's, or Kubernetes' UDP), else the
 * port name up to its first "-" ("grpc-api"). UNSUPPORTED where nothing says it.
 */
export function protocolOf(_portName: string, _protocol?: string, _appProtocol?: string): Protocol {
  return 'UNSUPPORTED';
}
