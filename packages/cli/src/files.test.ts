import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfigFiles } from './files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'files-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const path = (name: string) => join(directory, name);

test('a folder is read with all below it, in order, hidden and other files left out; by two ways once', () => {
  mkdirSync(path('team'));
  for (const name of ['b.yaml', 'a.yml', 'c.json', 'notes.txt', '.hidden.yaml', 'team/d.YAML']) writeFileSync(path(name), name);
  symlinkSync('team', path('team-too'));
  expect(readConfigFiles([directory]).map(({ file, text }) => [file.slice(directory.length + 1), text])).toEqual([
    ['a.yml', 'a.yml'],
    ['b.yaml', 'b.yaml'],
    ['c.json', 'c.json'],
    ['team/d.YAML', 'team/d.YAML'],
  ]);
});

describe('is refused, saying what and where:', () => {
  const cases: [string, () => string, RegExp][] = [
    ['what is not there', () => 'nothing.yaml', /there is no such file/],
    [
      'a large file, unread',
      () => {
        writeFileSync(path('large.yaml'), '');
        truncateSync(path('large.yaml'), 100 * 1024 * 1024);
        return 'large.yaml';
      },
      /has 100 MiB; a configuration file has at most 16 MiB/,
    ],
    [
      'a binary file',
      () => {
        writeFileSync(path('binary.yaml'), Buffer.from([1, 0, 2]));
        return 'binary.yaml';
      },
      /is binary/,
    ],
    [
      'a loop of links among folders',
      () => {
        mkdirSync(path('loop'));
        symlinkSync('../loop', path('loop/again'));
        return 'loop';
      },
      /leads back to a folder above it/,
    ],
    [
      'a loop of links among files',
      () => {
        mkdirSync(path('round'));
        symlinkSync('a.yaml', path('round/a.yaml'));
        return 'round';
      },
      /a loop of symbolic links/,
    ],
    [
      'a link to nowhere',
      () => {
        mkdirSync(path('broken'));
        symlinkSync('nowhere', path('broken/a.yaml'));
        return 'broken';
      },
      /there is no such file/,
    ],
    [
      'a folder without configuration',
      () => {
        mkdirSync(path('empty'));
        return 'empty';
      },
      /no .yaml, .yml or .json file is there/,
    ],
  ];
  test.each(cases)('%s', (_, make, message) => {
    const name = make();
    expect(() => readConfigFiles([path(name)])).toThrow(message);
    expect(() => readConfigFiles([path(name)])).toThrow(expect.objectContaining({ where: expect.stringContaining(path(name)) as string }) as Error);
  });
});
