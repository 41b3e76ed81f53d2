import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Problem, problemText, type ReadResult, readResources } from '@outrigger/resources';

/** What became of one group of cases. */
export interface GroupResult {
  readonly name: string;
  readonly passed: number;
  readonly total: number;
  readonly failed: readonly { readonly case: string; readonly why: string }[];
  /** Not counted: another answer may be right, as the corpus itself says. */
  readonly leftOut: readonly { readonly case: string; readonly why: string }[];
}

/** Why a case fails; undefined: it passes. */
export type Judged = string | undefined;

export class Tally {
  readonly #name: string;
  readonly #failed: { case: string; why: string }[] = [];
  readonly #leftOut: { case: string; why: string }[] = [];
  #passed = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** What throws fails, and says with what. */
  async run(name: string, judge: () => Judged | Promise<Judged>, quirk?: string): Promise<void> {
    let why: Judged;
    try {
      why = await judge();
    } catch (cause) {
      why = `it throws: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
    if (why === undefined) this.#passed++;
    else if (quirk !== undefined) this.#leftOut.push({ case: name, why: `${quirk} (${why})` });
    else this.#failed.push({ case: name, why });
  }

  /** A file of cases; one that cannot be read counts as one of them, which fails. */
  read<T>(file: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (cause) {
      this.#failed.push({ case: file, why: `it cannot be read: ${cause instanceof Error ? cause.message : String(cause)}` });
      return undefined;
    }
  }

  result(): GroupResult {
    return { name: this.#name, passed: this.#passed, total: this.#passed + this.#failed.length, failed: this.#failed, leftOut: this.#leftOut };
  }
}

/** A group of suites: a JSON file each, beside the resources that its cases are tried on. */
interface SuiteGroup<Suite, Case, Prepared> {
  readonly casesOf: (suite: Suite) => readonly Case[];
  readonly prepare: (folder: string, suite: Suite) => Promise<Prepared>;
  readonly nameOf: (one: Case) => string;
  readonly judge: (prepared: Prepared, one: Case) => Judged;
  readonly quirkOf?: (one: Case) => string | undefined;
}

export async function runSuites<Suite extends { readonly name: string }, Case, Prepared>(
  corpus: string,
  name: string,
  { casesOf, prepare, nameOf, judge, quirkOf }: SuiteGroup<Suite, Case, Prepared>,
): Promise<GroupResult> {
  const tally = new Tally(name);
  const folder = join(corpus, name);
  for (const path of globSync(join(folder, '*.json')).sort()) {
    const suite = readSuite(tally, path, casesOf);
    if (suite === undefined) continue;
    const prepared = prepare(folder, suite);
    // Each of its cases says what went wrong.
    prepared.catch(() => undefined);
    for (const [index, one] of casesOf(suite).entries())
      await tally.run(`${suite.name}: ${nameOf(one)} [${index}]`, async () => judge(await prepared, one), quirkOf?.(one));
  }
  return tally.result();
}

function readSuite<Suite, Case>(tally: Tally, path: string, casesOf: (suite: Suite) => readonly Case[]): Suite | undefined {
  return tally.read(basename(path), () => {
    const suite = readJson<Suite>(path);
    if (!Array.isArray(casesOf(suite))) throw new Error('it has no list of cases');
    return suite;
  });
}

/** Resources of cases, those too that are refused: what is wrong with them is not what the cases are about. */
export async function readCaseResources(files: Parameters<typeof readResources>[0]): Promise<Pick<ReadResult, 'resources' | 'others'>> {
  const { resources, refused, others, problems } = await readResources(files);
  refuseBroken(problems);
  return { resources: [...resources, ...refused], others };
}

/** A case whose text is no YAML says nothing of what it is about. */
export function refuseBroken(problems: readonly Problem[]): void {
  const broken = problems.filter(({ code }) => code === 'SYNTAX' || code === 'FILE_UNREADABLE');
  if (broken.length > 0) throw new Error(broken.map(problemText).join('; '));
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
