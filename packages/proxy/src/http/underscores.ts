import type { HeaderList } from './message.ts';

/** What becomes of a client's header whose name has a "_" (headers_with_underscores_action): an application behind may take it for "-". */
export type UnderscoresAction = 'allow' | 'reject' | 'drop';

/** Without such headers; null where one is refused. */
export function applyUnderscores(headers: HeaderList, action: UnderscoresAction): HeaderList | null {
  let kept: HeaderList | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.indexOf('_') >= 0) {
      if (action === 'reject') return null;
      if (action === 'drop') kept ??= headers.slice(0, i);
    } else kept?.push(headers[i]!, headers[i + 1]!);
  }
  return kept ?? headers;
}
