import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { meshConfigIn, parseDocuments } from '@outrigger/resources';
import type { MeshSettings } from '@outrigger/translate';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryKeyValue } from '../store/key-value.ts';
import { recordsOf } from '../store/records.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { type KeptSettings, meshConfigKind, SettingsSource } from './mesh-settings.ts';

let directory: string;
let clock: FakeClock;
let given: Partial<MeshSettings>[];
let logged: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mesh-config-'));
  clock = new FakeClock();
  given = [];
  logged = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (text: string): string => {
  const path = join(directory, 'mesh.yaml');
  writeFileSync(path, text);
  return path;
};

function source(path?: string): SettingsSource {
  const made = new SettingsSource({
    kind: meshConfigKind,
    path,
    clock,
    log: ({ message }) => logged.push(message),
    onSettings: () => given.push(made.settings),
    onProblems: () => {},
  });
  return made;
}

const inFolder = (meshConfig: string, file = 'istio.yaml') =>
  parseDocuments([
    { file, text: `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: a}\nspec:\n  meshConfig:\n    ${meshConfig}\n` },
  ]).documents.map((document) => meshConfigIn(document)!);

/** A second later. */
async function look(): Promise<void> {
  clock.advance(1_000);
  await new Promise(setImmediate);
}

const started = { trustDomain: 'cluster.local', rootNamespace: 'istio-system' };

test('a file is read again when it changes; what is bad changes nothing until it is mended', async () => {
  const path = file('connectTimeout: 3s\nserviceSettings: []\n');
  const config = source(path);
  config.start(started);
  expect(config.settings.connectTimeoutMs).toBe(3_000);
  expect(logged).toEqual([`${path}:2: serviceSettings of MeshConfig has no effect: there is one cluster`]);
  expect(config.notes).toEqual([{ what: 'serviceSettings of MeshConfig has no effect: there is one cluster', where: `${path}:2` }]);
  await look();
  expect(given).toEqual([]);
  file('# one\nconnectTimeout: soon\n');
  await look();
  expect(given).toEqual([]);
  expect(config.settings.connectTimeoutMs).toBe(3_000);
  const sinceMs = clock.now();
  expect(config.problems).toMatchObject([{ where: `${path}:2`, what: expect.stringContaining('connectTimeout'), sinceMs }]);
  rmSync(path);
  await look();
  expect(config.problems).toMatchObject([{ where: path, what: expect.stringContaining('cannot be read') }]);
  file('connectTimeout: 12s\n');
  await look();
  expect(given.map(({ connectTimeoutMs }) => connectTimeoutMs)).toEqual([12_000]);
  expect(config.problems).toEqual([]);
  expect(config.notes).toEqual([]);
  config.stop();
});

test.each([
  ['connectTimeout: soon\n', 'mesh.yaml:1'],
  ['a: [\n', 'mesh.yaml:2'],
])('with a bad file (%j) nothing begins', (text, where) => {
  const path = file(text);
  expect(() => source(path)).toThrow(expect.objectContaining({ code: 'BAD_OPTION', where: join(directory, where) }) as Error);
});

test('what the folder has is in effect without a file; the last good stays', () => {
  const config = source();
  config.start(started);
  config.folderHas(inFolder('connectTimeout: 3s'));
  config.folderHas(inFolder('connectTimeout: soon'));
  expect(config.problems).toMatchObject([{ where: 'istio.yaml:6' }]);
  config.folderHas([...inFolder('connectTimeout: 4s'), ...inFolder('connectTimeout: 5s', 'other.yaml')]);
  expect(config.problems).toMatchObject([{ where: 'other.yaml:5', what: 'MeshConfig is not taken: the settings are those of istio.yaml' }]);
  config.folderHas([]);
  expect(given.map(({ connectTimeoutMs }) => connectTimeoutMs)).toEqual([3_000, 4_000, undefined]);
  expect(config.problems).toEqual([]);
});

test('what was in force from the folder is kept for the next start, until the folder has none', () => {
  const kept = recordsOf<KeptSettings>(memoryKeyValue(), 'setting');
  const first = source();
  first.start(started, kept);
  first.folderHas(inFolder('connectTimeout: 3s'));
  const second = source();
  second.start(started, kept);
  expect(second.settings.connectTimeoutMs).toBe(3_000);
  expect([second.inForceFrom('istio.yaml').length, second.inForceFrom('other.yaml').length]).toEqual([1, 0]);
  second.folderHas(inFolder('connectTimeout: soon'));
  expect(second.settings.connectTimeoutMs).toBe(3_000);
  expect(second.problems).toMatchObject([{ where: 'istio.yaml:6' }]);
  const third = source();
  third.start(started, kept);
  third.folderHas([]);
  expect(third.settings.connectTimeoutMs).toBeUndefined();
  expect(kept.entries().size).toBe(0);
});

test('a file goes before the folder, and that is said', () => {
  const config = source(file('connectTimeout: 3s\n'));
  config.start(started);
  config.folderHas(inFolder('connectTimeout: 4s'));
  expect(given).toEqual([]);
  expect(config.problems).toMatchObject([{ where: 'istio.yaml:5' }]);
  config.stop();
});

test('what is read at the start is said to be so', () => {
  const config = source(file('rootNamespace: mesh\nconnectTimeuot: 3s\n'));
  expect(config.atStart).toEqual({ rootNamespace: 'mesh' });
  config.start(started);
  const said = config.problems.map(({ what }) => what);
  expect(said).toEqual([expect.stringContaining('there is no field "connectTimeuot"'), expect.stringContaining('rootNamespace is istio-system as long as')]);
  config.stop();
});
