import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type KindInEffect, kindInEffect, kinds, loadSchema, type Schema } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { fieldsThatDiffer } from '../fields-that-differ.ts';
import { fieldsNotInEffect } from '../not-in-effect.ts';
import { kindIndex, kindPage, pageName } from './page.ts';

const folder = join(import.meta.dirname, '../../../../docs/kinds');

// Written anew by `vitest -u`: schemas or what is in effect have changed.
test.each(kinds.map((kind) => [pageName(kind), kind] as const))('the page of %s is what schema and translation say', async (name, kind) => {
  await expect(await kindPage(kind)).toMatchFileSnapshot(join(folder, `${name}.md`));
});

test('the list of kinds has all of them, and there is no other page', async () => {
  await expect(kindIndex(kinds)).toMatchFileSnapshot(join(folder, 'README.md'));
  expect(readdirSync(folder).sort()).toEqual([...kinds.map((kind) => `${pageName(kind)}.md`), 'README.md'].sort());
});

test('what is said of a field is said of one that there is', async () => {
  const unknown: string[] = [];
  for (const kind of kinds) {
    const inEffect: KindInEffect | undefined = kindInEffect(kind.group, kind.kind);
    if (inEffect === undefined) continue;
    const found = await loadSchema(kind, kind.storageVersion);
    const spec = found?.schema.properties?.['spec'] ?? found?.schema;
    for (const path of [...Object.keys(fieldsNotInEffect[inEffect]), ...Object.keys(fieldsThatDiffer[inEffect] ?? {})])
      if (!has(spec, path.split('.'))) unknown.push(`${inEffect} ${path}`);
  }
  expect(unknown).toEqual([]);
});

function has(schema: Schema | undefined, [head, ...rest]: readonly string[]): boolean {
  if (head === undefined) return schema !== undefined;
  const child = schema?.properties?.[head.replace('[]', '')];
  return has(head.endsWith('[]') ? child?.items : child, rest);
}
