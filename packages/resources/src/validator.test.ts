import { describe, expect, it } from 'vitest';
import { readResources } from './read.ts';
import { createValidator } from './validator.ts';

const validator = createValidator();
const read = (text: string) => readResources([{ file: 'mesh.yaml', text }], { validator });
const messages = async (text: string) => (await read(text)).problems.map(({ line, message }) => `${line} ${message}`);

const virtualService = (spec: string) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: shop\nspec:\n${spec.replace(/^/gm, '  ')}\n`;
const httpRoute = (spec: string) => `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: shop\nspec:\n${spec.replace(/^/gm, '  ')}\n`;

describe('the words of the API server', () => {
  it.each([
    [
      'an unknown field',
      virtualService('hosts: [a]\nhttp:\n- rout: []'),
      ['8 strict decoding error: unknown field "spec.http[0].rout", did you mean "route"?'],
    ],
    ['a missing field', virtualService('hosts: [a]\nhttp:\n- route:\n  - weight: 1'), ['9 spec.http[0].route[0].destination: Required value']],
    ['a wrong type', virtualService('hosts: a'), ['6 spec.hosts: Invalid value: "string": spec.hosts in body must be of type array: "string"']],
    ['null', virtualService('hosts:'), ['6 spec.hosts: Invalid value: "null": spec.hosts in body must be of type array: "null"']],
    [
      'a fraction for an integer',
      virtualService('hosts: [a]\nhttp:\n- route:\n  - destination: {host: a}\n    weight: 1.5'),
      ['10 spec.http[0].route[0].weight: Invalid value: "number": spec.http[0].route[0].weight in body must be of type integer: "number"'],
    ],
    [
      'a number that int32 does not hold',
      virtualService('hosts: [a]\nhttp:\n- route:\n  - destination: {host: a}\n    weight: 3000000000'),
      ['10 <nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.http[0].route[0].weight'],
    ],
    [
      'too great a number',
      virtualService('hosts: [a]\nhttp:\n- route:\n  - destination: {host: a, port: {number: 4294967296}}'),
      [
        '9 spec.http[0].route[0].destination.port.number: Invalid value: 4294967296: spec.http[0].route[0].destination.port.number in body should be less than or equal to 4294967295',
      ],
    ],
    [
      'a value that is none of the enum',
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default}\nspec:\n  mtls:\n    mode: STRICKT\n',
      ['6 spec.mtls.mode: Unsupported value: "STRICKT": supported values: "UNSET", "DISABLE", "PERMISSIVE", "STRICT"'],
    ],
    [
      'two of one',
      virtualService('hosts: [a]\nhttp:\n- match:\n  - uri: {exact: /a, prefix: /b}\n  route:\n  - destination: {host: a}'),
      ['9 <nil>: Invalid value: "": "spec.http[0].match[0].uri" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
    ],
    [
      'too many items',
      httpRoute(`hostnames: [${Array.from({ length: 17 }, (_, index) => `h${index}`)}]`),
      ['6 spec.hostnames: Too many: 17: must have at most 16 items'],
    ],
    ['too long a string', httpRoute(`hostnames: [${'a'.repeat(254)}]`), ['6 spec.hostnames[0]: Too long: may not be more than 253 bytes']],
    [
      'a string that does not match',
      httpRoute('hostnames: [A]'),
      [
        '6 spec.hostnames[0]: Invalid value: "A": spec.hostnames[0] in body should match \'^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$\'',
      ],
    ],
    [
      'a rule with text of its own',
      httpRoute('rules:\n- filters:\n  - type: RequestMirror'),
      ['8 spec.rules[0].filters[0]: Invalid value: filter.requestMirror must be specified for RequestMirror filter.type'],
    ],
    [
      'a rule over a list',
      httpRoute('rules:\n- filters:\n  - type: URLRewrite\n    urlRewrite: {hostname: b}\n  - type: URLRewrite\n    urlRewrite: {hostname: c}'),
      ['7 spec.rules[0].filters: Invalid value: URLRewrite filter cannot be repeated'],
    ],
    [
      'a key of a list twice',
      'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  gatewayClassName: c\n  listeners:\n  - {name: a, port: 80, protocol: HTTP}\n  - {name: a, port: 81, protocol: HTTP}\n',
      ['8 spec.listeners[1]: Duplicate value: {"name":"a"}', '6 spec.listeners: Invalid value: Listener name must be unique within the Gateway'],
    ],
    [
      'a name that is none',
      'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata:\n  name: A_b\n',
      [expect.stringMatching(/^4 metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of/)],
    ],
    ['no name', 'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {}\n', ['3 metadata.name: Required value: name or generateName is required']],
    [
      'an unknown field of metadata',
      'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata:\n  name: a\n  label: {}\n',
      ['5 strict decoding error: unknown field "metadata.label", did you mean "labels"?'],
    ],
    [
      'a label that is none',
      'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata:\n  name: a\n  labels: {a: "b c", version: 1}\n',
      [
        expect.stringMatching(/^5 metadata.labels: Invalid value: "b c": a valid label must be/),
        '5 metadata.labels.version: Invalid value: "number": metadata.labels.version in body must be of type string: "number"',
      ],
    ],
    [
      'a namespace on a cluster kind',
      'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c, namespace: d}\nspec: {controllerName: a.b/c}\n',
      ['3 metadata.namespace: Forbidden: not allowed on this type'],
    ],
    ['an unknown key that Object has', virtualService('hosts: [a]\nconstructor: {}'), ['7 strict decoding error: unknown field "spec.constructor"']],
  ])('%s', async (_, text, expected) => {
    expect((await read(text)).resources).toEqual([]);
    expect(await messages(text)).toEqual(expected);
  });

  it('checks formats inside of alternatives', async () => {
    const gateway = (address: string) =>
      `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  gatewayClassName: c\n  listeners: [{name: a, port: 80, protocol: HTTP}]\n  addresses:\n  - {type: IPAddress, value: ${address}}\n`;
    expect(await messages(gateway('10.0.0.1'))).toEqual([]);
    expect(await messages(gateway('"2001:db8::1"'))).toEqual([]);
    expect((await messages(gateway('10.0.0.256')))[0]).toBe(
      '8 <nil>: Invalid value: "": "spec.addresses[0]" must validate one and only one schema (oneOf). Found none valid',
    );
  });

  it('says what a rule could not be evaluated for', async () => {
    expect(
      await messages(
        'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {gatewayClassName: c, listeners: [{name: a, port: 443, protocol: HTTPS, tls: {mode: Terminate}}]}\n',
      ),
    ).toEqual([
      '4 spec.listeners[0].tls: Invalid value: "object": no such key: certificateRefs evaluating rule: certificateRefs or options must be specified when mode is Terminate',
    ]);
  });

  it('leaves CEL rules out where the values are not as they expect', async () => {
    expect(await messages(httpRoute('rules:\n- filters:\n  - type: RequestMirror\n    urlRewrite: 1'))).toEqual([
      '9 spec.rules[0].filters[0].urlRewrite: Invalid value: "integer": spec.rules[0].filters[0].urlRewrite in body must be of type object: "integer"',
    ]);
  });

  it.each([
    ['http', 0],
    ['h_p', 1],
  ])("checks a format of Kubernetes' own library: port name %s", async (name, count) => {
    const text = `apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata: {name: a}\nspec: {type: ExternalHostname, externalHostname: {hostname: a.example.com}, port: {name: ${name}, port: 80}, protocol: HTTP}\n`;
    expect((await messages(text)).filter((message) => message.includes('Name must be a valid DNS label'))).toHaveLength(count);
    expect(await messages(text)).toHaveLength(count);
  });
});

describe('resources', () => {
  it('have defaults, a namespace, lines, and are frozen', async () => {
    const { resources } = await read(httpRoute('rules:\n- backendRefs:\n  - name: a\n    port: 80'));
    const [resource] = resources;
    expect(resource).toMatchObject({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'shop', namespace: 'default', labels: {}, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 },
      spec: {
        rules: [{ backendRefs: [{ group: '', kind: 'Service', name: 'a', port: 80, weight: 1 }], matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
      },
      origin: { file: 'mesh.yaml', line: 1 },
    });
    expect(resource?.lineOf?.('spec.rules[0].backendRefs[0].port')).toBe(9);
    expect(() => Object.assign((resource!.spec as { rules: object[] }).rules[0] as object, { name: 'x' })).toThrow(TypeError);
  });

  it('take the namespace that they name, or the default that the caller gives', async () => {
    const text =
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a, namespace: b}\n';
    const { resources } = await readResources([{ file: 'x', text }], { validator, defaultNamespace: 'shop' });
    expect(resources.map(({ metadata }) => metadata.namespace)).toEqual(['shop', 'b']);
  });

  it('accept every served version, and drop a status as create does', async () => {
    for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
      const { resources, problems } = await read(
        `apiVersion: networking.istio.io/${version}\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}\nstatus: {conditions: []}\n`,
      );
      expect(problems).toEqual([]);
      expect(resources[0]).not.toHaveProperty('status');
    }
  });
});

it('stays fast on a large resource', async () => {
  const routes = Array.from(
    { length: 3000 },
    (_, index) => `{name: r${index}, match: [{uri: {prefix: /${index}}}], route: [{destination: {host: a}, weight: 1}], timeout: 1s}`,
  );
  const { problems, resources } = await read(virtualService(`hosts: [a]\nhttp: [${routes}]`));
  expect(problems).toEqual([]);
  expect(resources).toHaveLength(1);
});
