import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createValidator, refText } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { analyze } from './analyze.ts';
import { readAnalysisInput } from './input.ts';

// Istio's own cases of its analyzers. They stand beside the project; without them these tests are skipped and say so.
const corpus = join(import.meta.dirname, '../../../../shared/corpus/istio-analysis');
const present = existsSync(corpus);
const validator = createValidator();

interface Case {
  readonly name: string;
  readonly files: readonly string[];
  readonly meshConfig: string | null;
  readonly meshNetworks: string | null;
  readonly analyzer: string;
  readonly skipWhenAllAnalyzersRun: boolean;
  readonly expected: readonly { readonly code: string; readonly level: string; readonly resource: string }[];
}

const cases: readonly Case[] = present ? JSON.parse(readFileSync(join(corpus, 'index.json'), 'utf8')) : [];
const source = (file: string) => ({ file, text: readFileSync(join(corpus, file)) });

/** Everything that a case gives, as `rig analyze` reads it; the messages of one analyzer or of all. */
async function messagesOf(test: Case, analyzer?: string) {
  const { resources, mesh, options } = await readAnalysisInput(test.files.map(source), {
    validator,
    ...(test.meshConfig === null ? {} : { meshConfig: source(test.meshConfig) }),
    ...(test.meshNetworks === null ? {} : { meshNetworks: source(test.meshNetworks) }),
  });
  return analyze(resources, mesh, analyzer === undefined ? options : { ...options, analyzer });
}

/** "Gateway default/alpha" and "Gateway alpha" are one. */
const normal = (resource: string): string => resource.replace(' default/', ' ');

describe.skipIf(!present)(`Istio's cases${present ? '' : ` (skipped: ${corpus} is not there)`}`, () => {
  it.each(cases.map((test) => [`${test.analyzer}: ${test.name}`, test] as const))('%s', async (_, test) => {
    const messages = await messagesOf(test, test.analyzer);
    const found = messages.map(({ code, level, resource }) => `${code} ${level} ${normal(refText(resource))}`);
    expect(found.sort()).toEqual(test.expected.map(({ code, level, resource }) => `${code} ${level} ${normal(resource)}`).sort());
    for (const { line, message } of messages) {
      expect(line).toBeGreaterThan(0);
      expect(message).not.toMatch(/%[svdq]/);
    }
  });

  it.each(cases.filter((test) => test.expected.length === 0 && !test.skipWhenAllAnalyzersRun).map((test) => [test.name, test] as const))(
    'no other analyzer finds an error in: %s',
    async (_, test) => {
      expect((await messagesOf(test)).filter(({ level }) => level === 'Error')).toEqual([]);
    },
  );
});
