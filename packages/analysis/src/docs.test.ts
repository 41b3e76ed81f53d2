import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import templates from '../messages/messages.json' with { type: 'json' };
import { ownTemplates } from './own-templates.ts';
import { analyzers } from './registry.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/analysis.md'), 'utf8');
const rows = new Map(
  [...page.matchAll(/^\| \[([A-Z]+\d+)\]\(analysis\/\1\.md\) +\| (\w+) +\| (\w+) +\| (.+?) +\| (.+?) +\|$/gm)].map(([, code, name, level, , by]) => [
    code,
    { name, level, by },
  ]),
);

/** Not found by looking at files: asked of a cluster, or of the analysis itself. */
const others: Readonly<Record<string, string>> = { IST0001: 'this program', IST0106: 'schemas and admission' };

test('the table of codes has each of them, with its level and whether it is reported', () => {
  const reported = new Set(analyzers.flatMap(({ codes }) => codes));
  const expected = [...templates, ...ownTemplates].map(({ code, name, level }): [string, object] => [
    code,
    { name, level, by: reported.has(code) ? 'files' : (others[code] ?? 'not from files') },
  ]);
  expect([...rows].sort()).toEqual(expected.sort());
});

test('every code that an analyzer names is one', () => {
  const known = new Set([...templates, ...ownTemplates].map(({ code }) => code));
  expect(analyzers.flatMap(({ codes }) => codes).filter((code) => !known.has(code))).toEqual([]);
});
