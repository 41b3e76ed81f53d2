import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createValidator } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { analyzeInput, readAnalysisInput } from './input.ts';
import { pages } from './pages/index.ts';
import { CERTIFICATE, PRIVATE_KEY } from './pages/page.ts';
import { renderedPages } from './pages/render.ts';
import { allTemplates } from './templates.ts';
import { certificatePem } from './testing/certificate.ts';

const folder = join(import.meta.dirname, '../../../docs/analysis');
const validator = createValidator();
const KEY = '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n';
const NOW_MS = Date.parse('2026-12-01');

async function codesOf(text: string, allCodes: boolean, networks: string | undefined): Promise<readonly string[]> {
  const certificate = btoa(certificatePem('20260101000000Z', '20261220000000Z'));
  const input = await readAnalysisInput([{ file: 'a.yaml', text: text.replaceAll(CERTIFICATE, certificate).replaceAll(PRIVATE_KEY, btoa(KEY)) }], {
    validator,
    ...(networks === undefined ? {} : { meshNetworks: { file: 'networks.yaml', text: networks } }),
  });
  return analyzeInput(input, { allCodes, nowMs: NOW_MS }).map(({ code }) => code);
}

test('every code has a page, and none is of another', () => {
  expect(Object.keys(pages).sort()).toEqual(allTemplates.map(({ code }) => code));
});

test('docs/analysis holds what `node scripts/analysis-pages.mjs` makes', () => {
  const rendered = renderedPages();
  expect(readdirSync(folder).sort()).toEqual([...rendered.keys()].sort());
  for (const [name, text] of rendered) expect(readFileSync(join(folder, name), 'utf8'), name).toBe(text);
});

describe('the examples of a page are what it says', () => {
  const examples = Object.entries(pages).flatMap(([code, { example }]) => (example === undefined ? [] : [{ code, example }]));

  test.each(examples)('$code', async ({ code, example }) => {
    const { wrong, right, allCodes = false, meshNetworks, rightMeshNetworks } = example;
    expect(await codesOf(wrong, allCodes, meshNetworks)).toContain(code);
    const left = await codesOf(right, allCodes, rightMeshNetworks);
    expect(left).not.toContain(code);
    expect(left).not.toContain(code === 'IST0106' ? '' : 'IST0106');
  });
});
