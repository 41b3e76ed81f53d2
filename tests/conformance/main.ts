import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { GroupResult } from './group.ts';
import { groupNames, runCorpus, table } from './run.ts';

const USAGE = 'npm run conformance -- [--corpus DIR] [--json]';
const WRONG_USE = 2;
const root = join(import.meta.dirname, '../..');

process.exitCode = await main(process.argv.slice(2));

/** What is said beside the result goes to stderr, so that stdout is JSON where it is asked for. */
async function main(args: readonly string[]): Promise<number> {
  let options: { readonly corpus?: string | undefined; readonly json: boolean };
  try {
    options = parseArgs({ args: [...args], options: { corpus: { type: 'string' }, json: { type: 'boolean', default: false } } }).values;
  } catch (cause) {
    console.error(`${(cause as Error).message}\n${USAGE}`);
    return WRONG_USE;
  }
  const corpus = options.corpus === undefined ? join(root, '../shared/corpus') : resolve(options.corpus);
  const folder = statSync(corpus, { throwIfNoEntry: false })?.isDirectory() === true;
  const groups = folder ? await runCorpus(corpus) : [];
  if (options.json) console.log(JSON.stringify({ groups: groups.map(({ name, passed, total, failed }) => ({ name, passed, total, failed })) }, null, 2));
  else if (groups.length > 0) console.log(table(groups));
  if (!folder && options.corpus === undefined) {
    console.error(`skipped: ${corpus} is not there; name another folder of its layout by --corpus DIR`);
    return 0;
  }
  if (groups.length === 0) {
    const what = folder ? `none of the groups is in it (folders ${groupNames.join(', ')})` : 'there is no such folder';
    console.error(`${options.corpus === undefined ? corpus : `--corpus ${options.corpus}`}: ${what}`);
    return WRONG_USE;
  }
  return judge(groups, corpus);
}

function judge(groups: readonly GroupResult[], corpus: string): number {
  for (const name of groupNames) if (!groups.some((group) => group.name === name)) console.error(`left out: there is no folder ${name} in ${corpus}`);
  const empty = groups.filter(({ total }) => total === 0);
  for (const { name } of empty) console.error(`no case is in ${join(corpus, name)}`);
  return empty.length === 0 && groups.every(({ failed }) => failed.length === 0) ? 0 : 1;
}
