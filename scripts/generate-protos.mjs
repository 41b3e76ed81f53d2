// Generates packages/xds/gen from the .proto files inside the npm package @grpc/grpc-js-xds and from our own.
// Nothing is done when the inputs are those of the last time.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

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
const bufProgram = join(root, 'node_modules/.bin/buf');
const image = join(work, 'image.binpb');
const buf = spawnSync(bufProgram, ['build', ...paths(), '-o', image], { cwd: work, stdio: 'inherit' });
if (buf.status === 0) {
  writeFileSync(image, withoutOptions(readFileSync(image)));
  rmSync(gen, { recursive: true, force: true });
  const generated = spawnSync(bufProgram, ['generate', image], { cwd: work, stdio: 'inherit' });
  buf.status = generated.status;
  buf.error = generated.error;
}
if (buf.status !== 0) {
  console.error(`generate-protos: buf ended with ${buf.status ?? buf.error?.message}; see its message above`);
  process.exit(1);
}
rmSync(work, { recursive: true, force: true });
for (const path of walk(gen)) if (path.endsWith('_pb.js')) useOwnFileDesc(path);
writeFileSync(stampFile, stamp);

function paths() {
  return roots.flatMap((path) => ['--path', path]);
}

/**
 * The messages without validation rules and annotations, and without the files that define them: nobody reads them here, and every sidecar would
 * decode them when it starts.
 */
function withoutOptions(bytes) {
  const set = fromBinary(FileDescriptorSetSchema, bytes);
  const annotations = /^(validate|udpa\/annotations|xds\/annotations|envoy\/annotations)\//;
  const strip = (descriptor) => {
    if (descriptor.options) descriptor.options.$unknown = [];
  };
  const stripEnum = (enumeration) => {
    strip(enumeration);
    enumeration.value.forEach(strip);
  };
  const stripMessage = (message) => {
    strip(message);
    message.field.forEach(strip);
    message.oneofDecl.forEach(strip);
    message.enumType.forEach(stripEnum);
    message.nestedType.forEach(stripMessage);
  };
  set.file = set.file.filter(({ name }) => !annotations.test(name));
  for (const file of set.file) {
    strip(file);
    file.dependency = file.dependency.filter((name) => !annotations.test(name));
    file.messageType.forEach(stripMessage);
    file.enumType.forEach(stripEnum);
    for (const service of file.service) {
      strip(service);
      service.method.forEach(strip);
    }
  }
  return toBinary(FileDescriptorSetSchema, set);
}

/** See packages/xds/src/any/file-desc.ts. */
function useOwnFileDesc(path) {
  const own = relative(dirname(path), join(root, 'packages/xds/src/any/file-desc.ts'));
  const text = readFileSync(path, 'utf8').replace(/import \{([^}]*)\} from "@bufbuild\/protobuf\/codegenv2";/, (_, list) => {
    const names = list.split(',').map((name) => name.trim());
    const others = names.filter((name) => name !== 'fileDesc');
    return `${others.length > 0 ? `import { ${others.join(', ')} } from "@bufbuild/protobuf/codegenv2";\n` : ''}import { fileDesc } from "${own}";`;
  });
  writeFileSync(path, text);
}

function* walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}
