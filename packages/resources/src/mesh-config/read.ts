import type { KubernetesDocument } from '../document.ts';
import { field, isJsonObject, type JsonObject } from '../json.ts';
import { parseSettings, type SettingsDocument } from '../parse.ts';
import type { Problem } from '../problem.ts';
import { objectOf } from './check.ts';
import { meshConfigFields } from './fields.ts';

const checkAll = objectOf(Object.fromEntries(Object.entries(meshConfigFields).map(([name, { check }]) => [name, check])));

/** What is wrong with a MeshConfig. An 'Error' refuses all of it; a field that is not known is left out with a 'Warning'. */
export function meshConfigProblems(config: SettingsDocument): readonly Problem[] {
  return checkAll(config.value).map(({ at, message, next, unknown }): Problem => {
    const path = at.replace(/^\./, '');
    return {
      code: 'INVALID',
      level: unknown === true ? 'Warning' : 'Error',
      message: `MeshConfig: ${path === '' ? '' : `${path}: `}${message}`,
      file: config.file,
      line: config.lineOf(path),
      next,
      field: path,
    };
  });
}

/** Fields that are written and do nothing, with the reason. */
export function meshConfigWithoutEffect(config: SettingsDocument): readonly { readonly name: string; readonly line: number; readonly why: string }[] {
  return Object.entries(config.value).flatMap(([name, value]) => {
    const known = Object.hasOwn(meshConfigFields, name) ? meshConfigFields[name] : undefined;
    return known?.effect === 'no' && value !== null ? [{ name, line: config.lineOf(name), why: known.says }] : [];
  });
}

export interface FoundSettings {
  readonly settings: SettingsDocument;
  readonly problems: readonly Problem[];
}

/** MeshConfig where Istio keeps it: in an IstioOperator, or in the ConfigMap "istio". undefined: not in this document. */
export function meshConfigIn(document: KubernetesDocument): FoundSettings | undefined {
  if (document.kind === 'IstioOperator') return under(document, 'spec.meshConfig', field(document.value, 'spec', 'meshConfig'));
  return inConfigMap(document, 'mesh');
}

/** MeshNetworks likewise. */
export function meshNetworksIn(document: KubernetesDocument): FoundSettings | undefined {
  if (document.kind !== 'IstioOperator') return inConfigMap(document, 'meshNetworks');
  const networks = field(document.value, 'spec', 'values', 'global', 'meshNetworks');
  const found = under(document, 'spec.values.global.meshNetworks', networks);
  if (found === undefined) return undefined;
  const lineOf = (path: string): number => found.settings.lineOf(path.replace(/^networks\.?/, ''));
  return { ...found, settings: { ...found.settings, value: { networks: found.settings.value }, lineOf } };
}

function under(document: KubernetesDocument, path: string, value: unknown): FoundSettings | undefined {
  if (value === undefined || value === null) return undefined;
  const { file } = document.origin;
  const settings = { file, value: {} as JsonObject, lineOf: (below: string) => document.lineOf(below === '' ? path : `${path}.${below}`) };
  if (isJsonObject(value)) return { settings: { ...settings, value }, problems: [] };
  const problem: Problem = {
    code: 'INVALID',
    level: 'Error',
    message: `${path} is no mapping`,
    file,
    line: document.lineOf(path),
    next: 'write its fields as "name: value"',
    field: path,
  };
  return { settings, problems: [problem] };
}

function inConfigMap(document: KubernetesDocument, name: string): FoundSettings | undefined {
  if (document.kind !== 'ConfigMap' || document.name !== 'istio') return undefined;
  const text = field(document.value, 'data', name);
  if (typeof text !== 'string') return undefined;
  const { file } = document.origin;
  const { settings, problems } = parseSettings({ file, text });
  // A block begins in the line after its name.
  const offset = document.lineOf(`data.${name}`);
  return {
    settings: { ...settings, lineOf: (path) => settings.lineOf(path) + offset },
    problems: problems.map((problem) => ({ ...problem, line: problem.line + offset })),
  };
}
