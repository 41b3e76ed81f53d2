import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runCorpus, table } from './run.ts';

const root = join(import.meta.dirname, '../..');
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
  const groups = await runCorpus(corpus);
  if (values.json) console.log(JSON.stringify({ groups: groups.map(({ name, passed, total, failed }) => ({ name, passed, total, failed })) }, null, 2));
  else console.log(groups.length === 0 ? `no group of cases is in ${corpus}` : table(groups));
  process.exitCode = groups.length > 0 && groups.every(({ failed }) => failed.length === 0) ? 0 : 1;
}
