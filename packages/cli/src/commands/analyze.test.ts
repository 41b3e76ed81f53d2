import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { analyzeFiles } from './analyze.ts';

const TEXT = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a }  # ours
spec:
  hosts: [a.example.com]
  http:
  - match: [{ uri: { regex: /api/.* } }]
    route: [{ destination: { host: nobody.example.com } }]
`;
let folder = '';
let said: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rig-analyze-'));
  writeFileSync(join(folder, 'a.yaml'), TEXT);
  said = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
  process.exitCode = 0;
});

const analyze = (fix: boolean, output: 'text' | 'json' = 'text') =>
  analyzeFiles({ files: [folder], namespace: 'default', failOn: 'Error', output, suppress: [], ...(fix ? { fix } : {}) });

test('the difference is shown, and nothing written', async () => {
  await analyze(false);
  expect(said.join('\n')).toContain('-  - match: [{ uri: { regex: /api/.* } }]\n+  - match: [{ uri: { prefix: /api/ } }]');
  expect(readFileSync(join(folder, 'a.yaml'), 'utf8')).toBe(TEXT);
});

test('--fix writes it, and tells what is left', async () => {
  await analyze(true);
  expect(readFileSync(join(folder, 'a.yaml'), 'utf8')).toBe(TEXT.replace('regex: /api/.*', 'prefix: /api/'));
  expect(said[0]).toContain('IST0101');
  expect(said.join('\n')).not.toContain('RIG0110');
  expect(process.exitCode).toBe(1);
});

test('JSON names the fix', async () => {
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said.push(String(text));
    return true;
  });
  await analyze(false, 'json');
  vi.restoreAllMocks();
  const messages = JSON.parse(said.join('')) as { code: string; fix?: object }[];
  expect(messages.find(({ code }) => code === 'RIG0110')?.fix).toEqual({ path: 'spec.http[0].match[0].uri.regex', rename: 'prefix', value: '/api/' });
});
