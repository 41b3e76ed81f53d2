import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createValidator, instancesOf, readResources, refText, servicesOf } from '@outrigger/resources';
import { describe, expect, it } from 'vitest';
import { Context } from './context.ts';
import { analyzers } from './registry.ts';

// Istio's own cases of its analyzers. They stand beside the project; without them these tests are skipped and say so.
const corpus = join(import.meta.dirname, '../../../../shared/corpus/istio-analysis');
const present = existsSync(corpus);
const validator = createValidator();

interface Case {
  readonly name: string;
  readonly files: readonly string[];
  readonly analyzer: string;
  readonly skipWhenAllAnalyzersRun: boolean;
  readonly expected: readonly { readonly code: string; readonly level: string; readonly resource: string }[];
}

const cases: readonly Case[] = present ? JSON.parse(readFileSync(join(corpus, 'index.json'), 'utf8')) : [];
const known = new Set(analyzers.map(({ name }) => name));

async function contextOf(files: readonly string[]) {
  const read = await readResources(
    files.map((file) => ({ file, text: readFileSync(join(corpus, file)) })),
    { validator },
  );
  const resources = [...read.resources, ...read.refused];
  return new Context(resources, { services: servicesOf(read.resources), instances: instancesOf(read.resources) }, { others: read.others });
}

/** "Gateway default/alpha" and "Gateway alpha" are one. */
const normal = (resource: string): string => resource.replace(' default/', ' ');

describe.skipIf(!present)(`Istio's cases${present ? '' : ` (skipped: ${corpus} is not there)`}`, () => {
  it.each(cases.filter(({ analyzer }) => known.has(analyzer)).map((test) => [`${test.analyzer}: ${test.name}`, test] as const))('%s', async (_, test) => {
    const context = await contextOf(test.files);
    analyzers.find(({ name }) => name === test.analyzer)?.run(context);
    const found = context.messages.map(({ code, level, resource }) => `${code} ${level} ${normal(refText(resource))}`);
    expect(found.sort()).toEqual(test.expected.map(({ code, level, resource }) => `${code} ${level} ${normal(resource)}`).sort());
    for (const { line, message } of context.messages) {
      expect(line).toBeGreaterThan(0);
      expect(message).not.toMatch(/%[svdq]/);
    }
  });

  it.each(cases.filter((test) => test.expected.length === 0 && !test.skipWhenAllAnalyzersRun).map((test) => [test.name, test] as const))(
    'no other analyzer finds an error in: %s',
    async (_, test) => {
      const context = await contextOf(test.files);
      for (const analyzer of analyzers) analyzer.run(context);
      expect(context.messages.filter(({ level }) => level === 'Error')).toEqual([]);
    },
  );
});
