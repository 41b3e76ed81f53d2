import { createHmac, randomBytes } from 'node:crypto';
import { ownText } from '../http/own-text.ts';

/** Names of headers and of query parameters whose values let somebody in. */
const SECRET =
  /^(cookie|set-cookie|x-forwarded-client-cert|code|key|sig|pwd)$|(^|[-_])o?auth([-_]|$)|authoriz|authentic|token|secret|passw|api[-_]?key|session|credential|signature|jwt/i;
/** Of one request alone, or the proxies' own: no rule asks for them. */
const LEFT_OUT = /^(x-request-id|traceparent|tracestate|b3|x-b3-.*|x-forwarded-for|x-outrigger-.*|x-envoy-(internal|expected-.*|attempt-.*|downstream-.*))$/i;
/** Stands before what a hash is left of. */
const HASHED = 'hash:';
const HASH_CHARACTERS = 16;

/** Takes what is nobody else's business out of a request's head. Equal secrets stay equal, for as long as the proxy runs. */
export class SampleCleaner {
  readonly #key = randomBytes(32);

  headers(headers: readonly string[]): string[] {
    const kept: string[] = [];
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!;
      if (LEFT_OUT.test(name)) continue;
      kept.push(ownText(name), SECRET.test(name) ? this.#hashed(headers[at + 1]!) : this.text(headers[at + 1]!));
    }
    return kept;
  }

  /** A path, or the value of a header that may be an address (Referer): what its query has. */
  text(text: string): string {
    const question = text.indexOf('?');
    if (question < 0) return ownText(text);
    const query = text.slice(question + 1).split('&');
    const cleaned = query.map((pair) => {
      const equals = pair.indexOf('=');
      return equals > 0 && SECRET.test(pair.slice(0, equals)) ? `${pair.slice(0, equals)}=${this.#hashed(pair.slice(equals + 1))}` : pair;
    });
    return ownText(`${text.slice(0, question)}?${cleaned.join('&')}`);
  }

  #hashed(value: string): string {
    return HASHED + createHmac('sha256', this.#key).update(value).digest('hex').slice(0, HASH_CHARACTERS);
  }
}
