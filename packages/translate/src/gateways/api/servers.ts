import { type ApiListener, protocolOf } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { apiCredentialSecret } from '../secret-names.ts';
import type { GatewayServer, ServerTls } from '../server.ts';
import { type ApiGateway, ourGateways, servesGateway } from './gateways.ts';
import { type BadReference, secretOf } from './references.ts';

/** The listeners of the Gateway API Gateways that the node serves, as servers. */
export function apiServers(reader: Reader): readonly GatewayServer[] {
  return ourGateways(reader)
    .filter((gateway) => servesGateway(reader.node, gateway, reader.settings.domainSuffix))
    .flatMap((gateway) => (gateway.spec.listeners ?? []).flatMap((listener, index) => serverOf(reader, gateway, listener, `spec.listeners[${index}]`)));
}

function serverOf(reader: Reader, gateway: ApiGateway, listener: ApiListener, field: string): GatewayServer[] {
  const { name, namespace } = gateway.metadata;
  const protocol = ['HTTP', 'HTTPS', 'TLS', 'TCP'].includes(listener.protocol) ? protocolOf('', listener.protocol) : undefined;
  if (protocol === undefined) {
    reader.ignored(gateway, `${field}.protocol`, `a gateway does not serve ${listener.protocol}: the listener is left out`);
    return [];
  }
  const tls = protocol === 'HTTPS' || protocol === 'TLS' ? tlsOf(reader, gateway, listener) : undefined;
  if (tls !== undefined && 'reason' in tls) {
    reader.ignored(gateway, `${field}.tls`, `${tls.message}: the listener is left out`);
    return [];
  }
  return [
    {
      gateway,
      field,
      name: `${namespace}/${name}`,
      port: listener.port,
      portName: listener.name,
      protocol,
      bind: '',
      hosts: [{ namespace: '*', host: (listener.hostname ?? '*').toLowerCase() || '*' }],
      tls,
      httpsRedirect: false,
      listener,
    },
  ];
}

/** The TLS of a listener, or what is wrong with what it names. */
export function tlsOf(reader: Reader, gateway: ApiGateway, listener: ApiListener): ServerTls | BadReference {
  if (listener.tls?.mode === 'Passthrough') return { kind: 'passthrough' };
  const secrets = (listener.tls?.certificateRefs ?? []).map((reference) => secretOf(reader, gateway, reference, ['Secret']));
  const bad = secrets.find((secret) => typeof secret !== 'string');
  if (bad !== undefined) return bad;
  if (secrets.length === 0) return { reason: 'InvalidCertificateRef', message: 'no certificate is named' };
  const { frontend } = gateway.spec.tls ?? {};
  const validation = frontend?.perPort?.find(({ port }) => port === listener.port)?.tls?.validation ?? frontend?.default?.validation;
  const authorities = validation?.caCertificateRefs?.[0];
  const bundle = authorities === undefined ? undefined : secretOf(reader, gateway, authorities, ['ConfigMap', 'Secret']);
  if (bundle !== undefined && typeof bundle !== 'string') return bundle;
  return {
    kind: 'terminate',
    certificates: (secrets as string[]).map(apiCredentialSecret),
    clientAuthorities: bundle === undefined ? undefined : apiCredentialSecret(`${bundle}-cacert`),
    requireClientCertificate: bundle !== undefined && validation?.mode !== 'AllowInsecureFallback',
    subjectAltNames: [],
    minProtocol: 'TLS_AUTO',
    maxProtocol: 'TLS_AUTO',
    cipherSuites: [],
  };
}
