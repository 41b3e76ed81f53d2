// The three floors of ARCHITECTURE.md, held against every import of packages/*/src.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Which packages a package may import. */
const allowed = {
  resources: [],
  analysis: ['resources', 'xds/protos'],
  translate: ['resources', 'xds/protos'],
  xds: [],
  identity: ['xds'],
  discovery: ['resources', 'xds'],
  telemetry: ['xds'],
  proxy: ['xds', 'telemetry'],
  'control-plane': ['resources', 'analysis', 'translate', 'discovery', 'identity', 'telemetry', 'xds'],
  // The shapes of the HTTP API are types alone.
  dashboard: ['control-plane/api'],
  cli: ['control-plane', 'dashboard', 'proxy', 'identity', 'discovery', 'translate', 'analysis', 'resources', 'telemetry', 'xds'],
};
/** No `node:` import, no socket, no clock. */
const pure = [
  /^packages\/(resources|analysis|translate)\//,
  /^packages\/proxy\/src\/(http|http1|http2|routing|lb|resilience|filters)\//,
  /^packages\/proxy\/src\/pure\.ts$/,
];
const clocks = /\b(Date\.now|performance\.now|setTimeout|setInterval|setImmediate|Math\.random)\s*\(/;

const testOnly = new Set(['vitest', 'fast-check', '@grpc/grpc-js', '@grpc/grpc-js-xds']);
const faults = [];
for (const name of readdirSync(join(root, 'packages'))) {
  const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
  const declared = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.peerDependencies ?? {}),
    ...Object.keys(manifest.optionalDependencies ?? {}),
  ]);
  for (const file of walk(join(root, 'packages', name, 'src'))) {
    const path = relative(root, file);
    const test = path.endsWith('.test.ts') || path.includes('/testing/');
    const text = readFileSync(file, 'utf8');
    for (const specifier of imports(text)) {
      if (specifier.startsWith('.')) {
        if (relative(join(root, 'packages', name), join(file, '..', specifier)).startsWith('..')) faults.push(`${path}: leaves its package by ${specifier}`);
        continue;
      }
      if (specifier.startsWith('node:')) {
        if (!test && pure.some((pattern) => pattern.test(path))) faults.push(`${path}: is of the pure floor and imports ${specifier}`);
        continue;
      }
      // A package may name itself: its generated messages are reached that way.
      if (specifier === manifest.name || specifier.startsWith(`${manifest.name}/`)) continue;
      const scope = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : specifier.split('/')[0];
      if (!declared.has(scope) && !(test && testOnly.has(scope)))
        faults.push(`${path}: imports ${scope}, which packages/${name}/package.json does not declare`);
      if (scope.startsWith('@outrigger/')) {
        const target = scope.slice('@outrigger/'.length);
        const rules = allowed[name] ?? [];
        const ok = rules.includes(target) || rules.some((rule) => rule.startsWith(`${target}/`) && specifier.startsWith(`@outrigger/${rule}`));
        if (!ok && !test) faults.push(`${path}: ${name} may not import ${specifier}`);
      }
    }
    if (!test && pure.some((pattern) => pattern.test(path))) {
      text.split('\n').forEach((line, index) => {
        if (clocks.test(line) && !/^\s*(\/\/|\*)/.test(line)) faults.push(`${path}:${index + 1}: the pure floor has no clock, timer or randomness of its own`);
      });
    }
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}

function imports(text) {
  return [...text.matchAll(/^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm)].map(
    (match) => match[1] ?? match[2] ?? match[3],
  );
}

function* walk(folder) {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (/\.(ts|tsx|svelte)$/.test(entry.name)) yield path;
  }
}
