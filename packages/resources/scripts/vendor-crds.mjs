// Turns CustomResourceDefinitions (YAML) into packages/resources/schemas: one compact JSON a kind, and src/schema/vendored.ts,
// the table of kinds with a lazy import each. Run it again when the CRDs of schemas/SOURCES.md are renewed:
//   node packages/resources/scripts/vendor-crds.mjs DIR && biome check --write packages/resources   (DIR holds the YAML files; where two hold one kind, the later wins)
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

const source = process.argv[2];
if (source === undefined) throw new Error('usage: vendor-crds.mjs DIR: say where the CRDs are');
const home = join(dirname(fileURLToPath(import.meta.url)), '..');
const schemas = join(home, 'schemas');

// Experimental holds all of standard's kinds and fields, so it is read last and wins.
const files = ['istio.yaml', 'gateway-api-standard.yaml', 'gateway-api-experimental.yaml'];
const missing = files.filter((file) => !readdirSync(source).includes(file));
if (missing.length > 0) throw new Error(`${source} lacks ${missing.join(', ')}`);

/** Documentation takes two thirds of a CRD and validates nothing. */
function withoutDescriptions(schema, inProperties = false) {
  if (Array.isArray(schema)) return schema.map((item) => withoutDescriptions(item));
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(([key]) => inProperties || !['description', 'example', 'externalDocs', 'title'].includes(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, withoutDescriptions(value, !inProperties && (key === 'properties' || key === 'default'))]));
}

/** "v1" before "v1beta2" before "v1beta1" before "v1alpha3", as Kubernetes orders them. */
function rank(version) {
  const [, major, stage, minor] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  return (stage === undefined ? 2e6 : stage === 'beta' ? 1e6 : 0) + Number(major) * 1000 + Number(minor ?? 0);
}

const kinds = new Map();
for (const file of files) {
  for (const document of parseAllDocuments(readFileSync(join(source, file), 'utf8'))) {
    const crd = document.toJS();
    if (crd?.kind !== 'CustomResourceDefinition') continue;
    const { group, names, scope, versions } = crd.spec;
    const served = versions.filter((version) => version.served).sort((a, b) => rank(b.name) - rank(a.name));
    const distinct = [];
    const byVersion = {};
    for (const version of served) {
      const text = JSON.stringify(withoutDescriptions(version.schema.openAPIV3Schema));
      if (!distinct.includes(text)) distinct.push(text);
      byVersion[version.name] = { schema: distinct.indexOf(text), statusSubresource: version.subresources?.status !== undefined };
    }
    kinds.set(`${group}/${names.kind}`, {
      row: {
        group,
        kind: names.kind,
        plural: names.plural,
        scope,
        versions: served.map((version) => version.name),
        storageVersion: versions.find((version) => version.storage).name,
      },
      json: `{"versions":${JSON.stringify(byVersion)},"schemas":[${distinct.join(',')}]}\n`,
    });
  }
}

mkdirSync(schemas, { recursive: true });
for (const file of readdirSync(schemas).filter((file) => file.endsWith('.json'))) rmSync(join(schemas, file));
const rows = [];
for (const [, { row, json }] of [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const file = `${row.group}.${row.kind}.json`;
  writeFileSync(join(schemas, file), json);
  const fields = Object.entries(row).map(
    ([key, value]) => `${key}: ${Array.isArray(value) ? `[${value.map((item) => `'${item}'`).join(', ')}]` : `'${value}'`}`,
  );
  rows.push(
    `  { ${fields.join(', ')}, load: async () => (await import('../../schemas/${file}', { with: { type: 'json' } })).default as unknown as KindSchemas },`,
  );
}
writeFileSync(
  join(home, 'src/schema/vendored.ts'),
  `// Written by scripts/vendor-crds.mjs from the CRDs that schemas/SOURCES.md names. Do not edit.
import type { KindSchemas } from './structural.ts';

export interface VendoredKind {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly scope: 'Namespaced' | 'Cluster';
  /** Served, newest first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  /** The schemas of its versions, read when first needed. */
  readonly load: () => Promise<KindSchemas>;
}

export const vendoredKinds: readonly VendoredKind[] = [
${rows.join('\n')}
];
`,
);
