// Cases that nobody here wrote, group by group: `npm run conformance [-- --corpus DIR] [--json]`. Exit code 1: a case fails.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { corpus: { type: 'string' }, json: { type: 'boolean', default: false } } });
const corpus = values.corpus === undefined ? join(root, '../shared/corpus') : resolve(values.corpus);

if (!existsSync(corpus)) {
  if (values.corpus !== undefined) {
    console.error(`--corpus ${values.corpus}: there is no such folder`);
    process.exit(2);
  }
  if (values.json) console.log(JSON.stringify({ groups: [] }));
  else console.log(`skipped: ${corpus} is not there; name another folder of its layout by --corpus DIR`);
} else {
  const { runCorpus, table } = await import('../tests/conformance/run.ts');
  const groups = await runCorpus(corpus);
  if (values.json) console.log(JSON.stringify({ groups: groups.map(({ name, passed, total, failed }) => ({ name, passed, total, failed })) }, null, 2));
  else console.log(groups.length === 0 ? `no group of cases is in ${corpus}` : table(groups));
  process.exitCode = groups.length > 0 && groups.every(({ failed }) => failed.length === 0) ? 0 : 1;
}
