// Writes docs/analysis, a page for each code of `rig analyze`, from packages/analysis/src/pages. A test holds it current.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderedPages } from '../packages/analysis/src/pages/render.ts';

const folder = join(import.meta.dirname, '../docs/analysis');
const pages = renderedPages();
mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) if (!pages.has(name)) rmSync(join(folder, name));
for (const [name, text] of pages) writeFileSync(join(folder, name), text);
console.log(`${pages.size} pages in docs/analysis`);
