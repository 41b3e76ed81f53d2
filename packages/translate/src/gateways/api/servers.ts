import { type ApiListener, protocolOf } from '@outrigger/resources';
import type { Reader } from '../../reader.ts';
import { apiAuthoritiesSecret, apiCredentialSecret } from '../secret-names.ts';
import type { GatewayServer, ServerTls } from '../server.ts';
import { type ApiGateway, ourGateways, servesGateway } from './gateways.ts';
import { type BadReference, secretOf } from './references.ts';

const INSECURE = 'AllowInsecureFallback';

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
  const { names, bad: badAuthorities } = clientAuthorities(reader, gateway, listener);
  if (names.length === 0 && badAuthorities[0] !== undefined) return badAuthorities[0];
  // Whom the others vouch for is who they are.
  for (const { message } of badAuthorities) reader.ignored(gateway, 'spec.tls.frontend', `${message}; the other caCertificateRefs hold`);
  return {
    kind: 'terminate',
    certificates: (secrets as string[]).map(apiCredentialSecret),
    clientAuthorities: names.length === 0 ? undefined : apiAuthoritiesSecret(names),
    requireClientCertificate: names.length > 0,
    subjectAltNames: [],
    minProtocol: 'TLS_AUTO',
    maxProtocol: 'TLS_AUTO',
    cipherSuites: [],
  };
}

/** Who vouches for the clients of a listener ("NAMESPACE/NAME" each), and what of those that it names cannot. */
export function clientAuthorities(
  reader: Reader,
  gateway: ApiGateway,
  listener: ApiListener,
): { readonly names: readonly string[]; readonly bad: readonly BadReference[] } {
  // It is of HTTPS alone: who clients of other protocols are is their backends' to ask.
  const frontend = listener.protocol === 'HTTPS' && listener.tls?.mode !== 'Passthrough' ? gateway.spec.tls?.frontend : undefined;
  const ofPort = frontend?.perPort?.find(({ port }) => port === listener.port);
  // What is said of a port holds in the place of the default, nothing as well.
  const validation = ofPort === undefined ? frontend?.default?.validation : ofPort.tls?.validation;
  if (validation?.mode === INSECURE) {
    reader.differs(gateway, 'spec.tls.frontend', `${INSECURE}: clients are not asked for a certificate, since one that is not valid would be taken as well`);
    return { names: [], bad: [] };
  }
  const found = (validation?.caCertificateRefs ?? []).map((reference) => secretOf(reader, gateway, reference, ['ConfigMap', 'Secret']));
  return {
    names: found.filter((one) => typeof one === 'string'),
    bad: found
      .filter((one) => typeof one !== 'string')
      .map((one) => (one.reason === 'InvalidCertificateRef' ? { ...one, reason: 'InvalidCACertificateKind' } : one)),
  };
}
