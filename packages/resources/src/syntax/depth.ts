import type { CST } from 'yaml';

/**
 * Offset of the first thing nested deeper than `limit`, or undefined. Walks the flat-parsed tokens with a stack of its own, since the
 * parser's next step recurses: text such as "[[[[..." must be refused before.
 */
export function tooDeepAt(token: CST.Token, limit: number): number | undefined {
  const open: [CST.Token, number][] = [[token, 0]];
  while (open.length > 0) {
    const [current, depth] = open.pop() as [CST.Token, number];
    if (depth > limit) return current.offset;
    if (current.type === 'document') {
      if (current.value !== undefined) open.push([current.value, depth]);
    } else if (current.type === 'block-map' || current.type === 'block-seq' || current.type === 'flow-collection') {
      for (const item of current.items) {
        if (item.key !== undefined && item.key !== null) open.push([item.key, depth + 1]);
        if (item.value !== undefined) open.push([item.value, depth + 1]);
      }
    }
  }
  return undefined;
}
