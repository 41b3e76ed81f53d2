// Generates packages/xds/gen from the .proto files inside the npm package @grpc/grpc-js-xds and from our own.
// Nothing is done when the inputs are those of the last time.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(root, 'package.json'));
const depsPackage = require.resolve('@grpc/grpc-js-xds/package.json');
const deps = join(dirname(depsPackage), 'deps');
const own = join(root, 'packages/xds/proto');
const gen = join(root, 'packages/xds/gen');
const roots = readFileSync(join(own, 'roots.txt'), 'utf8')
  .split('\n')
  .filter((line) => line && !line.startsWith('#'));

const versions = ['@grpc/grpc-js-xds', '@bufbuild/buf', '@bufbuild/protoc-gen-es'].map(
  (name) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')).version,
);
const ownFiles = roots.filter((path) => path.startsWith('outrigger/')).map((path) => readFileSync(join(own, path), 'utf8'));
const stamp = createHash('sha256')
  .update(JSON.stringify([versions, roots, ownFiles, readFileSync(fileURLToPath(import.meta.url), 'utf8')]))
  .digest('hex');
const stampFile = join(gen, '.stamp');
if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) process.exit(0);

console.log('generating xDS messages (about 30 s, once) ...');
const work = join(root, '.build/protos');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
for (const module of ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'])
  cpSync(join(deps, module), work, { recursive: true, filter: (path) => !/\.(md|yaml|bazel|go|sum|mod)$/.test(path) });
cpSync(own, work, { recursive: true });
// The bundled validate.proto is older than the Envoy files that use it: one field is missing.
const validate = join(work, 'validate/validate.proto');
const text = readFileSync(validate, 'utf8');
if (!/message StringRules[^}]*ignore_empty/s.test(text))
  writeFileSync(validate, text.replace(/(message StringRules \{)/, '$1\n    optional bool ignore_empty = 26;'));
writeFileSync(join(work, 'buf.yaml'), 'version: v2\n');
writeFileSync(
  join(work, 'buf.gen.yaml'),
  JSON.stringify({
    version: 'v2',
    plugins: [
      {
        local: [process.execPath, join(root, 'node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es')],
        out: gen,
        opt: ['target=js+dts', 'import_extension=js'],
        include_imports: true,
      },
    ],
  }),
);
rmSync(gen, { recursive: true, force: true });
const buf = spawnSync(join(root, 'node_modules/.bin/buf'), ['generate', ...roots.flatMap((path) => ['--path', path])], { cwd: work, stdio: 'inherit' });
if (buf.status !== 0) {
  console.error(`generate-protos: buf ended with ${buf.status ?? buf.error?.message}; see its message above`);
  process.exit(1);
}
rmSync(work, { recursive: true, force: true });
writeFileSync(stampFile, stamp);
