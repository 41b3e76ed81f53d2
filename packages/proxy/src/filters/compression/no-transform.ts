import type { HeaderList } from '../../http/message.ts';
import { headerValue } from '../../routing/headers.ts';

const NO_TRANSFORM = /(?:^|,)\s*no-transform\s*(?:,|$)/i;

/** Whether content must stay as it is encoded (Cache-Control: no-transform, RFC 9111 section 5.2.2.6). */
export function forbidsTransform(headers: HeaderList): boolean {
  return NO_TRANSFORM.test(headerValue(headers, 'cache-control') ?? '');
}
