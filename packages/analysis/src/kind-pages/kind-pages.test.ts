import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KindInEffect, kindInEffect, kinds, loadSchema, type Schema } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { fieldsThatDiffer } from '../fields-that-differ.ts';
import { fieldsNotInEffect } from '../not-in-effect.ts';
import { fieldRows } from './field-rows.ts';
import { kindIndex, kindPage, pageName } from './page.ts';

const folder = join(import.meta.dirname, '../../../../docs/kinds');

// Written anew by `vitest -u`: schemas or what is in effect have changed.
test.each(kinds.map((kind) => [pageName(kind), kind] as const))('the page of %s is what schema and translation say', async (name, kind) => {
  await expect(await kindPage(kind)).toMatchFileSnapshot(join(folder, `${name}.md`));
});

test('the list of kinds has all of them, and there is no other page', async () => {
  await expect(await kindIndex(kinds)).toMatchFileSnapshot(join(folder, 'README.md'));
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

/** Of what makes xDS of resources, and of a mesh's services and instances. */
const sources = ['translate/src', 'resources/src', 'control-plane/src/rollout'].flatMap((name) => {
  const packages = join(import.meta.dirname, '../../..');
  return readdirSync(join(packages, name), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|testing\/|^(admission|kinds|schema|cel)\//.test(file))
    .map((file) => readFileSync(join(packages, name, file), 'utf8'));
});

test('a field that is said to be in effect is read by something', async () => {
  const words = new Set(sources.join('\n').match(/\w+/g));
  const unread: string[] = [];
  for (const kind of kinds) {
    const inEffect = kindInEffect(kind.group, kind.kind);
    if (inEffect === undefined) continue;
    const found = await loadSchema(kind, kind.storageVersion);
    const rows = fieldRows(inEffect, found!.schema.properties?.['spec'] ?? found!.schema);
    for (const { path, effect } of rows) if (!effect.startsWith('no') && !words.has(path.split('.').at(-1)!)) unread.push(`${inEffect} ${path}`);
  }
  // Said for people.
  expect(unread).toEqual(['GatewayClass description']);
});

test('what the translation notes of gRPC clients is on the pages', () => {
  const said = Object.values(fieldsThatDiffer).flatMap((fields) => Object.values(fields).map(({ why }) => why));
  const noted = sources.flatMap((text) => [...text.matchAll(/,\s*(?:'([^']+)'|`([^`$]+)[^`]*`),\s*'grpc'\)/g)].map(([, plain, made]) => plain ?? made!));
  expect(noted.length).toBeGreaterThan(5);
  expect(noted.filter((message) => !said.some((why) => why.startsWith(message)))).toEqual([]);
});

test('a field without effect is said in one place', () => {
  const everywhere = Object.values(fieldsNotInEffect).flatMap((fields) => Object.keys(fields));
  // `${field}.retries.perTryTimeout` and the like.
  const noted = sources
    .flatMap((text) => [...text.matchAll(/\b(?:ignored|differs)\([^;`']*[`'](?:\$\{[^}]*\}|spec)\.([^`']*)[`'],/g)])
    .map(([, path]) => path!.replace(/\$\{[^}]*\}/g, ''));
  expect(noted.length).toBeGreaterThan(10);
  expect(noted.filter((path) => everywhere.some((field) => `.${field}`.endsWith(`.${path}`)))).toEqual([]);
  for (const [kind, fields] of Object.entries(fieldsNotInEffect))
    expect(Object.keys(fields).filter((path) => Object.hasOwn(fieldsThatDiffer[kind as KindInEffect] ?? {}, path))).toEqual([]);
});

function has(schema: Schema | undefined, [head, ...rest]: readonly string[]): boolean {
  if (head === undefined) return schema !== undefined;
  const child = schema?.properties?.[head.replace('[]', '')];
  return has(head.endsWith('[]') ? child?.items : child, rest);
}
