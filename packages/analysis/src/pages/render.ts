import { allTemplates, type Template } from '../templates.ts';
import { pages } from './index.ts';
import type { Page } from './page.ts';

/** docs/analysis: the text of each page by the name of its file. */
export function renderedPages(): ReadonlyMap<string, string> {
  return new Map(
    allTemplates.flatMap((template) => (pages[template.code] === undefined ? [] : [[`${template.code}.md`, render(template, pages[template.code]!)]])),
  );
}

function render({ code, name, level, template }: Template, { why, instead, example }: Page): string {
  const told = example === undefined ? '' : examples(example);
  return `<!-- Made of packages/analysis/src/pages by scripts/analysis-pages.mjs -->

# ${code} ${name}

${level}: \`${template}\`

${why}

**What to do.** ${instead}
${example === undefined ? '\nFiles do not show it, so that `rig analyze` never tells it.\n' : told}`;
}

function examples({ wrong, right, meshNetworks, rightMeshNetworks, allCodes }: NonNullable<Page['example']>): string {
  return `
## It is told of
${allCodes === true ? '\nWith `--all-codes`.\n' : ''}
${block(wrong)}${settings(meshNetworks)}
## It is not told of

${block(right)}${settings(rightMeshNetworks)}`;
}

function settings(networks: string | undefined): string {
  return networks === undefined ? '' : `\nwith \`--mesh-networks\` of\n\n${block(networks)}`;
}

function block(yaml: string): string {
  return `\`\`\`yaml\n${yaml}\n\`\`\`\n`;
}
