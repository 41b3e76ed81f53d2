/**
 * A copy of latin1 text for what outlives its message: V8 makes a string cut out of a longer one keep the longer one, so
 * that one remembered name would hold a whole head in memory.
 */
export function ownText(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.latin1Slice(0, bytes.length);
}
