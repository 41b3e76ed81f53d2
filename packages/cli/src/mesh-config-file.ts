import {
  type KubernetesDocument,
  meshConfigIn,
  meshConfigProblems,
  type Problem,
  parseSettings,
  problemText,
  type SettingsDocument,
} from '@outrigger/resources';
import { CliError, ExitCode } from './error.ts';
import { readConfigFiles } from './files.ts';

const NONE: SettingsDocument = { file: '', value: {}, lineOf: () => 0 };

/** The mesh's settings: of `--mesh-config`, else of an IstioOperator or the ConfigMap "istio" among the files. `problems`: what is left out of them. */
export function meshConfigFor(
  path: string | undefined,
  others: readonly KubernetesDocument[],
): { readonly settings: SettingsDocument; readonly problems: readonly Problem[] } {
  const found = path === undefined ? others.map(meshConfigIn).find((one) => one !== undefined) : parseSettings(onlyFile(path));
  if (found === undefined) return { settings: NONE, problems: [] };
  const problems = [...found.problems, ...meshConfigProblems(found.settings)];
  const fatal = problems.find(({ level }) => level === 'Error');
  if (fatal === undefined) return { settings: found.settings, problems };
  throw new CliError(`${path === undefined ? '' : '--mesh-config '}${problemText(fatal)}`, { next: fatal.next, exitCode: ExitCode.failed });
}

function onlyFile(path: string) {
  const files = readConfigFiles([path]);
  if (files.length > 1) throw new CliError(`--mesh-config ${path}: it is ${files.length} files`, { next: 'name one file', exitCode: ExitCode.usage });
  return files[0]!;
}
