import { expect, test } from 'vitest';
import { Composer, LineCounter, Parser } from 'yaml';
import { type Composed, composeValue } from './compose.ts';
import { readQuickly } from './quick.ts';

/** As parse.ts reads it where this reader gives up. Throws what is wrong with the text. */
function readWholly(text: string): Composed[] {
  const counter = new LineCounter();
  const composer = new Composer({ schema: 'core', uniqueKeys: false, prettyErrors: false, strict: true });
  const found: Composed[] = [];
  const take = (documents: ReturnType<Composer['next']>) => {
    for (const document of documents) {
      if (document.errors[0] !== undefined) throw document.errors[0];
      const composed = composeValue(document, text, counter);
      if (composed.value !== null) found.push(composed);
    }
  };
  for (const token of new Parser(counter.addNewLine).parse(text)) take(composer.next(token));
  take(composer.end(false, text.length));
  return found;
}

const plain = `# A comment
apiVersion: v1
kind: Service # which
metadata: { name: "a", labels: { app: a, it: 'it''s' }, annotations: {} }
spec:
  ports:
  - name: http
    port: 80
    targetPort: 08
  -   name: "tcp\\n"
      port: -1.5e3
  selector:
  empty: []
  list: [1, two, [3], { four: ~ }, yes, 1_000]
---
---
kind: ConfigMap
data:
  mesh: |-
    # not a comment
    a: "b

      c"

  other: |
    d
  y: no
`;

test('reads the plain form, to its end', () => {
  expect(readQuickly(plain)).toEqual(readWholly(plain));
  expect(readQuickly(plain)?.map(({ value }) => value)).toEqual([
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a', labels: { app: 'a', it: "it's" }, annotations: {} },
      spec: {
        ports: [
          { name: 'http', port: 80, targetPort: 8 },
          { name: 'tcp\n', port: -1500 },
        ],
        selector: null,
        empty: [],
        list: [1, 'two', [3], { four: null }, true, 1000],
      },
    },
    { kind: 'ConfigMap', data: { mesh: '# not a comment\na: "b\n\n  c"', other: 'd\n', true: false } },
  ]);
});

test.each([
  ['an anchor', 'a: &x 1\nb: *x\n'],
  ['a merge', 'a:\n  <<: { b: 1 }\n'],
  ['a tag', 'a: !!str 1\n'],
  ['a folded block', 'a: >\n  b\n'],
  ['a text of two lines', 'a: b\n  c\n'],
  ['a flow collection of two lines', 'a: [b,\n  c]\n'],
  ['a key set twice', 'a: 1\na: 2\n'],
  ['a tab', 'a:\tb\n'],
  ['another line end', 'a: b\r\n'],
  ['a number of another base', 'a: 0x10\n'],
  ['a colon in a flow collection', 'a: [2001:db8::]\n'],
  ['a mapping where a text stands', 'a: b: c\n'],
  ['a block indented less than the one before', 'a:\n    b: 1\n  c: 2\n'],
  ['an end that is missing', 'a: [b\n'],
  ['a directive', '%YAML 1.2\n---\na: b\n'],
  ['"__proto__"', '__proto__: { a: b }\n'],
  ['JSON', '{"a": 1}\n'],
])('leaves to the whole parser %s', (_, text) => {
  expect(readQuickly(text)).toBeUndefined();
});

test('whatever it reads of a text that something befell, the whole parser reads the same', () => {
  const bits = [
    ' ',
    '  ',
    '\n',
    ': ',
    ':',
    ' #',
    '- ',
    '-',
    '"',
    "'",
    '[',
    '{',
    '}',
    ',',
    '|',
    '>',
    '*',
    '&',
    '0',
    '.',
    '~',
    'no',
    '---\n',
    '\n  # c\n',
    'k: ',
    'é',
  ];
  let seed = 7;
  const below = (limit: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % limit;
  };
  let read = 0;
  for (let round = 0; round < 3000; round++) {
    const [at, from] = [below(plain.length), below(plain.length)];
    const between = [bits[below(bits.length)], plain.slice(from, from + below(20)), ''][below(3)];
    const text = plain.slice(0, at) + between + plain.slice(at + below(4));
    const quick = readQuickly(text);
    if (quick === undefined) continue;
    read++;
    expect(quick, text).toEqual(readWholly(text));
  }
  expect(read).toBeGreaterThan(500);
});
