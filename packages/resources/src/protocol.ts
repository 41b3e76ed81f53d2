import type { Protocol } from './mesh.ts';

// Istio's names and those of Kubernetes' appProtocol; compared without case.
const byName: Readonly<Record<string, Protocol>> = {
  http: 'HTTP',
  http2: 'HTTP2',
  h2c: 'HTTP2',
  'kubernetes.io/h2c': 'HTTP2',
  'kubernetes.io/ws': 'HTTP',
  'kubernetes.io/wss': 'HTTPS',
  grpc: 'GRPC',
  'grpc-web': 'GRPC-WEB',
  https: 'HTTPS',
  tls: 'TLS',
  tcp: 'TCP',
  mongo: 'MONGO',
  mysql: 'MYSQL',
  redis: 'REDIS',
  udp: 'UDP',
};

/** Ports that Istio takes for these protocols whatever they are called; sniffing would hang on those where the server speaks first. */
const byWellKnownPort: Readonly<Record<number, Protocol>> = { 25: 'TCP', 53: 'TCP', 853: 'TCP', 3306: 'TCP', 27017: 'TCP' };

/**
 * Protocol of a service port: `appProtocol` where it says one, else `protocol` (ServiceEntry's, or Kubernetes' UDP), else the
 * port name up to its first "-" ("grpc-api"). UNSUPPORTED where nothing says it, to be sniffed.
 */
export function protocolOf(portName: string, protocol = '', appProtocol = '', port = 0): Protocol {
  if (protocol.toUpperCase() === 'UDP') return 'UDP';
  const declared = byName[appProtocol.toLowerCase()];
  if (declared !== undefined) return declared;
  // Kubernetes' "TCP" says only that it is no UDP; a ServiceEntry's "TCP" means it. Callers give Kubernetes' as ''.
  const explicit = byName[protocol.toLowerCase()];
  if (explicit !== undefined) return explicit;
  const name = portName.toLowerCase();
  const prefix = name.startsWith('grpc-web') ? 'grpc-web' : (name.split('-', 1)[0] as string);
  return byName[prefix] ?? byWellKnownPort[port] ?? 'UNSUPPORTED';
}
