import { parseSettings, readResources } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { memoryKeyValue } from '../store/key-value.ts';
import { createRevisionStore } from '../store/revision-store.ts';
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

  test('judges by the settings of the mesh as they are now', async () => {
    let meshConfig = parseSettings({ file: 'mesh', text: '' }).settings;
    const configuration = await openConfiguration({ meshConfig: () => meshConfig });
    const entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: one}
spec: {hosts: [a.test], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
`;
    expect((await configuration.apply(file(`${entry}---\n${routeTo('b', '{host: a.test}')}`))).messages).toEqual([]);
    meshConfig = parseSettings({ file: 'mesh', text: 'defaultServiceExportTo: ["."]' }).settings;
    // What the settings have changed is not said to be of this change.
    expect((await configuration.apply(file(rule('c')))).messages.map(({ code }) => code)).not.toContain('IST0101');
    expect((await configuration.apply(file(routeTo('b', '{host: a.test}')))).messages).toMatchObject([{ code: 'IST0101' }]);
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
    const service = (name: string) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\n---\n`;
    const { absentServices } = await configuration.apply(file(service('order-service') + service('nobody') + service('nobody')));
    expect(absentServices).toEqual(['nobody', 'order-service']);
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

  test('of several are one revision, or nothing', async () => {
    const configuration = await openConfiguration();
    await configuration.apply(file(`${rule('a')}---\n${rule('b')}---\n${rule('c')}`));
    const target = (name: string) => ({ kind: 'dr', namespace: 'default', name });
    await expect(configuration.deleteAll([target('a'), target('gone')])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(configuration.resources).toHaveLength(3);
    expect(await configuration.deleteAll([target('a'), target('b'), target('a')])).toBe('2');
    expect(configuration.resources.map(({ metadata }) => metadata.name)).toEqual(['c']);
    await configuration.undo();
    expect(configuration.resources).toHaveLength(3);
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

describe('history and undo', () => {
  const hosts = (configuration: { resources: readonly { spec: unknown }[] }) =>
    configuration.resources.map(({ spec }) => (spec as { host: string }).host).sort();
  const versions = (text: string, version: string) => text.replaceAll(/\bv1\b(?!\n)/g, version);

  test('what was in force once is in force again, as a new revision', async () => {
    const changes: string[] = [];
    const configuration = await openConfiguration({
      onChange: ({ put, remove }) => changes.push([...put.map(({ metadata }) => `+${metadata.name}`), ...remove.map(({ name }) => `-${name}`)].join(' ')),
    });
    await configuration.apply(file(`${rule('a')}---\n${rule('b')}`), { by: 'ann' });
    await configuration.apply(file(`${versions(rule('a'), 'v9').replace('host: a', 'host: a2')}---\n${rule('c')}`), { by: 'bob' });
    await configuration.delete('DestinationRule', 'default', 'b', 'bob');
    expect(hosts(configuration)).toEqual(['a2', 'c']);

    expect(await configuration.undo({ by: 'ann' })).toMatchObject({ to: '2', revision: '4', changes: [{ name: 'b', change: 'created' }] });
    expect(hosts(configuration)).toEqual(['a2', 'b', 'c']);
    const dry = await configuration.undo({ to: '1', dryRun: true });
    expect(dry).toMatchObject({
      revision: '4',
      changes: [
        { name: 'a', change: 'configured', diff: expect.stringMatching(/-.*a2[\s\S]*\+.*host: a\n/) as string },
        { name: 'c', change: 'deleted' },
      ],
    });
    expect(hosts(configuration)).toEqual(['a2', 'b', 'c']);
    await configuration.undo({ to: '1' });
    expect(hosts(configuration)).toEqual(['a', 'b']);
    expect(changes).toEqual(['+a +b', '+a +c', '-b', '+b', '+a -c']);
    expect(await configuration.undo({ to: '1' })).toMatchObject({ changes: [], revision: '5' });

    const told = await configuration.history({ limit: 10 });
    expect(told.map(({ revision, by, how }) => `${revision} ${by} ${how}`)).toEqual([
      '5  undo to 1',
      '4 ann undo to 2',
      '3 bob delete',
      '2 bob apply',
      '1 ann apply',
    ]);
    expect(told[4]!.changes).toMatchObject([{ kind: 'DestinationRule', namespace: 'default', name: 'a', change: 'created' }, { name: 'b' }]);
    expect((await configuration.history({ kind: 'dr', name: 'b', limit: 10 })).map(({ revision }) => revision)).toEqual(['4', '3', '1']);
    expect(await configuration.diff('2', '1')).toMatchObject({
      from: '2',
      to: '1',
      changes: [
        { name: 'a', change: 'configured' },
        { name: 'c', change: 'deleted' },
      ],
    });
    expect(await configuration.diff('1')).toMatchObject({ to: '5', changes: [] });
  });

  test('what would not be taken now is not restored, nor anything beside it', async () => {
    const keyValue = memoryKeyValue();
    const configuration = await openConfiguration({ keyValue });
    await configuration.apply(file(rule('a')));
    // As a version with other rules took it.
    const object = { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: 'old', namespace: 'default' }, spec: { hots: 'old' } };
    const source = { manager: 'api', file: 'old.yaml', line: 1 } as const;
    configuration.close();
    await createRevisionStore(keyValue, { now: () => 0 }).transact([
      { type: 'put', object, source },
      { type: 'delete', key: { group: 'networking.istio.io', kind: 'DestinationRule', namespace: 'default', name: 'a' } },
    ]);
    const again = await openConfiguration({ keyValue });
    await again.delete('DestinationRule', 'default', 'old');
    const refused = again.undo({ to: '2' });
    await expect(refused).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining('hots') as string,
      messages: expect.arrayContaining([expect.objectContaining({ level: 'Error', file: 'revision 2: DestinationRule default/old' })]) as unknown,
    });
    expect(again.resources).toEqual([]);
    await expect(again.undo({ to: '1' })).resolves.toMatchObject({ changes: [{ name: 'a', change: 'created' }] });
    await expect(again.undo({ to: '99' })).rejects.toMatchObject({ code: 'NOT_KEPT' });
  });

  test('of what a watched folder holds is left to the folder', async () => {
    const keyValue = memoryKeyValue();
    const first = await openConfiguration({ keyValue });
    const { resources } = await readResources(file(rule('a')));
    await first.applyFolder(resources, () => false);
    await first.applyFolder([], () => false);
    const watching = await openConfiguration({ keyValue, watchesFolder: true });
    await expect(watching.undo()).rejects.toMatchObject({ code: 'IN_FOLDER', where: 'mesh.yaml:1' });
  });

  test('an apply that was judged by another revision is refused', async () => {
    const configuration = await openConfiguration();
    await configuration.apply(file(rule('a')), { ifRevision: '0' });
    await expect(configuration.apply(file(rule('b')), { ifRevision: '0' })).rejects.toMatchObject({ code: 'CHANGED', where: 'revision 1' });
    expect(hosts(configuration)).toEqual(['a']);
  });
});
