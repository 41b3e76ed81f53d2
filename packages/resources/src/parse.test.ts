import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxAliasExpansions, maxDocuments, maxFileBytes } from './limits.ts';
import { parseDocuments, parseSettings } from './parse.ts';

const parse = (text: string | Uint8Array) => parseDocuments([{ file: 'mesh.yaml', text }]);
const firstProblem = (text: string | Uint8Array) => {
  const [problem] = parse(text).problems;
  if (problem === undefined) throw new Error('no problem was found');
  return problem;
};

describe('documents', () => {
  it('says in bounded words what no YAML is, however much of it there is', () => {
    const { message } = firstProblem(`<!-- a page -->\n\n# Title\n\n${'words of it '.repeat(10_000)}`);
    expect(message.length).toBeLessThan(250);
  });

  it('reads several documents, with the line of each and of its fields', () => {
    const { documents, problems } = parse(`# two things
apiVersion: v1
kind: A
metadata:
  name: one
---
apiVersion: v1
kind: B
metadata: {name: two, namespace: shop}
spec:
  http:
  - route:
    - weight: 1
    - weight: 2
`);
    expect(problems).toEqual([]);
    expect(documents.map(({ kind, name, namespace, origin }) => ({ kind, name, namespace, origin }))).toEqual([
      { kind: 'A', name: 'one', namespace: '', origin: { file: 'mesh.yaml', line: 2 } },
      { kind: 'B', name: 'two', namespace: 'shop', origin: { file: 'mesh.yaml', line: 7 } },
    ]);
    const lineOf = (path: string) => documents[1]?.lineOf(path);
    expect([
      lineOf('spec'),
      lineOf('spec.http[0].route[1].weight'),
      lineOf('spec.http[0].route[7].weight'),
      lineOf('spec.http[0].timeout'),
      lineOf('nothing'),
    ]).toEqual([10, 14, 12, 12, 7]);
  });

  it('finds the line of a key that holds dots', () => {
    const { documents } = parse('apiVersion: v1\nkind: A\nmetadata:\n  labels:\n    app: a\n    example.com/name.of: b\n');
    expect(documents[0]?.lineOf('metadata.labels.example.com/name.of')).toBe(6);
    expect(documents[0]?.lineOf('metadata.labels[example.com/name.of]')).toBe(6);
  });

  it('unfolds Lists, and skips documents that are empty', () => {
    const { documents, problems } = parse(
      '---\n---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- apiVersion: v1\n  kind: B\n---\n{}\n',
    );
    expect(problems).toEqual([]);
    expect(documents.map(({ kind, origin }) => `${kind}:${origin.line}`)).toEqual(['A:8', 'B:10']);
  });

  it('reads JSON, tabs included, with lines', () => {
    const { documents, problems } = parse('{\n\t"apiVersion": "v1",\n\t"kind": "A",\n\t"spec": {\n\t\t"x": ["\\t"]\n\t}\n}\n');
    expect(problems).toEqual([]);
    expect(documents[0]?.value.spec).toEqual({ x: ['\t'] });
    expect(documents[0]?.lineOf('spec.x[0]')).toBe(5);
  });

  it('reads scalars as Kubernetes does: YAML 1.1 booleans and octals, no dates', () => {
    const { documents } = parse(
      "apiVersion: v1\nkind: A\nspec: {a: yes, b: off, c: 'yes', d: 0755, e: 2026-01-02, f: 1e3, g: ~, h: 10.0.0.1, i: [::, 2001:db8::], j: 8080:9001, k: 1_000}\n",
    );
    expect(documents[0]?.value.spec).toEqual({
      a: true,
      b: false,
      c: 'yes',
      d: 493,
      e: '2026-01-02',
      f: 1000,
      g: null,
      h: '10.0.0.1',
      i: ['::', '2001:db8::'],
      j: '8080:9001',
      k: 1000,
    });
  });

  it('unfolds aliases and merge keys; what a mapping says itself wins', () => {
    const { documents, problems } = parse('apiVersion: v1\nkind: A\nbase: &base {a: 1, b: 2}\nspec:\n  <<: *base\n  b: 3\n  list: &l [*base]\n');
    expect(problems).toEqual([]);
    expect(documents[0]?.value.spec).toEqual({ a: 1, b: 3, list: [{ a: 1, b: 2 }] });
  });

  it('keeps what is good in a file beside what is not', () => {
    const { documents, problems } = parse('apiVersion: v1\nkind: A\n---\na: [1\n---\napiVersion: v1\nkind: B\n');
    expect(documents.map(({ kind }) => kind)).toEqual(['A', 'B']);
    expect(problems).toHaveLength(1);
  });
});

describe('bad input', () => {
  it.each([
    ['a key twice', 'apiVersion: v1\nkind: A\nkind: B\n', 3, 'key "kind" already set in map, at line 2'],
    ['a tab', 'kind: A\nspec:\n\tx: 1\n', 3, 'Tabs are not allowed as indentation'],
    ['an open quote', 'kind: A\nx: "abc\n', 3, 'Missing closing "quote'],
    ['an unknown alias', 'kind: A\nx: *nothing\n', 2, 'nothing'],
    ['an alias within its own anchor', 'kind: A\nx: &x [*x]\n', 2, 'nested deeper than 100 levels'],
    ['no mapping', 'hello\n', 1, 'the document is no Kubernetes object: it is not a mapping'],
    ['no kind', 'apiVersion: v1\n', 1, "Object 'Kind' is missing"],
    ['no apiVersion', 'kind: A\n', 1, "Object 'apiVersion' is missing"],
    ['a value that JSON does not have', 'apiVersion: v1\nkind: A\nx: .inf\n', 3, 'a value that JSON does not have (.inf)'],
  ])('says where there is %s', (_, text, line, message) => {
    const problem = firstProblem(text);
    expect(problem).toMatchObject({ level: 'Error', file: 'mesh.yaml', line });
    expect(problem.message).toContain(message);
    expect(problem.next).not.toBe('');
  });

  it('refuses a file above the limit without reading it', () => {
    expect(firstProblem(' '.repeat(maxFileBytes + 1))).toMatchObject({
      code: 'FILE_UNREADABLE',
      message: 'the file has 4.0 MB, more than the 4.0 MB that one may have',
    });
    expect(firstProblem(new Uint8Array(100 * 1024 * 1024)).message).toContain('the file has 100.0 MB');
  });

  it.each([
    ['with NUL bytes', new Uint8Array([0x6b, 0, 0x6b])],
    ['that is no UTF-8', new Uint8Array([0xff, 0xfe, 0x41])],
  ])('refuses a binary file %s', (_, bytes) => {
    expect(firstProblem(bytes)).toMatchObject({ code: 'FILE_UNREADABLE', message: 'the file is binary, not UTF-8 text' });
  });

  it('refuses a YAML bomb', () => {
    const levels = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
    const lines = levels.map(
      (name, index) =>
        `${name}: &${name} [${
          index === 0
            ? '1'
            : Array(9)
                .fill(`*${levels[index - 1]}`)
                .join(', ')
        }]`,
    );
    expect(firstProblem(`kind: A\napiVersion: v1\n${lines.join('\n')}\n`).message).toBe(`aliases stand for more than ${maxAliasExpansions} values`);
  });

  it.each([
    ['[', '['.repeat(100_000)],
    ['{a:', '{a: '.repeat(100_000)],
    ['- ', '- '.repeat(100_000)],
    ['blocks', Array.from({ length: 500 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ])('refuses a document nested too deep: %s', (_, text) => {
    expect(firstProblem(text).message).toBe('nested deeper than 100 levels');
  });

  it('refuses a file of too many documents', () => {
    expect(firstProblem('---\n'.repeat(maxDocuments + 5)).message).toBe(`more than ${maxDocuments} documents in one file`);
  });

  it('never throws, and points into the file', () => {
    const yamlish = fc
      .array(
        fc.constantFrom(
          'a',
          'kind: ',
          'apiVersion: v1',
          ': ',
          '- ',
          '\n',
          '  ',
          '\t',
          '"',
          "'",
          '[',
          ']',
          '{',
          '}',
          '&x ',
          '*x',
          '!t ',
          '#',
          '|',
          '>',
          '---\n',
          '...\n',
          '%',
          '<<: ',
          '? ',
          ',',
          '0x',
          '\u0001',
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(yamlish, (text) => {
        for (const problem of parse(text).problems) {
          expect(problem.line).toBeGreaterThan(0);
          expect(problem.line).toBeLessThanOrEqual(text.split('\n').length);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('settings', () => {
  it('are one mapping, and an empty file none', () => {
    const { settings, problems } = parseSettings({ file: 'mesh.yaml', text: '# ours\ndefaultConfig:\n  concurrency: 2\n' });
    expect(problems).toEqual([]);
    expect(settings.value).toEqual({ defaultConfig: { concurrency: 2 } });
    expect(settings.lineOf('defaultConfig.concurrency')).toBe(3);
    expect(parseSettings({ file: 'mesh.yaml', text: '' })).toMatchObject({ settings: { value: {} }, problems: [] });
  });

  it.each([
    ['a second mapping', 'a: 1\n---\nb: 2\n---\nc: 3\n', 3, 'the file has more than one mapping'],
    ['a list', '- a\n', 1, 'the file is no mapping'],
  ])('are refused that are %s', (_, text, line, message) => {
    expect(parseSettings({ file: 'mesh.yaml', text }).problems).toMatchObject([{ level: 'Error', file: 'mesh.yaml', line, message }]);
  });
});
