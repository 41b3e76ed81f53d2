import { matchesLabels, type Resource, type ServerTlsSettings } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** One certificate on several Gateways of a proxy: browsers then send one's requests over a connection that they have to the other. */
export const gatewayCertificates: Analyzer = {
  name: 'gateway.CertificateAnalyzer',
  codes: ['IST0138'],
  once: true,
  run(context) {
    const gateways = context.ofKind('Gateway');
    for (const gateway of gateways) {
      const own = gateway.spec.servers ?? [];
      for (const other of gateways) {
        if (other === gateway || !matchesLabels(gateway.spec.selector, other.spec.selector ?? {})) continue;
        for (const { tls } of own) {
          for (const { tls: theirs } of other.spec.servers ?? [])
            if (tls !== undefined && theirs !== undefined && haveSameCertificate(tls, theirs)) reportPair(context, gateway, other);
        }
      }
    }
  },
};

function reportPair(context: Context, gateway: Resource, other: Resource): void {
  const names = [gateway, other].map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  context.report(gateway, 'metadata.name', 'IST0138', names);
}

function haveSameCertificate(left: ServerTlsSettings, right: ServerTlsSettings): boolean {
  const named = (left.credentialName ?? '') !== '' || (right.credentialName ?? '') !== '';
  if (named) return left.credentialName === right.credentialName;
  const isFile = (left.serverCertificate ?? '') !== '' && (left.privateKey ?? '') !== '';
  return isFile && left.serverCertificate === right.serverCertificate && left.privateKey === right.privateKey;
}
