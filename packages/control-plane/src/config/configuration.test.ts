import { describe, expect, test } from 'vitest';
import { memoryKeyValue } from '../store/key-value.ts';
import { openConfiguration } from '../testing/configuration.ts';
import { type ConfigChange, ConfigError } from './configuration.ts';

const routeTo = (name: string, destination: string, more = '') => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec:
  hosts: [${name}]${more}
  http: [{route: [{destination: ${destination}}]}]
`;
const rule = (host: string) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}}
spec: {host: ${host}, subsets: [{name: v1, labels: {version: v1}}]}
`;
const file = (text: string, name = 'mesh.yaml') => [{ file: name, text }];

const twins = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: outrigger, listeners: [{name: http, port: 80, protocol: HTTP}]}
`;

test('kinds of two groups that have one name are two', async () => {
  const removed: string[] = [];
  const configuration = await openConfiguration({ onChange: ({ remove }) => removed.push(...remove.map(({ group }) => group)) });
  const { applied } = await configuration.apply(file(twins));
  expect(applied.map(({ group, kind, change }) => `${group}/${kind} ${change}`)).toEqual([
    'networking.istio.io/Gateway created',
    'gateway.networking.k8s.io/Gateway created',
  ]);
  expect(configuration.find('gateways', 'default', 'edge')).toHaveLength(2);
  expect(configuration.find('gw', undefined, undefined)[0]!.object.apiVersion).toBe('networking.istio.io/v1');
  await expect(configuration.delete('Gateway', 'default', 'edge')).rejects.toMatchObject({
    code: 'AMBIGUOUS',
    next: expect.stringContaining('Gateway.networking.istio.io') as string,
  });
  await configuration.delete('Gateway.networking.istio.io', 'default', 'edge');
  expect(removed).toEqual(['networking.istio.io']);
  expect(configuration.find('gtw', undefined, undefined)).toHaveLength(1);
});

describe('apply', () => {
  test.each([
    ['a host', routeTo('ghost', '{host: ghost}'), 'Referenced host not found: "ghost"'],
    ['a subset', routeTo('ghost', '{host: ghost, subset: v9}'), 'Referenced host+subset in destinationrule not found: "ghost+v9"'],
    ['a gateway', routeTo('ghost', '{host: ghost}', '\n  gateways: [gate]'), 'Referenced gateway not found: "gate"'],
  ])('takes a reference to %s that is not there, with a warning', async (_, text, message) => {
    const configuration = await openConfiguration();
    const { applied, messages } = await configuration.apply(file(text));
    expect(applied).toMatchObject([{ kind: 'VirtualService', name: 'ghost', change: 'created' }]);
    expect(messages).toContainEqual(expect.objectContaining({ code: 'IST0101', level: 'Warning', message, file: 'mesh.yaml' }));
    expect(messages.filter(({ level }) => level === 'Error')).toEqual([]);
  });

  test.each([
    ['malformed YAML', 'kind: [', 'mesh.yaml:1'],
    ['a misspelt kind', rule('a').replace('DestinationRule', 'DestinationRul'), 'mesh.yaml:2'],
    ['an unknown field', rule('a').replace('spec: {host', 'spec: {hots: x, host'), 'mesh.yaml:4'],
    ['a duplicate', `${rule('a')}---\n${rule('a')}`, 'mesh.yaml:8'],
    ['weights that are all zero', routeTo('a', '{host: a}, weight: 0}, {destination: {host: b}, weight: 0'), 'mesh.yaml:6'],
  ])('refuses %s whole: what is good beside it is not taken either', async (_, text, where) => {
    const configuration = await openConfiguration();
    const refused = configuration.apply([...file(rule('good'), 'good.yaml'), ...file(text)]);
    await expect(refused).rejects.toBeInstanceOf(ConfigError);
    await expect(refused).rejects.toMatchObject({ code: 'REFUSED', where, next: expect.stringMatching(/./) as string });
    expect(configuration.resources).toEqual([]);
    expect(configuration.revision).toBe('0');
  });

  test('says what it changes, and a dry run changes nothing', async () => {
    const changes: ConfigChange[] = [];
    const configuration = await openConfiguration({ onChange: (change) => changes.push(change) });
    await configuration.apply(file(rule('a')));
    const other = rule('a').replace('name: v1', 'name: v2');
    const preview = await configuration.apply(file(other), { dryRun: true });
    expect(preview.applied[0]).toMatchObject({ change: 'configured', diff: expect.stringContaining('+    - name: v2') as string });
    expect(configuration.revision).toBe('1');
    expect((await configuration.apply(file(rule('a')))).applied[0]?.change).toBe('unchanged');
    expect((await configuration.apply(file(other))).applied[0]?.change).toBe('configured');
    expect(changes.map(({ revision }) => revision)).toEqual(['1', '2']);
  });

  test('counts what is of other kinds', async () => {
    const configuration = await openConfiguration();
    const { applied, skipped } = await configuration.apply(file('apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n'));
    expect({ applied, skipped }).toEqual({ applied: [], skipped: { Deployment: 1 } });
  });

  test('leaves what the watched folder holds to the folder, once one is watched', async () => {
    const keyValue = memoryKeyValue();
    const first = await openConfiguration({ keyValue });
    const { applied } = await first.apply(file(rule('a')));
    expect(applied).toHaveLength(1);
    await first.applyFolder(first.resources, () => true);
    first.close();
    const watching = await openConfiguration({ keyValue, watchesFolder: true });
    await expect(watching.apply(file(rule('a')))).rejects.toMatchObject({ code: 'IN_FOLDER', where: 'mesh.yaml:1' });
    await expect(watching.delete('DestinationRule', 'default', 'a')).rejects.toMatchObject({ code: 'IN_FOLDER' });
    const alone = await openConfiguration({ keyValue });
    await expect(alone.delete('DestinationRule', 'default', 'a')).resolves.toBe('2');
  });
});

test('what was applied is there when it is opened again, with the file that it came from', async () => {
  const keyValue = memoryKeyValue();
  await (await openConfiguration({ keyValue })).apply(file(rule('a')));
  const again = await openConfiguration({ keyValue });
  expect(again.resources.map(({ kind, origin }) => [kind, origin?.file, origin?.line])).toEqual([['DestinationRule', 'mesh.yaml', 1]]);
  expect(again.revision).toBe('1');
});

describe('delete and find', () => {
  test.each(['DestinationRule', 'destinationrule', 'destinationrules', 'destinationrules.networking.istio.io'])('take the kind as %s', async (kind) => {
    const configuration = await openConfiguration();
    await configuration.apply(file(rule('a')));
    expect(configuration.find(kind, 'default', 'a')).toHaveLength(1);
    expect(configuration.find(kind, 'other', 'a')).toHaveLength(0);
    await configuration.delete(kind, 'default', 'a');
    expect(configuration.resources).toEqual([]);
  });

  test('say that there is no such kind, or no such resource', async () => {
    const configuration = await openConfiguration();
    expect(() => configuration.find('Deployment', undefined, undefined)).toThrow(expect.objectContaining({ code: 'UNKNOWN_KIND' }) as Error);
    await expect(configuration.delete('DestinationRule', 'default', 'a')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('of two kinds of one name want the group', async () => {
    const configuration = await openConfiguration();
    const gateway = (group: string, spec: string) => `apiVersion: ${group}/v1\nkind: Gateway\nmetadata: {name: g}\nspec: ${spec}\n`;
    await configuration.apply(
      file(
        `${gateway('networking.istio.io', "{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}")}---\n${gateway('gateway.networking.k8s.io', '{gatewayClassName: c, listeners: [{name: a, port: 80, protocol: HTTP}]}')}`,
      ),
    );
    await expect(configuration.delete('Gateway', 'default', 'g')).rejects.toMatchObject({ code: 'AMBIGUOUS' });
    await configuration.delete('gateways.networking.istio.io', 'default', 'g');
    expect(configuration.resources.map(({ apiVersion }) => apiVersion)).toEqual(['gateway.networking.k8s.io/v1']);
  });
});
