import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import type { Configuration } from '../config/configuration.ts';
import { memoryKeyValue } from '../store/key-value.ts';
import { openConfiguration } from '../testing/configuration.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { WatchedFolder } from './folder.ts';

let directory: string;
const keyValue = { current: memoryKeyValue() };
let clock: FakeClock;
let configuration: Configuration;
let folder: WatchedFolder;
let logged: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'folder-'));
  keyValue.current = memoryKeyValue();
  clock = new FakeClock();
  logged = [];
  await open();
});
afterEach(() => {
  folder.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function open(): Promise<void> {
  configuration = await openConfiguration({ keyValue: keyValue.current, watchesFolder: true });
  folder = new WatchedFolder({ directory, configuration, clock, log: ({ message }) => logged.push(message), onProblems: () => {} });
}

const rule = (host: string, version = 'v1') => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}}
spec: {host: ${host}, subsets: [{name: v, labels: {version: ${version}}}]}
`;
const write = (name: string, text: string | Uint8Array) => writeFileSync(join(directory, name), text);
/** "a v1" */
const inForce = () =>
  configuration.resources
    .map(({ metadata, spec }) => `${metadata.name} ${(spec as { subsets: { labels: { version: string } }[] }).subsets[0]!.labels.version}`)
    .sort();
const problems = () => folder.problems.map(({ what, where }) => `${where}: ${what}`);

test('what the folder holds is in force, and goes when its file goes', async () => {
  write('a.yaml', rule('a'));
  mkdirSync(join(directory, 'team'));
  write('team/b.yml', rule('b'));
  write('notes.txt', 'no configuration');
  await folder.sync();
  expect(inForce()).toEqual(['a v1', 'b v1']);
  write('a.yaml', rule('a', 'v22'));
  await folder.sync();
  expect(inForce()).toEqual(['a v22', 'b v1']);
  rmSync(join(directory, 'team'), { recursive: true });
  await folder.sync();
  expect(inForce()).toEqual(['a v22']);
  expect(problems()).toEqual([]);
});

describe('a bad file', () => {
  test.each([
    ['malformed YAML', 'kind: [\n', 'a.yaml:2'],
    ['a misspelt kind', rule('a', 'v2').replace('DestinationRule', 'DestinationRul'), 'a.yaml:2'],
    ['an unknown field', rule('a', 'v2').replace('{host', '{hots: x, host'), 'a.yaml:4'],
    ['a second, bad object in it', `${rule('a', 'v2')}---\n${rule('c').replace('host: c', 'host: 7')}`, 'a.yaml:9'],
    ['no text', Buffer.from([0, 1, 2, 0xff]), 'a.yaml:1'],
  ])('(%s) leaves the last good version of its objects in force, until it is corrected', async (_, bad, where) => {
    write('a.yaml', rule('a'));
    await folder.sync();
    write('a.yaml', bad);
    write('b.yaml', rule('b'));
    await folder.sync();
    expect(inForce()).toEqual(['a v1', 'b v1']);
    expect(folder.problems).toMatchObject([{ where, sinceMs: clock.now(), next: expect.stringMatching(/./) as string }]);
    expect(logged).toHaveLength(1);
    clock.advance(60_000);
    await folder.sync();
    expect(folder.problems[0]!.sinceMs).toBe(clock.now() - 60_000);

    write('a.yaml', rule('a', 'v3'));
    await folder.sync();
    expect(inForce()).toEqual(['a v3', 'b v1']);
    expect(problems()).toEqual([]);
  });

  test('leaves it in force over a restart too', async () => {
    write('a.yaml', rule('a'));
    await folder.sync();
    folder.stop();
    write('a.yaml', 'kind: [\n');
    await open();
    await folder.start();
    expect(inForce()).toEqual(['a v1']);
    expect(folder.problems).toHaveLength(1);
  });

  test('keeps its objects from another file that names them too', async () => {
    write('a.yaml', rule('a'));
    await folder.sync();
    write('a.yaml', 'kind: [\n');
    write('b.yaml', rule('a', 'v2'));
    await folder.sync();
    expect(inForce()).toEqual(['a v1']);
    expect(problems()[1]).toContain('is in force from a.yaml, which has errors now');
  });

  test('that is taken away takes its objects with it', async () => {
    write('a.yaml', rule('a'));
    await folder.sync();
    write('a.yaml', 'kind: [\n');
    await folder.sync();
    rmSync(join(directory, 'a.yaml'));
    await folder.sync();
    expect(inForce()).toEqual([]);
    expect(problems()).toEqual([]);
  });
});

test('what Kubernetes acts on is left out, and that is said once', async () => {
  write('k8s.yaml', `${rule('a')}---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n`);
  await folder.sync();
  await folder.sync();
  expect(inForce()).toEqual(['a v1']);
  expect(logged).toEqual(['k8s.yaml: left out 1 Service, 1 Deployment, which Kubernetes acts on; `rig workloads` makes a list of them for `rig node`']);
});

test('of one object in two files the one that is in force stays', async () => {
  write('b.yaml', rule('a'));
  await folder.sync();
  write('a.yaml', rule('a', 'v2'));
  await folder.sync();
  expect(inForce()).toEqual(['a v1']);
  expect(problems()).toEqual(['a.yaml:1: DestinationRule default/a is in two files; the one in b.yaml:1 is taken']);
  rmSync(join(directory, 'b.yaml'));
  await folder.sync();
  expect(inForce()).toEqual(['a v2']);
  expect(problems()).toEqual([]);
});

test('what was applied otherwise is not overwritten by a file', async () => {
  await configuration.apply([{ file: 'by-hand.yaml', text: rule('a') }]);
  write('a.yaml', rule('a', 'v2'));
  await folder.sync();
  expect(inForce()).toEqual(['a v1']);
  expect(problems()[0]).toContain('was applied with rig apply');
  await configuration.delete('DestinationRule', 'default', 'a');
  await folder.sync();
  expect(inForce()).toEqual(['a v2']);
});

test('loops of symbolic links, broken ones and files that are too large are said, and the rest is taken', async () => {
  write('a.yaml', rule('a'));
  symlinkSync('.', join(directory, 'again'));
  symlinkSync('nowhere.yaml', join(directory, 'broken.yaml'));
  symlinkSync('round.yaml', join(directory, 'round.yaml'));
  write('large.yaml', '');
  truncateSync(join(directory, 'large.yaml'), 100 * 1024 * 1024);
  await folder.sync();
  expect(inForce()).toEqual(['a v1']);
  const said = problems().join('\n');
  for (const part of ['leads back to a folder above it', 'broken.yaml: the file cannot be read', 'go round in a circle', 'large.yaml: the file has 100 MB'])
    expect(said).toContain(part);
  for (const name of ['again', 'broken.yaml', 'round.yaml', 'large.yaml']) rmSync(join(directory, name));
  await folder.sync();
  expect(problems()).toEqual([]);
});

test('a folder that is away for a while takes nothing with it', async () => {
  write('a.yaml', rule('a'));
  await folder.sync();
  renameSync(directory, `${directory}-away`);
  await folder.sync();
  expect(inForce()).toEqual(['a v1']);
  expect(problems()[0]).toContain('the folder cannot be read');
  renameSync(`${directory}-away`, directory);
  await folder.sync();
  expect(problems()).toEqual([]);
});

test('changes are noticed by themselves', async () => {
  const noticed = new Promise<void>((resolve) => {
    folder = new WatchedFolder({ directory, configuration, clock: systemClock, log: () => {}, onProblems: resolve });
  });
  await folder.start();
  write('a.yaml', 'kind: [\n');
  await noticed;
  expect(folder.problems).toHaveLength(1);
});
