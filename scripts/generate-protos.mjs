// Generates packages/xds/gen from the .proto files inside the npm package @grpc/grpc-js-xds and from our own.
// Nothing is done when the inputs are those of the last time.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
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
const ownFiles = roots.filter((path) => existsSync(join(own, path))).map((path) => readFileSync(join(own, path), 'utf8'));
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
let lean;
if (buf.status === 0) {
  lean = withoutOptions(readFileSync(image));
  writeFileSync(image, lean);
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
await useLazyDescriptors(fromBinary(FileDescriptorSetSchema, lean));
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

/**
 * Files are decoded when they are first used (packages/xds/src/any/lazy-desc.ts): each gets the names of its types, and its enums as they are,
 * since the library would read them from the decoded file.
 */
async function useLazyDescriptors(set) {
  const namesOf = (message) => [
    message.name,
    message.nestedType.filter((nested) => !nested.options?.mapEntry).map(namesOf),
    message.enumType.map(({ name }) => name),
  ];
  const files = new Map(
    set.file.map((file) => [
      file.name,
      [file.name, file.package, file.messageType.map(namesOf), file.enumType.map(({ name }) => name), file.service.map(({ name }) => name)],
    ]),
  );
  const written = [];
  for (const path of walk(gen)) {
    if (!path.endsWith('_pb.js')) continue;
    const names = files.get(
      `${relative(gen, path)
        .replaceAll('\\', '/')
        .replace(/_pb\.js$/, '')}.proto`,
    );
    if (names === undefined) throw new Error(`generate-protos: nothing is known of ${path}`);
    const module = await import(pathToFileURL(path).href);
    const own = relative(dirname(path), join(root, 'packages/xds/src/any/lazy-desc.ts')).replaceAll('\\', '/');
    const lazy = ['fileDesc', 'messageDesc', 'enumDesc', 'serviceDesc'];
    const text = readFileSync(path, 'utf8')
      .replace(/import \{([^}]*)\} from "@bufbuild\/protobuf\/codegenv2";/g, (_, list) => {
        const wanted = list.split(',').map((name) => name.trim());
        const line = (some, from) => (some.length > 0 ? `import { ${some.join(', ')} } from "${from}";` : '');
        return [
          line(
            wanted.filter((name) => !lazy.includes(name) && name !== 'tsEnum'),
            '@bufbuild/protobuf/codegenv2',
          ),
          line(
            wanted.filter((name) => lazy.includes(name)),
            own,
          ),
        ].join('\n');
      })
      .replace(/fileDesc\(("[^"]*")(?:, (\[[^\]]*\]))?\);/, (_, base64, imports) => `fileDesc(${base64}, ${imports ?? 'undefined'}, ${JSON.stringify(names)});`)
      .replace(/export const (\w+) = \/\*@__PURE__\*\/\s+tsEnum\(\w+\);/g, (_, name) => `export const ${name} = ${JSON.stringify(module[name])};`);
    if (/tsEnum|from "@bufbuild\/protobuf\/codegenv2"/.test(text.replace(/import \{ extDesc \}[^;]*;/, '')))
      throw new Error(`generate-protos: ${path} is not as it was expected`);
    written.push([path, text]);
  }
  for (const [path, text] of written) writeFileSync(path, text);
}

function* walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}
