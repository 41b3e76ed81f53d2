import templates from '../messages/messages.json' with { type: 'json' };
import type { Level } from './message.ts';
import { ownTemplates } from './own-templates.ts';

export type Argument = string | number | readonly (string | number)[];

export interface Template {
  readonly code: string;
  readonly name: string;
  readonly level: Level;
  readonly template: string;
}

const byCode: ReadonlyMap<string, Template> = new Map(
  [...(templates as readonly { code: string; name: string; level: string; template: string }[]), ...ownTemplates].map((row) => [row.code, row as Template]),
);

/** Istio's codes and ours, by code. */
export const allTemplates: readonly Template[] = [...byCode.values()].sort((a, b) => (a.code < b.code ? -1 : 1));

/** Level and text of a code's message. */
export function messageText(code: string, args: readonly Argument[]): { readonly level: Level; readonly text: string } {
  const template = byCode.get(code);
  if (template === undefined) throw new RangeError(`${code} is no code of the analysis`);
  let next = 0;
  const text = template.template.replace(/%[svdq%]/g, (verb) => {
    if (verb === '%%') return '%';
    const argument = args[next++] ?? '';
    return verb === '%q' ? JSON.stringify(String(argument)) : shown(argument);
  });
  return { level: template.level, text };
}

/** Lists as Go prints them: [a b]. */
function shown(argument: Argument): string {
  return typeof argument === 'object' ? `[${argument.join(' ')}]` : String(argument);
}
