import { describe, expect, test } from 'vitest';
import { editFields, type FieldEdit } from './edit.ts';

const FILE = `# ours
apiVersion: v1   # kept
kind: A
metadata: { name: one, labels: { "app.kubernetes.io/name": a } }
spec:
  rout:  5     # five
  list:
  - mode: 'x'
    "b": 1
---
apiVersion: v1
kind: List
items:
- kind: B
  spec: {a: 1, b: [ 2 ]}
- kind: C
  spec:
    a: &x 1
    b: *x
    text: |
      two
      lines
`;
const edited = (...edits: FieldEdit[]): string[] => {
  const before = FILE.split('\n');
  return editFields(FILE, edits)
    .text.split('\n')
    .filter((line, index) => line !== before[index]);
};

describe('a field is changed, and nothing else of the file', () => {
  test.each<[string, FieldEdit, string[]]>([
    ['its name', { line: 6, path: 'spec.rout', rename: 'route' }, ['  route:  5     # five']],
    ['its value', { line: 2, path: 'spec.rout', value: 7 }, ['  rout:  7     # five']],
    ['both', { line: 2, path: 'spec.rout', rename: 'x', value: { value: 5 } }, ['  x:  { value: 5 }     # five']],
    ['of a list', { line: 2, path: 'spec.list[0].mode', value: 'STRICT' }, ['  - mode: STRICT']],
    ['a name in quotes', { line: 2, path: 'spec.list[0].b', rename: 'c', value: 'd' }, ['    "c": "d"']],
    [
      'a key that holds dots',
      { line: 4, path: 'metadata.labels.app.kubernetes.io/name', value: 'b' },
      ['metadata: { name: one, labels: { "app.kubernetes.io/name": "b" } }'],
    ],
    ['of an item of a List, in flow style', { line: 15, path: 'spec.a', value: 'yes' }, ['  spec: {a: "yes", b: [ 2 ]}']],
    ['of the second', { line: 17, path: 'spec.b', rename: 'c' }, ['    c: *x']],
    ['not what an alias stands for', { line: 17, path: 'spec.b', value: 2 }, []],
    ['not what an anchor names', { line: 17, path: 'spec.a', value: 2 }, []],
    ['not a text of several lines', { line: 17, path: 'spec.text', value: 'a' }, []],
    ['not what is not there', { line: 2, path: 'spec.nothing', value: 1 }, []],
    ['nowhere', { line: 99, path: 'spec.rout', value: 1 }, []],
  ])('%s', (_, edit, lines) => {
    expect(edited(edit)).toEqual(lines);
    expect(editFields(FILE, [edit]).done).toHaveLength(lines.length === 0 ? 0 : 1);
  });

  test('several at once, the first of two that are about one', () => {
    const edits = [
      { line: 2, path: 'spec.rout', value: 1 },
      { line: 2, path: 'spec.rout', value: 2 },
      { line: 2, path: 'spec.list[0].mode', value: 'y' },
    ];
    expect(edited(...edits)).toEqual(['  rout:  1     # five', '  - mode: "y"']);
    expect(editFields(FILE, edits).done).toEqual([edits[0], edits[2]]);
  });
});
