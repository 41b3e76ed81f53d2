import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readResources } from './read.ts';
import { createValidator } from './validator.ts';

// Cases that nobody here wrote (see its README). It stands beside the project; without it these tests are skipped and say so.
const corpus = join(import.meta.dirname, '../../../../shared/corpus');
const present = existsSync(corpus);
const validator = createValidator();

const files = (pattern: string): string[] => (present ? globSync(join(corpus, pattern)).sort() : []);
const read = (path: string) => readResources([{ file: basename(path), text: readFileSync(path) }], { validator });

describe.skipIf(!present)(`the corpus${present ? '' : ` (skipped: ${corpus} is not there)`}`, () => {
  it.each(files('istio-validation/valid/*.yaml'))('accepts %s', async (path) => {
    const { resources, problems } = await read(path);
    expect(problems).toEqual([]);
    expect(resources).toHaveLength(1);
  });

  it.each(files('istio-validation/invalid/*.yaml'))('refuses %s with its reason', async (path) => {
    const { resources, problems } = await read(path);
    expect(resources).toEqual([]);
    const reason = readFileSync(path.replace(/\.yaml$/, '.reason.txt'), 'utf8').trim();
    expect(problems.map(({ message }) => message).join('\n')).toContain(reason);
    for (const { line, next } of problems) {
      expect(line).toBeGreaterThan(0);
      expect(next).not.toBe('');
    }
  });

  it.each(['istio-samples/**/*.yaml', 'gateway-api-cases/*.yaml', 'istio-rbac/*/*-in.yaml'])('reads all of %s', async (pattern) => {
    let count = 0;
    for (const path of files(pattern)) {
      const { resources, problems, skipped } = await read(path);
      expect(problems.map(({ file, line, message }) => `${file}:${line}: ${message}`)).toEqual([]);
      count += resources.length + Object.values(skipped).reduce((sum, skippedOfKind) => sum + skippedOfKind, 0);
    }
    expect(count).toBeGreaterThan(10);
  });

  it('reads the configurations of istio-simulation, but for a field that Istio itself drops', async () => {
    const problems = (await Promise.all(files('istio-simulation/*.yaml').map(read))).flatMap((result) => result.problems);
    expect(problems.map(({ message }) => message)).toEqual(['strict decoding error: unknown field "spec.tcp[0].name"']);
  });
});
