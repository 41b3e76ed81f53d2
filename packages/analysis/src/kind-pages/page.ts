import { type Kind, kindInEffect, loadSchema } from '@outrigger/resources';
import { type FieldRow, fieldRows } from './field-rows.ts';
import { kindTexts } from './texts.ts';

/** docs/kinds/NAME.md; two kinds are called Gateway. */
export function pageName({ group, kind }: Pick<Kind, 'group' | 'kind'>): string {
  return group === 'gateway.networking.k8s.io' && kind === 'Gateway' ? 'Gateway-API' : kind;
}

/** The page of one kind: what it is for, an example, and every field with its effect. */
export async function kindPage(kind: Kind): Promise<string> {
  const { about, example } = textsOf(kind);
  const versions = kind.versions.map((version) => `\`${kind.group}/${version}\``).join(', ');
  const lines = [`# ${kind.kind}`, '', `${versions}; ${kind.scope === 'Cluster' ? 'of the whole mesh' : 'in a namespace'}. ${about}`, ''];
  if (example !== undefined) lines.push('```yaml', example.trim(), '```', '');
  const inEffect = kindInEffect(kind.group, kind.kind);
  if (inEffect === undefined) lines.push('It is read, validated as a Kubernetes API server would, kept and shown; none of its fields has an effect.', '');
  else {
    const found = await loadSchema(kind, kind.storageVersion);
    const spec = found?.schema.properties?.['spec'] ?? found?.schema;
    if (spec === undefined) throw new Error(`${kind.kind} has no schema`);
    lines.push(...fieldTable(fieldRows(inEffect, spec)), '');
  }
  lines.push('[All kinds](README.md)', '');
  return lines.join('\n');
}

function fieldTable(rows: readonly FieldRow[]): string[] {
  const none = rows.filter(({ effect }) => effect.startsWith('no')).length;
  const heading =
    none === 0
      ? `All of its ${rows.length} fields are in effect.`
      : `${rows.length - none} of ${rows.length} fields are in effect; a field that is not says so in the resource's status too.`;
  return [
    heading,
    '',
    '| field | takes | in effect |',
    '| --- | --- | --- |',
    ...rows.map(({ path, type, effect }) => `| \`${path}\` | ${type} | ${effect.replaceAll('|', '\\|')} |`),
  ];
}

/** docs/kinds/README.md */
export function kindIndex(kinds: readonly Kind[]): string {
  const rows = [...kinds]
    .sort((left, right) => (left.group === right.group ? (left.kind < right.kind ? -1 : 1) : left.group < right.group ? -1 : 1))
    .map(
      (kind) =>
        `| [${kind.kind}](${pageName(kind)}.md) | ${kind.group} | ${kind.inEffect ? 'yes' : 'no'} | ${textsOf(kind).about.split('. ')[0]!.replace(/\.$/, '')} |`,
    );
  return [
    '# Kinds',
    '',
    'Every kind of Istio and of Gateway API is read and validated with the schemas and rules of its own definition. A page each says, field by field, what is in effect here; the tables are made of those',
    'schemas and of what the translation knows, so they cannot be out of date. Off Kubernetes these are files or `rig apply`; kinds of Kubernetes itself (Service, Deployment, Pod) are read by `rig analyze` and',
    '`rig simulate`, and left out, counted and said by `rig apply`.',
    '',
    '| kind | group | in effect | for |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function textsOf({ group, kind }: Kind): { readonly about: string; readonly example?: string } {
  const texts = kindTexts[`${group}/${kind}`];
  if (texts === undefined) throw new Error(`${group}/${kind} has no text in texts.ts`);
  return texts;
}
