import { randomBytes } from 'node:crypto';
import { IdentityError } from '../identity-error.ts';

/** Known to secret scanners by its beginning; the number is the form's version. */
const PREFIX = 'ojt1';
const ID_BYTES = 9;
const SECRET_BYTES = 32;
const PIN_BYTES = 32;
/** More roots than ever are trusted at once. */
const MAX_PINS = 8;

/** What a join token's text says: `ojt1.ID.SECRET.PIN[.PIN]`, each part base64url. A secret as a whole. */
export interface JoinToken {
  readonly id: string;
  readonly secret: Buffer;
  /** base64url SHA-256 of the roots that the control plane may show at the first connection. */
  readonly pins: readonly string[];
}

export function newJoinToken(pins: readonly string[]): JoinToken {
  return { id: randomBytes(ID_BYTES).toString('base64url'), secret: randomBytes(SECRET_BYTES), pins };
}

export function formatJoinToken(token: JoinToken): string {
  return [PREFIX, token.id, token.secret.toString('base64url'), ...token.pins].join('.');
}

/** Throws `token-malformed`, without the text. */
export function parseJoinToken(text: string): JoinToken {
  const [prefix, id, secret, ...pins] = text.trim().split('.');
  const wellFormed = prefix === PREFIX && isBase64url(id, ID_BYTES) && isBase64url(secret, SECRET_BYTES) && pins.length > 0 && pins.length <= MAX_PINS;
  if (!wellFormed || !pins.every((pin) => isBase64url(pin, PIN_BYTES))) {
    throw new IdentityError('token-malformed', 'The join token is not in the form "ojt1.ID.SECRET.PIN"; copy it whole, as it was printed, or make a new one.');
  }
  return { id: id!, secret: Buffer.from(secret!, 'base64url'), pins };
}

/** Whether a text is exactly so many bytes in canonical base64url. */
function isBase64url(text: string | undefined, bytes: number): boolean {
  if (text === undefined || text.length !== Math.ceil((bytes * 4) / 3)) return false;
  const decoded = Buffer.from(text, 'base64url');
  return decoded.length === bytes && decoded.toString('base64url') === text;
}
