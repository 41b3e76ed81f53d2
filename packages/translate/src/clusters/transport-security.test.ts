import { describe, expect, test } from 'vitest';
import { clusterJson, rule } from '../testing/clusters.ts';
import { instance, shopServices } from '../testing/shop.ts';

describe('ISTIO_MUTUAL to a gateway, whose resources say what it takes', () => {
  const gateway = instance('payment-service', '', 1, 8080, 19_021, { meshed: false, serviceAccount: 'egress' });
  const socket = (tls: object) => clusterJson({ config: [rule({ tls: { mode: 'ISTIO_MUTUAL', ...tls } })], instances: [gateway] }).transportSocket.typedConfig;
  const names = (made: ReturnType<typeof socket>): string[] =>
    made.commonTlsContext.combinedValidationContext.defaultValidationContext.matchTypedSubjectAltNames.map(
      ({ matcher }: { matcher: { exact: string } }) => matcher.exact,
    );

  test('expects the identities of its instances, under the name that is asked for', () => {
    const made = socket({ sni: 'api.example.com' });
    expect([made.sni, names(made)]).toEqual(['api.example.com', ['spiffe://cluster.local/ns/default/sa/egress']]);
  });

  test('or those that the rule names', () => {
    const made = socket({ subjectAltNames: ['spiffe://other/ns/a/sa/b'] });
    expect([made.sni, names(made)]).toEqual(['outbound_.8080_._.payment-service.default.svc.cluster.local', ['spiffe://other/ns/a/sa/b']]);
  });
});

test('endpoints that DNS tells of are called with the TLS of the mesh only where their ServiceEntry says that they take it', () => {
  const services = shopServices.map((one) => ({ ...one, bySrv: true }));
  const made = (meshed: boolean) =>
    clusterJson({ services, instances: [instance('payment-service', '', 1, 8080, 19_021, { meshed })] }).transportSocketMatches?.length;
  expect([made(false), made(true)]).toEqual([undefined, 2]);
});
