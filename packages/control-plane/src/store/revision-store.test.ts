import { beforeEach, describe, expect, test } from 'vitest';
import { type KeyValue, memoryKeyValue } from './key-value.ts';
import { decodeRecord, encodeRecord } from './record.ts';
import { recordsOf } from './records.ts';
import { keyOf, type NewObject, type ResourceStore, type Revision, type Source, type Write } from './resource-store.ts';
import { checkSchema, createRevisionStore } from './revision-store.ts';
import { StoreError } from './store-error.ts';

const source: Source = { manager: 'api', file: 'a.yaml', line: 1 };
const object = (name: string, spec: unknown = {}, metadata: Partial<NewObject['metadata']> = {}): NewObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Sidecar',
  metadata: { name, namespace: 'default', ...metadata },
  spec,
});
const put = (name: string, spec?: unknown, metadata?: Partial<NewObject['metadata']>): Write => ({ type: 'put', object: object(name, spec, metadata), source });
const remove = (name: string, resourceVersion?: string): Write => ({
  type: 'delete',
  key: keyOf(object(name)),
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
});

let keyValue: KeyValue;
let store: ResourceStore;
let now = 0;
const open = (historyRevisions?: number, historyBytes?: number) => {
  let uid = 0;
  store = createRevisionStore(keyValue, {
    now: () => now,
    newUid: () => `uid-${++uid}`,
    ...(historyRevisions === undefined ? {} : { historyRevisions }),
    ...(historyBytes === undefined ? {} : { historyBytes }),
  });
};
beforeEach(() => {
  keyValue = memoryKeyValue();
  now = Date.UTC(2030, 0, 1);
  open();
});
const names = async () => (await store.list()).items.map(({ object: { metadata } }) => `${metadata.name}@${metadata.resourceVersion}`);

describe('transact', () => {
  test('gives every write of a transaction the same revision', async () => {
    expect((await store.transact([put('a'), put('b')])).revision).toBe('1');
    expect((await store.transact([put('c'), remove('a')])).revision).toBe('2');
    expect(await names()).toEqual(['b@1', 'c@2']);
  });

  test('fills in the metadata as Kubernetes does', async () => {
    await store.transact([put('a', { x: 1 })]);
    now += 1000;
    await store.transact([put('a', { x: 1 }, { labels: { team: 'shop' } })]);
    const labelled = await store.get(keyOf(object('a')));
    expect(labelled?.object.metadata).toMatchObject({ uid: 'uid-1', generation: 1, resourceVersion: '2', creationTimestamp: '2030-01-01T00:00:00.000Z' });
    await store.transact([put('a', { x: 2 })]);
    expect((await store.get(keyOf(object('a'))))?.object.metadata).toMatchObject({ uid: 'uid-1', generation: 2, resourceVersion: '3' });
  });

  test('makes no revision of what changes nothing, be it written in another order of keys or moved in its file', async () => {
    await store.transact([put('a', { x: 1, y: 2 })]);
    const again = await store.transact([{ type: 'put', object: object('a', { y: 2, x: 1 }), source: { ...source, line: 7 } }]);
    expect(again).toMatchObject({ revision: '1', results: [{ change: 'unchanged' }] });
    expect((await store.get(keyOf(object('a'))))?.source.line).toBe(7);
  });

  test.each<readonly [string, Write[], string]>([
    ['a second create', [{ type: 'create', object: object('a'), source }], 'CONFLICT'],
    ['an update of nothing', [{ type: 'update', object: object('z'), source }], 'NOT_FOUND'],
    ['a stale update', [{ type: 'update', object: object('a', { x: 1 }, { resourceVersion: '7' }), source }], 'CONFLICT'],
    ['a stale delete', [remove('a', '7')], 'CONFLICT'],
    ['a delete of nothing', [remove('z')], 'NOT_FOUND'],
    ['a name with a slash', [put('a/b')], 'INVALID_OBJECT'],
    ['a good write and a bad one', [put('good'), remove('z')], 'NOT_FOUND'],
    ['one object removed twice', [remove('a'), remove('a')], 'NOT_FOUND'],
  ])('refuses %s, and then nothing of it is written', async (_, writes, code) => {
    await store.transact([put('a')]);
    await expect(store.transact(writes)).rejects.toMatchObject({ name: 'StoreError', code, next: expect.stringMatching(/./) as string });
    expect(await names()).toEqual(['a@1']);
    open();
    expect(await names()).toEqual(['a@1']);
  });

  test('takes a write on the present version', async () => {
    await store.transact([put('a')]);
    await store.transact([{ type: 'update', object: object('a', { x: 1 }, { resourceVersion: '1' }), source }]);
    await store.transact([remove('a', '2')]);
    expect(await names()).toEqual([]);
  });

  test('that the disk refuses changes nothing', async () => {
    await store.transact([put('a')]);
    const full: KeyValue = {
      ...keyValue,
      write: () => {
        throw new StoreError('DISK_FULL', 'full', 'free some');
      },
    };
    store = createRevisionStore(full, { now: () => now });
    await expect(store.transact([put('b')])).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await names()).toEqual(['a@1']);
  });
});

describe('watch', () => {
  const events = (revisions: Revision[]) =>
    revisions.flatMap(({ revision, events }) => events.map(({ type, object }) => `${revision} ${type} ${object.metadata.name}`));

  test('gives what came after a version, past and future, before the write resolves', async () => {
    await store.transact([put('a')]);
    await store.transact([put('b'), put('a', { x: 1 })]);
    const seen: Revision[] = [];
    const stop = store.watch('1', (revision) => seen.push(revision));
    expect(events(seen)).toEqual(['2 ADDED b', '2 MODIFIED a']);
    let before = 0;
    await store.transact([remove('a')]).then(() => {
      before = seen.length;
    });
    expect(before).toBe(2);
    expect(events(seen).at(-1)).toBe('3 DELETED a');
    stop();
    await store.transact([put('c')]);
    expect(seen).toHaveLength(2);
  });

  test.each(['9', '-1', 'x'])('from %s, which is not of this store, asks to list again', async (version) => {
    await store.transact([put('a')]);
    expect(() => store.watch(version, () => {})).toThrow(expect.objectContaining({ code: 'RELIST' }) as Error);
  });

  test('goes over a restart, and asks to list again for what is no longer kept', async () => {
    open(3);
    for (let step = 1; step <= 8; step++) await store.transact([put('a', { step })]);
    open(3);
    const seen: Revision[] = [];
    store.watch('5', (revision) => seen.push(revision));
    expect(seen.map(({ revision }) => revision)).toEqual(['6', '7', '8']);
    expect(() => store.watch('4', () => {})).toThrow(expect.objectContaining({ code: 'RELIST' }) as Error);
    expect((await store.history()).map(({ revision }) => revision)).toEqual(['8', '7', '6']);
  });
});

describe('history', () => {
  const specs = async (revision: string) => (await store.at(revision)).map(({ object }) => `${object.metadata.name} ${JSON.stringify(object['spec'])}`);

  test('has what was there after each revision, who made it and by what, over a restart too', async () => {
    await store.transact([put('a', { x: 1 })], { by: 'ann', how: 'apply' });
    await store.transact([put('a', { x: 2 }), put('b')], { by: 'folder', how: 'folder' });
    // Twice in one transaction.
    await store.transact([put('a', { x: 3 }), put('a', { x: 4 }), remove('b')]);
    open();
    expect(await specs('0')).toEqual([]);
    expect(await specs('1')).toEqual(['a {"x":1}']);
    expect(await specs('2')).toEqual(['a {"x":2}', 'b {}']);
    expect(await specs('3')).toEqual(['a {"x":4}']);
    expect((await store.history()).map(({ cause, timeMs }) => [cause.by, cause.how, timeMs])).toEqual([
      ['', '', now],
      ['folder', 'folder', now],
      ['ann', 'apply', now],
    ]);
    expect((await store.history({ touches: ({ name }) => name === 'b', limit: 1 })).map(({ revision }) => revision)).toEqual(['3']);
  });

  test('is bounded by bytes too, and has at least the last', async () => {
    const revisions = async () => (await store.history()).map(({ revision }) => revision);
    open(undefined, 3_000);
    for (let step = 1; step <= 6; step++) await store.transact([put(`a${step}`, { padding: 'x'.repeat(1_000) })]);
    expect(await revisions()).toEqual(['6', '5']);
    expect([...keyValue.entries('revision/', 'revision/\uffff')]).toHaveLength(2);
    await store.transact([put('b', { padding: 'x'.repeat(10_000) })]);
    expect(await revisions()).toEqual(['7']);
    open(undefined, 3_000);
    await store.transact([put('c')]);
    expect(await revisions()).toEqual(['8']);
    await expect(store.at('5')).rejects.toMatchObject({ code: 'NOT_KEPT', message: expect.stringContaining('7') as string });
    expect(await specs('7')).toHaveLength(7);
  });

  test.each(['9', '-1', 'x'])('of revision %s, which there is not, is refused', async (revision) => {
    await store.transact([put('a')]);
    await expect(store.at(revision)).rejects.toMatchObject({ code: 'NOT_KEPT', next: expect.stringContaining('rig history') as string });
  });

  test('that an older version wrote is not made up', async () => {
    await store.transact([put('a', { x: 1 })]);
    await store.transact([put('a', { x: 2 })]);
    const key = 'revision/0000000000000002';
    const { cause: _cause, ...entry } = decodeRecord<Revision>(key, keyValue.get(key)!);
    const older = { ...entry, events: entry.events.map(({ previous: _previous, ...event }) => event) };
    const state = encodeRecord({ revision: 2, compacted: 0 });
    keyValue.write({
      put: new Map([
        [key, encodeRecord(older)],
        ['meta/state', state],
      ]),
      remove: new Set(),
    });
    open();
    expect((await store.history())[0]).toMatchObject({ revision: '2', cause: { by: '', how: '' } });
    await expect(store.at('1')).rejects.toMatchObject({ code: 'NOT_KEPT' });
    expect(await specs('2')).toEqual(['a {"x":2}']);
  });
});

test('what was written is there when it is opened again, frozen', async () => {
  await store.transact([put('a', { deep: { x: 1 } })]);
  open();
  const item = await store.get(keyOf(object('a')));
  expect(item?.object['spec']).toEqual({ deep: { x: 1 } });
  expect(Object.isFrozen((item!.object['spec'] as { deep: object }).deep)).toBe(true);
});

test('a record with a flipped bit is found', async () => {
  await store.transact([put('a')]);
  const [[key, value] = ['', new Uint8Array()]] = [...keyValue.entries('current/', 'current/\uffff')];
  const damaged = Uint8Array.from(value);
  damaged[damaged.length - 3]! ^= 1;
  keyValue.write({ put: new Map([[key, damaged]]), remove: new Set() });
  expect(() => open()).toThrow(expect.objectContaining({ code: 'BROKEN', message: expect.stringContaining(key) as string }) as Error);
});

describe('checkSchema', () => {
  test('stamps a new store, and knows it again', () => {
    checkSchema(keyValue, 'here');
    expect(() => checkSchema(keyValue, 'here')).not.toThrow();
  });

  test("refuses somebody else's, and a newer one", () => {
    keyValue.write({ put: new Map([['foreign', Uint8Array.of(1)]]), remove: new Set() });
    expect(() => checkSchema(keyValue, 'here')).toThrow(expect.objectContaining({ code: 'FOREIGN' }) as Error);
    const newer = memoryKeyValue();
    recordsOf(newer, 'meta').put('schema', { product: 'outrigger', version: 99 });
    expect(() => checkSchema(newer, 'here')).toThrow(
      expect.objectContaining({ code: 'FOREIGN', message: expect.stringContaining('outrigger 99') as string }) as Error,
    );
  });
});

test('records are kept by section', () => {
  const tokens = recordsOf<number>(keyValue, 'token');
  const settings = recordsOf<string>(keyValue, 'setting');
  tokens.put('a', 1);
  tokens.put('b', 2);
  settings.put('a', 'x');
  tokens.delete('b');
  expect([...tokens.entries()]).toEqual([['a', 1]]);
  expect(settings.get('a')).toBe('x');
  expect(settings.get('b')).toBeUndefined();
});
