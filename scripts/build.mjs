// Bundles the programs: packages/cli/dist/rig.js and the four that it loads, and the dashboard's page.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'packages/cli/dist');
/**
 * Imports of Node's own modules, without the ES module that Node would make of each: making it reads every export, and those of http and crypto
 * load undici and WebCrypto, a fifth of a sidecar's start.
 */
const builtinsAsTheyAre = {
  name: 'builtins-as-they-are',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    bundler.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});` }));
  },
};
rmSync(out, { recursive: true, force: true });
const common = {
  outdir: out,
  bundle: true,
  platform: 'node',
  target: 'node22',
  minifyWhitespace: true,
  lineLimit: 160,
  plugins: [builtinsAsTheyAre],
  // The same parser; the one for Node asks the environment at each token whether to log it, which is a third of the time that YAML takes.
  alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
  // Native modules stay where npm put them.
  external: ['lmdb', 'koffi'],
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  logLevel: 'warning',
};
// Each program is one CommonJS file: modules, which Node resolves and links one by one, cost a quarter of a sidecar's start.
const commonJs = {
  ...common,
  format: 'cjs',
  define: { 'import.meta.url': '__importMetaUrl' },
  banner: { js: "const __importMetaUrl = require('node:url').pathToFileURL(__filename).href;" },
};
await build({ ...commonJs, entryPoints: { rig: join(root, 'packages/cli/src/main.ts') } });
await build({
  ...commonJs,
  entryPoints: {
    proxy: join(root, 'packages/cli/src/commands/proxy.ts'),
    workers: join(root, 'packages/cli/src/commands/workers.ts'),
    program: join(root, 'packages/cli/src/program.ts'),
  },
  outExtension: { '.js': '.cjs' },
});
/** The command line with those commands alone that work on files: half of the program is what they need not be loaded with. */
const commandsOnFiles = {
  name: 'commands-on-files',
  setup: (bundler) =>
    bundler.onResolve({ filter: /^\.\/commands\// }, ({ path }) =>
      ['analyze', 'plan', 'simulate'].some((command) => path.endsWith(`/${command}.ts`)) ? undefined : { path, external: true },
    ),
};
await build({
  ...commonJs,
  entryPoints: { 'on-files': join(root, 'packages/cli/src/program.ts') },
  outExtension: { '.js': '.cjs' },
  plugins: [commandsOnFiles, builtinsAsTheyAre],
});
// V8 keeps the text of a program, at two bytes a character where one of them is beyond Latin-1: 3.6 MB more for each sidecar's supervisor.
for (const program of ['proxy', 'workers', 'program', 'on-files']) {
  const file = join(out, `${program}.cjs`);
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replace(/[^\x00-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}
writeFileSync(join(out, 'package.json'), '{"type":"commonjs"}\n');

const dashboard = join(root, 'packages/dashboard');
if (existsSync(join(dashboard, 'src/main.tsx'))) {
  const page = join(out, 'dashboard');
  mkdirSync(page, { recursive: true });
  await build({
    entryPoints: [join(dashboard, 'src/main.tsx')],
    outdir: page,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
    jsx: 'automatic',
    jsxImportSource: 'preact',
  });
  cpSync(join(dashboard, 'src/index.html'), join(page, 'index.html'));
}
