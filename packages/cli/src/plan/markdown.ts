import { refText } from '@outrigger/resources';
import { messageLine } from '../messages.ts';
import type { Plan } from './plan.ts';
import { accessLine, bytesText, replayLines, serviceLines, typesText } from './print.ts';

/** A comment of a pull request has room for 65,536 characters. */
const MAX_CHARACTERS = 60_000;
const MAX_ROWS = 50;

/** For a pull request: what somebody must see on top, the rest to unfold. */
export function planMarkdown(plan: Plan): string {
  const parts = [
    `### Risk: ${plan.risk}`,
    list(plan.reasons.map(({ risk, reason }) => `**${risk}**: ${text(reason)}`)),
    plan.resources.length === 0
      ? 'No resource changes.'
      : `${plan.resources.length} resources: ${plan.resources
          .slice(0, MAX_ROWS)
          .map(({ resource, change }) => `${code(refText(resource))} ${change}`)
          .join(', ')}.`,
    `${plan.proxies.length} of ${plan.allProxies} proxies are touched, ${bytesText(plan.xdsBytes)} of xDS.`,
    plan.access.length === 0 ? '' : `#### Access\n\n${list(plan.access.slice(0, MAX_ROWS).map((change) => text(accessLine(change))))}`,
    plan.replay === undefined ? '' : `#### Replay\n\n${fenced(replayLines(plan.replay))}`,
    ...plan.services.map((service) => folded(service.service, fenced(serviceLines(service)))),
    plan.proxies.length === 0 ? '' : folded('Proxies', proxyTable(plan)),
    plan.messages.new.length + plan.messages.gone.length === 0
      ? ''
      : folded(
          `Analysis: ${plan.messages.new.length} new, ${plan.messages.gone.length} gone`,
          fenced([...plan.messages.new.map((message) => `+ ${messageLine(message)}`), ...plan.messages.gone.map((message) => `- ${messageLine(message)}`)]),
        ),
    plan.assumed.length === 0 ? '' : folded('Assumed', list(plan.assumed.map(text))),
  ].filter((part) => part !== '');
  let written = '';
  for (const part of parts) {
    if (written.length + part.length > MAX_CHARACTERS) return `${written}The rest is too long for here: \`rig plan\` prints it.\n`;
    written += `${part}\n\n`;
  }
  return written.trimEnd();
}

function proxyTable({ proxies }: Plan): string {
  const rows = proxies.slice(0, MAX_ROWS).map(({ proxy, bytes, changes }) => `| ${code(proxy)} | ${bytesText(bytes)} | ${typesText({ changes })} |`);
  const more = proxies.length > MAX_ROWS ? `\n\nand ${proxies.length - MAX_ROWS} more` : '';
  return `| proxy | xDS | changes |\n| --- | --- | --- |\n${rows.join('\n')}${more}`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

function folded(title: string, content: string): string {
  return `<details><summary>${text(title)}</summary>\n\n${content}\n\n</details>`;
}

/** Names come from files of others: nothing in them ends the block. */
function fenced(lines: readonly string[]): string {
  const longest = Math.max(0, ...lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([ticks]) => ticks.length)));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return `${fence}diff\n${lines.map((line) => line.replace(/^ +([-+] )/, '$1')).join('\n')}\n${fence}`;
}

function code(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

function text(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('`', '\\`').replaceAll('|', '\\|').replaceAll('@', '&#64;');
}
