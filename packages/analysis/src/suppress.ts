import { refText } from '@outrigger/resources';
import type { Message } from './message.ts';

/** Messages that somebody does not want to see: of a code, about the resources that a pattern names. */
export interface Suppression {
  readonly code: string;
  readonly pattern: RegExp;
}

/** The annotation by which a resource itself says which codes are not to be told of it: "IST0108,IST0103", or "*". */
export const SUPPRESS_ANNOTATION = 'galley.istio.io/analyze-suppress';

export function isSuppressed(annotations: Readonly<Record<string, string>>, code: string): boolean {
  const codes = annotations[SUPPRESS_ANNOTATION]?.split(',').map((item) => item.trim());
  return codes !== undefined && (codes.includes('*') || codes.includes(code));
}

/**
 * "IST0102=Namespace frod*", "IST0101=VirtualService shop/web": a code and a resource as messages name it, "*" for any text, "?" for any
 * character. Undefined where it is none.
 */
export function suppressionOf(text: string): Suppression | undefined {
  const match = /^([A-Z]+\d+|\*)=(\S.*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, code, resource] = match as unknown as [string, string, string];
  const source = resource
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return { code, pattern: new RegExp(`^${source}$`) };
}

export function withoutSuppressed(messages: readonly Message[], suppressions: readonly Suppression[]): readonly Message[] {
  return messages.filter(({ code, resource }) => {
    const name = refText(resource);
    return !suppressions.some((suppression) => (suppression.code === '*' || suppression.code === code) && suppression.pattern.test(name));
  });
}
