import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Json } from './json.ts';
import { readResources } from './read.ts';
import { kinds, loadSchema } from './registry.ts';
import type { Schema } from './schema/structural.ts';
import { createValidator } from './validator.ts';

const validator = createValidator();

/** Values as a person might get them wrong: mostly of the schema's shape, sometimes of another. */
function valuesOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  const wrong: fc.Arbitrary<Json> = fc.constantFrom<Json>(null, true, -1, 1.5, '', '*', 'a', [], {}, [null], { constructor: 1 });
  const right = rightValuesOf(schema, depth);
  return fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: wrong });
}

function rightValuesOf(schema: Schema, depth: number): fc.Arbitrary<Json> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === 'array') return depth > 7 || schema.items === undefined ? fc.constant([]) : fc.array(valuesOf(schema.items, depth + 1), { maxLength: 3 });
  if (schema.type === 'object' && schema.properties !== undefined && depth < 8) {
    const properties = Object.fromEntries(Object.entries(schema.properties).map(([name, property]) => [name, valuesOf(property, depth + 1)]));
    return fc.record(properties, { requiredKeys: [...(schema.required ?? [])] }) as fc.Arbitrary<Json>;
  }
  if (schema.type === 'object') return fc.dictionary(fc.constantFrom('a', '__proto__x', 'b-c', '1'), fc.constantFrom<Json>('v', 1, null), { maxKeys: 3 });
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'integer' || schema.type === 'number') return fc.constantFrom(0, 1, 80, 65_535, 65_536, 4_294_967_295);
  return fc.constantFrom('a', 'a.example.com', '*.b', '1s', '10ms', '10.0.0.1', 'http://a/b', 'unix:///a', '/', 'x'.repeat(300));
}

it.each(kinds.map((kind) => [`${kind.group} ${kind.kind}`, kind] as const))('never throws, and says a place, whatever a %s holds', async (_, kind) => {
  const version = kind.versions[0] as string;
  const spec = (await loadSchema(kind, version))?.schema.properties?.spec as Schema;
  await fc.assert(
    fc.asyncProperty(valuesOf(spec, 0), async (value) => {
      const text = JSON.stringify({ apiVersion: `${kind.group}/${version}`, kind: kind.kind, metadata: { name: 'a' }, spec: value });
      const { resources, problems } = await readResources([{ file: 'a', text }], { validator });
      expect(resources.length === 1).toBe(problems.length === 0);
      for (const problem of problems)
        expect(problem).toMatchObject({ file: 'a', line: 1, message: expect.stringMatching(/./), next: expect.stringMatching(/./) });
    }),
    { numRuns: 20 },
  );
});
