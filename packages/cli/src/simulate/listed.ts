/** Of a whole repository there may be hundreds. */
const MAX_NAMED = 8;

export function listed(names: readonly string[]): string {
  return names.length <= MAX_NAMED ? names.join(', ') : `${names.slice(0, MAX_NAMED).join(', ')} and ${names.length - MAX_NAMED} more`;
}
