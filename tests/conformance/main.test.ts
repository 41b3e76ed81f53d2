import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { GroupResult } from './group.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function corpusOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), '--json', ...args], { encoding: 'utf8' });
  return { status, groups: () => (JSON.parse(stdout) as { readonly groups: readonly GroupResult[] }).groups, stderr };
}

const suite = (name: string): string =>
  JSON.stringify({ name, resources: [`${name}.yaml`], cases: [{ Name: 'refused', Gateway: 'default/none', Port: 80, Scheme: 'http', Failure: 'connection' }] });

describe('npm run conformance', () => {
  test('says which groups a folder lacks, and of which cases it can read nothing; its answer stays JSON', () => {
    const corpus = corpusOf({
      'istio-validation/README.md': '',
      'istio-analysis/README.md': '',
      'gateway-api-cases/broken.json': suite('broken'),
      'gateway-api-cases/broken.yaml': 'a: [\n b: {',
      'gateway-api-cases/cut-off.json': '{ "name": "cut-off",',
      'gateway-api-cases/other.json': '{"name": "other"}',
      'gateway-api-cases/whole.json': suite('whole'),
      'gateway-api-cases/whole.yaml': '',
    });
    const { status, groups, stderr } = run('--corpus', corpus);
    expect(status).toBe(1);
    expect(stderr).toBe(`left out: there is no folder istio-simulation in ${corpus}\nno case is in ${join(corpus, 'istio-validation')}\n`);
    expect(groups().map(({ name, passed, total }) => [name, passed, total])).toEqual([
      ['istio-validation', 0, 0],
      ['istio-analysis', 0, 1],
      ['gateway-api-cases', 1, 4],
    ]);
    expect(groups().flatMap(({ failed }) => failed.map((one) => `${one.case}: ${one.why}`))).toEqual([
      expect.stringMatching(/^index\.json: it cannot be read: ENOENT/),
      expect.stringMatching(/^broken: refused \[0\]: it throws: broken\.yaml:\d+: /),
      expect.stringMatching(/^cut-off\.json: it cannot be read: /),
      'other.json: it cannot be read: it has no list of cases',
    ]);
  });

  test.each([
    ['an empty folder', () => corpusOf({}), /none of the groups is in it \(folders istio-validation, /],
    ['what is no folder', () => import.meta.filename, /there is no such folder/],
  ])('%s is refused in words', (_, corpus, words) => {
    const { status, groups, stderr } = run('--corpus', corpus());
    expect(status).toBe(2);
    expect(groups()).toEqual([]);
    expect(stderr).toMatch(words);
  });

  test('an option that there is not is refused in words', () => {
    const { status, stderr } = run('--corpsu', '.');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^Unknown option '--corpsu'.*\nnpm run conformance/);
    expect(stderr).not.toContain('    at ');
  });
});
