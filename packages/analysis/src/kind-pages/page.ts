import { type Kind, type KindInEffect, kindInEffect, loadSchema } from '@outrigger/resources';
import { kindsNotInEffect } from '../not-in-effect.ts';
import { type FieldRow, fieldRows } from './field-rows.ts';
import { kindTexts } from './texts.ts';

const MADE = '<!-- Made by packages/analysis/src/kind-pages; `vitest -u` there writes it anew -->';

/** docs/kinds/NAME.md; two kinds are called Gateway. */
export function pageName({ group, kind }: Pick<Kind, 'group' | 'kind'>): string {
  return group === 'gateway.networking.k8s.io' && kind === 'Gateway' ? 'Gateway-API' : kind;
}

/** The page of one kind: what it is for, an example, and every field with its effect. */
export async function kindPage(kind: Kind): Promise<string> {
  const { about, example } = textsOf(kind);
  const versions = kind.versions.map((version) => `\`${kind.group}/${version}\``).join(', ');
  const lines = [MADE, '', `# ${kind.kind}`, '', `${versions}; ${kind.scope === 'Cluster' ? 'of the whole mesh' : 'in a namespace'}. ${about}`, ''];
  if (example !== undefined) lines.push('```yaml', example.trim(), '```', '');
  const inEffect = kindInEffect(kind.group, kind.kind);
  const why = kindsNotInEffect[`${kind.group}/${kind.kind}`];
  if (inEffect === undefined)
    lines.push(
      `It is read, validated as a Kubernetes API server would, kept and shown; none of its fields has an effect${why === undefined ? '' : `: ${why}`}.`,
      '',
    );
  else lines.push(...fieldTable(await rowsOf(kind, inEffect)), '');
  lines.push('[All kinds](README.md)', '');
  return lines.join('\n');
}

async function rowsOf(kind: Kind, inEffect: KindInEffect): Promise<readonly FieldRow[]> {
  const found = await loadSchema(kind, kind.storageVersion);
  if (found === undefined) throw new Error(`${kind.kind} has no schema`);
  return fieldRows(inEffect, found.schema.properties?.['spec'] ?? found.schema);
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
    ...table(
      ['field', 'takes', 'in effect'],
      rows.map(({ path, type, effect }) => [`\`${path}\``, type, effect]),
    ),
  ];
}

/** As the formatter of this project writes one. */
function table(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heading.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(heading), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)];
}

/** docs/kinds/README.md */
export async function kindIndex(kinds: readonly Kind[]): Promise<string> {
  const sorted = [...kinds].sort((left, right) => (left.group === right.group ? (left.kind < right.kind ? -1 : 1) : left.group < right.group ? -1 : 1));
  const rows = await Promise.all(
    sorted.map(async (kind) => {
      const purpose = textsOf(kind).about.split(/[.:] /)[0]!.replace(/\.$/, '');
      return [`[${kind.kind}](${pageName(kind)}.md)`, kind.group, await extent(kind), purpose];
    }),
  );
  return [
    MADE,
    '',
    '# Kinds',
    '',
    'Every kind of Istio and of Gateway API is read and validated with the schemas and rules of its own definition. A page each says, field by field, what is in effect here; the tables are made of those',
    'schemas and of what the translation knows, so they cannot be out of date. Off Kubernetes these are files or `rig apply`; kinds of Kubernetes itself (Service, Deployment, Pod) are read by `rig analyze` and',
    '`rig simulate`, and left out, counted and said by `rig apply`.',
    '',
    ...table(['kind', 'group', 'in effect', 'for'], rows),
    '',
  ].join('\n');
}

/** How much of a kind is in effect. */
async function extent(kind: Kind): Promise<string> {
  const inEffect = kindInEffect(kind.group, kind.kind);
  const rows = inEffect === undefined ? [] : await rowsOf(kind, inEffect);
  const fields = rows.filter(({ effect }) => effect.startsWith('yes')).length;
  return fields === 0 ? 'no' : fields === rows.length ? 'all' : `${fields} of ${rows.length} fields`;
}

function textsOf({ group, kind }: Kind): { readonly about: string; readonly example?: string } {
  const texts = kindTexts[`${group}/${kind}`];
  if (texts === undefined) throw new Error(`${group}/${kind} has no text in texts.ts`);
  return texts;
}
