import type { JWTHeaderParameters, JWTPayload } from 'jose';
import type { RequestHead } from '../../http/message.ts';
import type { FilterServices } from '../http-filter.ts';
import { type FoundToken, findTokens, type Provider } from './provider.ts';

/** Why a token is not taken, in Envoy's words: they go to the client. */
export interface Failure {
  readonly kind: 'missing' | 'failed';
  readonly message: string;
  /** 401, or 403 where the token is good and not for us. */
  readonly status: number;
}

export interface Verified {
  readonly provider: Provider;
  readonly token: FoundToken;
  readonly header: JWTHeaderParameters;
  readonly payload: JWTPayload;
}

export const MISSING: Failure = { kind: 'missing', message: 'Jwt is missing', status: 401 };

function failed(message: string, status = 401): Failure {
  return { kind: 'failed', message, status };
}

/** Holds the tokens of a request against one provider; each of them has to be good. */
export async function verifyTokens(
  provider: Provider,
  audiences: readonly string[],
  head: RequestHead,
  services: FilterServices,
): Promise<readonly Verified[] | Failure> {
  const tokens = findTokens(provider, head);
  if (tokens.length === 0) return MISSING;
  const verified: Verified[] = [];
  for (const token of tokens) {
    const result = await verifyToken(provider, audiences, token, services);
    if ('kind' in result) return result;
    verified.push(result);
  }
  return verified;
}

async function verifyToken(provider: Provider, audiences: readonly string[], token: FoundToken, services: FilterServices): Promise<Verified | Failure> {
  const { decodeJwt, errors, jwtVerify } = await import('jose');
  if (token.text.split('.').length !== 3) return failed('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections');
  let unverified: JWTPayload;
  try {
    unverified = decodeJwt(token.text);
  } catch {
    return failed('Jwt payload is an invalid JSON');
  }
  if (provider.issuer !== '' && unverified.iss !== provider.issuer) return failed('Jwt issuer is not configured');
  const seconds = services.unixMs() / 1000;
  const early = checkClaims(provider, unverified, seconds);
  if (early !== null) return early;
  const keys = await provider.keys.keys(services);
  if (keys === undefined) return failed('Jwks remote fetch is failed');
  try {
    const { payload, protectedHeader } = await jwtVerify(token.text, keys, {
      currentDate: new Date(services.unixMs()),
      clockTolerance: provider.clockSkewSeconds,
    });
    if (audiences.length > 0 && !isFor(payload, audiences)) return failed('Audiences in Jwt are not allowed', 403);
    return { provider, token, header: protectedHeader, payload };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return failed("Jwks doesn't have key to match kid or alg from Jwt");
    if (error instanceof errors.JOSENotSupported || error instanceof errors.JOSEAlgNotAllowed) return failed('Jwt header [alg] is not supported');
    if (error instanceof errors.JWTExpired) return failed('Jwt is expired');
    return failed('Jwt verification fails');
  }
}

function checkClaims(provider: Provider, payload: JWTPayload, seconds: number): Failure | null {
  const skew = provider.clockSkewSeconds;
  if (payload.nbf !== undefined && payload.nbf > seconds + skew) return failed('Jwt not yet valid');
  if (payload.exp !== undefined && payload.exp < seconds - skew) return failed('Jwt is expired');
  if (provider.requireExpiration && payload.exp === undefined) return failed('Jwt must have an expiration');
  if (provider.maxLifetimeSeconds > 0 && payload.exp! - (payload.iat ?? payload.nbf ?? seconds) > provider.maxLifetimeSeconds)
    return failed('Jwt expiration exceeds the maximum lifetime');
  if (provider.subjects !== null && (typeof payload.sub !== 'string' || !provider.subjects.matches(payload.sub))) return failed('Jwt subject is not allowed');
  return null;
}

/** An audience with or without "/" at its end is the same, as with or without its scheme. */
function isFor(payload: JWTPayload, audiences: readonly string[]): boolean {
  const plain = (text: string): string => text.replace(/^https?:\/\//, '').replace(/\/$/, '');
  const wanted = new Set(audiences.map(plain));
  const given = payload.aud === undefined ? [] : Array.isArray(payload.aud) ? payload.aud : [payload.aud];
  return given.some((one) => wanted.has(plain(one)));
}
