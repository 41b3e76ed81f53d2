import { parseDocuments } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { ingressResources } from './ingress.ts';

interface Path {
  readonly path?: string;
  readonly pathType?: string;
  readonly port?: object;
}

const ingress = (
  name: string,
  paths: readonly Path[],
  more: { readonly spec?: object; readonly annotations?: object; readonly created?: string } = {},
): object => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name, namespace: 'shop', annotations: more.annotations ?? {}, creationTimestamp: more.created ?? '2020-01-01T00:00:00Z' },
  spec: {
    rules: [{ host: 'shop.example', http: { paths: paths.map(({ port = { number: 80 }, ...path }) => ({ ...path, backend: { service: { name, port } } })) } }],
    ...more.spec,
  },
});
const CLASS = { annotations: { 'kubernetes.io/ingress.class': 'istio' } };

function made(...documents: readonly object[]) {
  const text = documents.map((one) => JSON.stringify(one)).join('\n---\n');
  return ingressResources(parseDocuments([{ file: 'ingress.json', text }]).documents);
}

interface Made {
  readonly hosts: readonly string[];
  readonly http: readonly { readonly match: readonly { readonly uri: object }[]; readonly route: readonly { readonly destination: object }[] }[];
}

const rules = (...documents: readonly object[]) =>
  made(...documents)
    .filter(({ kind }) => kind === 'VirtualService')
    .flatMap(({ spec }) => (spec as Made).http);

describe('an Ingress is served', () => {
  const className = { spec: { ingressClassName: 'edge' } };
  const edge = (controller: string): object => ({ apiVersion: 'networking.k8s.io/v1', kind: 'IngressClass', metadata: { name: 'edge' }, spec: { controller } });

  it.each([
    ['by its annotation', [ingress('a', [{ path: '/' }], CLASS)], true],
    ['by a class of ours', [ingress('a', [{ path: '/' }], className), edge('istio.io/ingress-controller')], true],
    ['but not of others', [ingress('a', [{ path: '/' }], className), edge('nginx')], false],
    ['nor without any', [ingress('a', [{ path: '/' }])], false],
  ] as const)('%s', (_, documents, served) => {
    expect(made(...documents).length > 0).toBe(served);
  });
});

it('is served without a class where the mesh serves those too', () => {
  const { documents } = parseDocuments([{ file: 'ingress.json', text: JSON.stringify(ingress('a', [{ path: '/' }])) }]);
  const settings = { className: 'istio', unclassed: true, gateway: 'in' };
  expect(ingressResources(documents, 'mesh', settings)[0]).toMatchObject({ kind: 'Gateway', spec: { selector: { istio: 'in' } } });
});

describe('a path', () => {
  it.each<readonly [string, string | undefined, readonly object[]]>([
    ['/a', 'Exact', [{ exact: '/a' }]],
    ['/a/', 'Prefix', [{ exact: '/a' }, { prefix: '/a/' }]],
    ['/', 'Prefix', [{ prefix: '/' }]],
    ['/a', 'ImplementationSpecific', [{ exact: '/a' }]],
    ['/a/*', 'ImplementationSpecific', [{ prefix: '/a/' }]],
    ['/a.*', undefined, [{ prefix: '/a' }]],
  ])('%s of type %s', (path, pathType, uris) => {
    const [rule] = rules(ingress('a', [{ path, ...(pathType === undefined ? {} : { pathType }) }], CLASS));
    expect(rule!.match.map(({ uri }) => uri)).toEqual(uris);
  });

  it('goes before another by how much it says, whichever Ingress it is of', () => {
    const found = rules(
      ingress('old', [{ path: '/', pathType: 'Prefix' }], { ...CLASS, created: '2019-01-01T00:00:00Z' }),
      ingress(
        'new',
        [
          { path: '/long', pathType: 'Prefix' },
          { path: '/e', pathType: 'Exact' },
        ],
        CLASS,
      ),
    );
    expect(found.map(({ match }) => Object.values(match[0]!.uri)[0])).toEqual(['/e', '/long', '/']);
  });

  it('leads to a port of the Service by its name', () => {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a', namespace: 'shop' },
      spec: {
        ports: [
          { name: 'other', port: 1 },
          { name: 'http', port: 8080 },
        ],
      },
    };
    expect(rules(service, ingress('a', [{ path: '/', port: { name: 'http' } }], CLASS))[0]!.route).toEqual([
      { destination: { host: 'a.shop.svc.cluster.local', port: { number: 8080 } }, weight: 100 },
    ]);
  });
});
