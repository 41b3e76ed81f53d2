import { readResources } from '@outrigger/resources';
import { expect, it } from 'vitest';
import { analyze, messagesOf } from './analyze.ts';

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
      resource: { kind: 'PeerAuthentication', namespace: 'shop', name: 'default' },
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
  expect(await codes('l')).toEqual(['IST0101']);
});
