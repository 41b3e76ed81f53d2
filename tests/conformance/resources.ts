import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { analyze, readAnalysisInput } from '@outrigger/analysis';
import { createValidator, readResources, refText } from '@outrigger/resources';
import { type GroupResult, type Judged, readJson, refuseBroken, Tally } from './group.ts';

const validator = createValidator();

export async function validationGroup(corpus: string): Promise<GroupResult> {
  const tally = new Tally('istio-validation');
  for (const path of globSync(join(corpus, 'istio-validation/*/*.yaml')).sort()) {
    const valid = path.includes('/valid/');
    await tally.run(`${valid ? 'valid' : 'invalid'}/${basename(path)}`, async () => {
      const reason = path.replace(/\.yaml$/, '.reason.txt');
      return judgeValidation(readFileSync(path, 'utf8'), valid ? undefined : existsSync(reason) ? readFileSync(reason, 'utf8').trim() : '');
    });
  }
  return tally.result();
}

/** `reason` undefined: the resource is valid. */
export async function judgeValidation(text: string, reason: string | undefined): Promise<Judged> {
  const { resources, problems } = await readResources([{ file: 'case.yaml', text }], { validator });
  const said = problems.map(({ message }) => message).join('; ');
  if (reason === undefined) return problems.length === 0 && resources.length === 1 ? undefined : `it is refused: ${said}`;
  if (resources.length > 0) return 'it is taken';
  return said.includes(reason) ? undefined : `it is refused for another reason: ${said}`;
}

export interface AnalysisCase {
  readonly name: string;
  readonly files: readonly string[];
  readonly analyzer: string;
  readonly meshConfig?: string | null;
  readonly meshNetworks?: string | null;
  readonly skipWhenAllAnalyzersRun: boolean;
  readonly expected: readonly { readonly code: string; readonly level: string; readonly resource: string }[];
}

export async function analysisGroup(corpus: string): Promise<GroupResult> {
  const tally = new Tally('istio-analysis');
  const folder = join(corpus, 'istio-analysis');
  for (const one of tally.read('index.json', () => [...readJson<readonly AnalysisCase[]>(join(folder, 'index.json'))]) ?? [])
    await tally.run(`${one.analyzer}: ${one.name}`, () => judgeAnalysis(folder, one));
  return tally.result();
}

/** A case speaks only of its analyzer's messages, but for the Errors that no other may add where it expects nothing. */
export async function judgeAnalysis(folder: string, one: AnalysisCase): Promise<Judged> {
  const source = (file: string) => ({ file, text: readFileSync(join(folder, file)) });
  const { resources, mesh, options, problems } = await readAnalysisInput(one.files.map(source), {
    validator,
    ...(one.meshConfig == null ? {} : { meshConfig: source(one.meshConfig) }),
    ...(one.meshNetworks == null ? {} : { meshNetworks: source(one.meshNetworks) }),
  });
  refuseBroken(problems);
  const messages = analyze(resources, mesh, { ...options, analyzer: one.analyzer });
  const unfinished = messages.find(({ line, message }) => line < 1 || /%[svdq]/.test(message));
  if (unfinished !== undefined) return `said without a line or in part: ${unfinished.file}:${unfinished.line}: ${unfinished.message}`;
  const said = messages.map(({ code, level, resource }) => `${code} ${level} ${plain(refText(resource))}`);
  const wanted = one.expected.map(({ code, level, resource }) => `${code} ${level} ${plain(resource)}`);
  const [missing, added] = [without(wanted, said), without(said, wanted)];
  if (missing.length > 0 || added.length > 0)
    return [missing.length > 0 ? `not said: ${missing.join(', ')}` : '', added.length > 0 ? `said and not expected: ${added.join(', ')}` : '']
      .filter(Boolean)
      .join('; ');
  if (one.expected.length > 0 || one.skipWhenAllAnalyzersRun) return undefined;
  const errors = analyze(resources, mesh, options).filter(({ level }) => level === 'Error');
  return errors.length === 0 ? undefined : `an Error where none may be: ${errors.map(({ code, resource }) => `${code} ${refText(resource)}`).join(', ')}`;
}

/** "Gateway default/alpha" and "Gateway alpha" are one. */
function plain(resource: string): string {
  return resource.replace(' default/', ' ');
}

function without(list: readonly string[], taken: readonly string[]): string[] {
  const left = [...taken];
  return list.filter((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
