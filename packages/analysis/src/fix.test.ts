import { describe, expect, test } from 'vitest';
import { diffText, fixedFiles } from './fix.ts';
import { analyzeInput, readAnalysisInput } from './input.ts';

async function fixed(text: string): Promise<{ readonly diff: string; readonly left: readonly string[] }> {
  const files = [{ file: 'a.yaml', text }];
  const messages = analyzeInput(await readAnalysisInput(files));
  const [file] = fixedFiles(files, messages);
  if (file === undefined) return { diff: '', left: messages.map(({ code }) => code) };
  const after = analyzeInput(await readAnalysisInput([{ file: 'a.yaml', text: file.after }]));
  return { diff: diffText(file), left: after.map(({ code }) => code).filter((code) => code !== 'IST0101') };
}
const virtualService = (http: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: v }\nspec:\n  hosts: [a]  # ours\n  http:\n  - ${http}\n`;

describe('what is mechanical is mended, and told no more', () => {
  test.each<[string, string, string]>([
    [
      'a share of faults',
      virtualService('fault: { delay: { fixedDelay: 1s, percent: 50 } }  # half\n    route: [{ destination: { host: a } }]'),
      '-  - fault: { delay: { fixedDelay: 1s, percent: 50 } }  # half\n+  - fault: { delay: { fixedDelay: 1s, percentage: { value: 50 } } }  # half',
    ],
    [
      'a share of copies',
      virtualService('mirror: { host: b }\n    mirrorPercent: 5 # few\n    route: [{ destination: { host: a } }]'),
      '-    mirrorPercent: 5 # few\n+    mirrorPercentage: { value: 5 } # few',
    ],
    [
      'an expression that is none',
      virtualService('match:\n    - uri:\n        regex: "/api/.*"   # all\n    route: [{ destination: { host: a } }]'),
      '-        regex: "/api/.*"   # all\n+        prefix: /api/   # all',
    ],
    [
      'a field that is misspelt',
      virtualService('rout: [{ destination: { host: a } }]'),
      '-  - rout: [{ destination: { host: a } }]\n+  - route: [{ destination: { host: a } }]',
    ],
    [
      'a value that is misspelt',
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: p }\nspec: { mtls: { mode: STRICKT } }\n',
      '-spec: { mtls: { mode: STRICKT } }\n+spec: { mtls: { mode: STRICT } }',
    ],
  ])('%s', async (_, text, lines) => {
    const { diff, left } = await fixed(text);
    expect(diff.split('\n').slice(3).join('\n')).toBe(lines);
    expect(left).toEqual([]);
  });
});

test('what only a person can decide stays as it is', async () => {
  const { diff } = await fixed(virtualService('mirrorPercent: 5\n    mirrorPercentage: { value: 6 }\n    route: [{ destination: { host: a } }]'));
  expect(diff).toBe('');
});
