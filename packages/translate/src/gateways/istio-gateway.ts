import { type GatewayServerSpec, matchesLabels, protocolOf, type ServerTlsSettings } from '@outrigger/resources';
import type { Gateway } from '../mesh.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import { credentialSecret, fileCertificateSecret, fileRootSecret, withRevocations } from './secret-names.ts';
import type { GatewayServer, ServerHost, ServerTls } from './server.ts';

/** The servers of the Istio Gateways that select the node, oldest first. */
export function istioServers(reader: Reader): readonly GatewayServer[] {
  return reader
    .gateways()
    .filter(({ spec }) => matchesLabels(spec.selector, reader.node.labels))
    .flatMap((gateway) => (gateway.spec.servers ?? []).flatMap((server, index) => serverOf(reader, gateway, server, `spec.servers[${index}]`)));
}

function serverOf(reader: Reader, gateway: Gateway, server: GatewayServerSpec, field: string): GatewayServer[] {
  const { name, namespace } = gateway.metadata;
  const protocol = protocolOf('', server.port.protocol);
  const refuse = (at: string, why: string): [] => {
    reader.ignored(gateway, `${field}.${at}`, why);
    return [];
  };
  if (protocol === 'UDP' || protocol === 'UNSUPPORTED')
    return refuse('port.protocol', `a gateway does not serve ${server.port.protocol}: the server is left out`);
  if ((server.bind ?? '').startsWith('unix://')) return refuse('bind', 'gateways listen on addresses alone: the server is left out');
  const http = isHttp(protocol);
  if (!http && server.tls?.httpsRedirect === true) reader.ignored(gateway, `${field}.tls.httpsRedirect`, 'only servers of plain HTTP send on to HTTPS');
  const tls = server.tls === undefined || http ? undefined : tlsOf(server.tls);
  if (typeof tls === 'string') return refuse('tls', `${tls}: the server is left out`);
  if (tls === undefined && (protocol === 'HTTPS' || protocol === 'TLS'))
    return refuse('tls', `${protocol} needs to be told how TLS ends: the server is left out`);
  return [
    {
      gateway,
      field,
      name: `${namespace}/${name}`,
      port: server.port.number,
      portName: server.port.name,
      protocol,
      bind: server.bind ?? '',
      hosts: server.hosts.map((host) => hostOf(host, namespace)),
      tls,
      httpsRedirect: http && server.tls?.httpsRedirect === true,
    },
  ];
}

function hostOf(text: string, namespace: string): ServerHost {
  const slash = text.indexOf('/');
  const from = slash < 0 ? '*' : text.slice(0, slash);
  return { namespace: from === '.' ? namespace : from, host: text.slice(slash + 1).toLowerCase() };
}

/** A text says why it cannot be served. */
export function tlsOf(tls: ServerTlsSettings): ServerTls | string {
  const mode = tls.mode ?? 'PASSTHROUGH';
  if (mode === 'PASSTHROUGH') return { kind: 'passthrough' };
  if (mode === 'ISTIO_MUTUAL') return { kind: 'mesh' };
  if (mode === 'AUTO_PASSTHROUGH') return { kind: 'auto-passthrough' };
  const named = tls.credentialNames !== undefined && tls.credentialNames.length > 0 ? tls.credentialNames : tls.credentialName ? [tls.credentialName] : [];
  const files = [...(tls.serverCertificate ? [tls] : []), ...(tls.tlsCertificates ?? [])];
  const certificates =
    named.length > 0
      ? named.map(credentialSecret)
      : files.map(({ serverCertificate = '', privateKey = '' }) => fileCertificateSecret(serverCertificate, privateKey));
  if (certificates.length === 0) return `${mode} needs a certificate: credentialName, or serverCertificate and privateKey`;
  const mutual = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  const authorities = tls.caCertificates || tls.tlsCertificates?.find(({ caCertificates }) => caCertificates)?.caCertificates;
  if (mutual && named.length === 0 && !authorities) return `${mode} needs the certificates to verify clients by: caCertificates`;
  const clientAuthorities = named.length > 0 ? credentialSecret(`${named[0]}-cacert`) : fileRootSecret(authorities ?? '');
  return {
    kind: 'terminate',
    certificates,
    clientAuthorities: mutual ? withRevocations(clientAuthorities, tls.caCrl ?? '') : undefined,
    requireClientCertificate: mode === 'MUTUAL',
    subjectAltNames: tls.subjectAltNames ?? [],
    minProtocol: tls.minProtocolVersion ?? 'TLS_AUTO',
    maxProtocol: tls.maxProtocolVersion ?? 'TLS_AUTO',
    cipherSuites: tls.cipherSuites ?? [],
  };
}
