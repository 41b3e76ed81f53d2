import { createValidator, readResources } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { analyze, messagesOf } from './analyze.ts';

const validator = createValidator();
const nothing = { services: [], instances: [] };

it('gives messages of several files in the order of their places', async () => {
  const virtualService = (name: string) =>
    `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\nspec:\n  hosts: [${name}]\n  gateways: [mesh, edge]\n  http:\n  - route:\n    - destination:\n        host: nowhere\n        subset: v1\n`;
  const { resources } = await readResources([
    { file: 'b.yaml', text: virtualService('one') },
    { file: 'a.yaml', text: virtualService('two') },
  ]);
  expect(analyze(resources, nothing).map(({ file, line, code, message }) => `${file}:${line} ${code} ${message}`)).toEqual(
    ['a.yaml two', 'b.yaml one'].flatMap((place) => {
      const [file, name] = place.split(' ');
      return [
        `${file}:7 IST0101 Referenced gateway not found: "edge"`,
        `${file}:7 IST0132 one or more host [${name}] defined in VirtualService default/${name} not found in Gateway default/edge.`,
        `${file}:11 IST0101 Referenced host not found: "nowhere"`,
        `${file}:12 IST0101 Referenced host+subset in destinationrule not found: "nowhere+v1"`,
      ];
    }),
  );
});

it('turns what reading refused into IST0106', async () => {
  const { problems } = await readResources([
    {
      file: 'a.yaml',
      text: 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: shop}\nspec:\n  mtls: {mode: X}\n',
    },
  ]);
  expect(messagesOf(problems)).toEqual([
    {
      code: 'IST0106',
      level: 'Error',
      message: 'Schema validation error: spec.mtls.mode: Unsupported value: "X": supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"',
      resource: { group: 'security.istio.io', kind: 'PeerAuthentication', namespace: 'shop', name: 'default' },
      file: 'a.yaml',
      line: 5,
    },
  ]);
});

it('knows the services of the registry and of Kubernetes', async () => {
  const text = (host: string) =>
    `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{route: [{destination: {host: ${host}}}]}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: k, namespace: default}\nspec: {ports: [{port: 80, name: http}]}\n`;
  const codes = async (host: string) => {
    const { resources, others } = await readResources([{ file: 'a.yaml', text: text(host) }]);
    return analyze(resources, nothing, { others }).map(({ code }) => code);
  };
  expect(await codes('k')).toEqual([]);
  expect(await codes('K')).toEqual([]);
  expect(await codes('l')).toEqual(['IST0101']);
});

describe('resources that were refused for a field that is missing', () => {
  const full = {
    VirtualService: {
      hosts: ['a'],
      gateways: ['mesh', 'g'],
      exportTo: ['.'],
      http: [
        {
          match: [{ uri: { prefix: '/' } }],
          route: [{ destination: { host: 'a', subset: 'v1', port: { number: 1 } } }],
          mirror: { host: 'a' },
          fault: { delay: { percent: 1 } },
        },
      ],
      tcp: [{ match: [{ port: 1 }], route: [{ destination: { host: 'a' } }] }],
      tls: [{ match: [{ sniHosts: ['a'] }], route: [{ destination: { host: 'a' } }] }],
    },
    DestinationRule: {
      host: 'a',
      trafficPolicy: { tls: { mode: 'SIMPLE' }, portLevelSettings: [{ port: { number: 1 }, tls: { mode: 'SIMPLE' } }] },
      subsets: [{ name: 'v1', labels: { a: 'b' } }],
      workloadSelector: { matchLabels: { a: 'b' } },
    },
    ServiceEntry: { hosts: ['a.b'], ports: [{ name: 'http', number: 1, protocol: 'HTTP' }], exportTo: ['.'], workloadSelector: { labels: { a: 'b' } } },
    Gateway: {
      selector: { a: 'b' },
      servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['a'], tls: { mode: 'SIMPLE', credentialName: 'a' } }],
    },
    EnvoyFilter: { configPatches: [{ applyTo: 'CLUSTER', match: { proxy: { proxyVersion: 'a' } }, patch: { operation: 'REPLACE', value: { name: 'a' } } }] },
    Sidecar: { workloadSelector: { labels: { a: 'b' } }, egress: [{ hosts: ['./*'] }], outboundTrafficPolicy: { egressProxy: { host: 'a' } } },
  };

  const objects = ['Pod', 'Service', 'Deployment', 'Namespace', 'MutatingWebhookConfiguration', 'Secret', 'ConfigMap'].flatMap((kind) =>
    [{}, { metadata: null, spec: null, webhooks: null, data: null }, { metadata: [], spec: { containers: [null], ports: [null], template: null } }].map(
      (more) => {
        const value = { apiVersion: 'v1', kind, ...more };
        return { apiVersion: 'v1', kind, name: 'istio-sidecar-injector', namespace: '', value, origin: { file: 'k', line: 1 }, lineOf: () => 1 };
      },
    ),
  );

  /** The value with each of its fields left out in turn. */
  function* withoutEach(value: unknown): Generator<unknown> {
    if (Array.isArray(value)) for (const [index, item] of value.entries()) for (const less of withoutEach(item)) yield value.with(index, less);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
        for (const less of withoutEach(item)) yield { ...value, [key]: less };
      }
    }
  }

  it.each(Object.entries(full))('do not stop the analysis: %s', async (kind, spec) => {
    let count = 0;
    for (const less of withoutEach(spec)) {
      const text = JSON.stringify({ apiVersion: 'networking.istio.io/v1alpha3', kind, metadata: { name: 'a' }, spec: less });
      const other = JSON.stringify({ apiVersion: 'networking.istio.io/v1alpha3', kind, metadata: { name: 'b' }, spec });
      const { resources, refused } = await readResources(
        [
          { file: 'a', text },
          { file: 'b', text: other },
        ],
        { validator },
      );
      expect(resources.length + refused.length).toBe(2);
      expect(() => analyze([...resources, ...refused], nothing, { others: objects })).not.toThrow();
      count++;
    }
    expect(count).toBeGreaterThan(5);
  });
});
