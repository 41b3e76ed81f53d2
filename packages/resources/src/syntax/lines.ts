/** Lines of a document's fields, kept beside its value: small, and free of the parser's tree. */
export interface LineTree {
  readonly line: number;
  /** Of a mapping by key, of a sequence by index. */
  readonly children?: ReadonlyMap<string | number, LineTree>;
}

const segmentPattern = /\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\[([^\]]*)\]|([^.[\]]+)/gy;

/** "spec.http[0].labels[a.b]" -> ["spec", "http", 0, "labels", "a.b"]. A path that is none ends where it stops making sense. */
export function pathSegments(path: string): (string | number)[] {
  const segments: (string | number)[] = [];
  let at = 0;
  while (at < path.length) {
    if (path[at] === '.') at++;
    segmentPattern.lastIndex = at;
    const match = segmentPattern.exec(path);
    if (match === null) break;
    segments.push(match[1] !== undefined ? Number(match[1]) : (match[2] ?? match[3] ?? match[4] ?? ''));
    at = segmentPattern.lastIndex;
  }
  return segments;
}

/** Line of a field; the nearest parent's where the field has none. A key that itself holds dots is found too. */
export function lineAt(tree: LineTree, path: string): number {
  const segments = pathSegments(path);
  let node = tree;
  for (let index = 0; index < segments.length; ) {
    let taken = 0;
    let key = '';
    for (let end = index; end < segments.length && taken === 0; end++) {
      key = end === index ? String(segments[end]) : `${key}.${segments[end]}`;
      const child = node.children?.get(end === index ? (segments[end] as string | number) : key) ?? node.children?.get(key);
      if (child !== undefined) {
        node = child;
        taken = end - index + 1;
      }
    }
    if (taken === 0) return node.line;
    index += taken;
  }
  return node.line;
}
