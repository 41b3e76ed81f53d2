import {
  type JwtProvider,
  JwtProvider_NormalizePayloadSchema,
  JwtProviderSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import type { JWTPayload } from 'jose';
import type { RequestHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { headerValue, removeHeader, setHeader } from '../../routing/headers.ts';
import { queryValue } from '../../routing/query.ts';
import { compileStringMatcher, type TextMatcher } from '../../routing/string-matcher.ts';
import { checkFields, fieldPolicy } from '../../xds/fields.ts';
import { changeQuery } from '../ext-authz/query-changes.ts';
import type { FilterContext } from '../http-filter.ts';
import { compileKeySource, type KeySource } from './key-source.ts';

const PROVIDER = fieldPolicy(
  `issuer audiences subjects require_expiration max_lifetime remote_jwks local_jwks forward from_headers from_params from_cookies forward_payload_header
   pad_forward_payload_header payload_in_metadata normalize_payload_in_metadata header_in_metadata clock_skew_seconds
   claim_to_headers clear_route_cache`,
  'jwt_cache_config failed_status_in_metadata',
);
const NORMALIZE = fieldPolicy('space_delimited_claims');
const DEFAULT_CLOCK_SKEW_SECONDS = 60;

/** Where a token was found, so that it can be taken off. */
export interface FoundToken {
  readonly text: string;
  readonly header: string;
  readonly parameter: string;
}

export interface TokenHeader {
  /** Lower case. */
  readonly name: string;
  readonly prefix: string;
}

/** envoy.extensions.filters.http.jwt_authn.v3.JwtProvider, decided. */
export interface Provider {
  readonly name: string;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly subjects: TextMatcher | null;
  readonly requireExpiration: boolean;
  /** 0: any. */
  readonly maxLifetimeSeconds: number;
  readonly keys: KeySource;
  readonly forward: boolean;
  readonly headers: readonly TokenHeader[];
  readonly parameters: readonly string[];
  readonly cookies: readonly string[];
  /** Lower case; '': none. */
  readonly payloadHeader: string;
  readonly padPayload: boolean;
  readonly payloadKey: string;
  readonly headerKey: string;
  readonly spaceDelimitedClaims: readonly string[];
  readonly clockSkewSeconds: number;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  readonly clearRouteCache: boolean;
}

export function compileProvider(name: string, config: JwtProvider, path: string, context: FilterContext, report: CompileReport): Provider {
  checkFields(JwtProviderSchema, config, PROVIDER, path, report);
  if (config.normalizePayloadInMetadata !== undefined)
    checkFields(JwtProvider_NormalizePayloadSchema, config.normalizePayloadInMetadata, NORMALIZE, `${path}.normalize_payload_in_metadata`, report);
  const anywhere = config.fromHeaders.length === 0 && config.fromParams.length === 0 && config.fromCookies.length === 0;
  return {
    name,
    issuer: config.issuer,
    audiences: config.audiences,
    subjects: config.subjects === undefined ? null : compileStringMatcher(config.subjects, `${path}.subjects`, report),
    requireExpiration: config.requireExpiration || config.maxLifetime !== undefined,
    maxLifetimeSeconds: durationMs(config.maxLifetime, 0) / 1000,
    keys: compileKeySource(config, path, context, report),
    forward: config.forward,
    headers: anywhere
      ? [{ name: 'authorization', prefix: 'Bearer ' }]
      : config.fromHeaders.map((header) => ({ name: header.name.toLowerCase(), prefix: header.valuePrefix })),
    parameters: anywhere ? ['access_token'] : config.fromParams,
    cookies: config.fromCookies,
    payloadHeader: config.forwardPayloadHeader.toLowerCase(),
    padPayload: config.padForwardPayloadHeader,
    payloadKey: config.payloadInMetadata,
    headerKey: config.headerInMetadata,
    spaceDelimitedClaims: config.normalizePayloadInMetadata?.spaceDelimitedClaims ?? [],
    clockSkewSeconds: config.clockSkewSeconds === 0 ? DEFAULT_CLOCK_SKEW_SECONDS : config.clockSkewSeconds,
    claimHeaders: config.claimToHeaders.map(({ headerName, claimName }) => ({ header: headerName.toLowerCase(), claim: claimName.split('.') })),
    clearRouteCache: config.clearRouteCache,
  };
}

/** All tokens of a request that are meant for this provider. */
export function findTokens(provider: Provider, head: RequestHead): FoundToken[] {
  const found: FoundToken[] = [];
  for (const { name, prefix } of provider.headers) {
    for (let i = 0; i < head.headers.length; i += 2) {
      if (head.headers[i]!.toLowerCase() !== name) continue;
      const value = head.headers[i + 1]!;
      const at = prefix === '' ? 0 : value.indexOf(prefix);
      if (at < 0) continue;
      const text = /^[A-Za-z0-9\-_.+/=]*/.exec(value.slice(at + prefix.length))![0];
      found.push({ text, header: name, parameter: '' });
    }
  }
  for (const parameter of provider.parameters) {
    const text = queryValue(head.path, parameter);
    if (text !== undefined && text !== '') found.push({ text, header: '', parameter });
  }
  if (provider.cookies.length > 0) {
    const cookies = (headerValue(head.headers, 'cookie') ?? '').split(';').map((part) => part.trim());
    for (const name of provider.cookies) {
      const cookie = cookies.find((part) => part.startsWith(`${name}=`));
      if (cookie !== undefined) found.push({ text: cookie.slice(name.length + 1), header: '', parameter: '' });
    }
  }
  return found;
}

/** What only a verified token may say is taken off what a client sends. */
export function stripClaims(provider: Provider, head: RequestHead): void {
  if (provider.payloadHeader !== '') removeHeader(head.headers, provider.payloadHeader);
  for (const { header } of provider.claimHeaders) removeHeader(head.headers, header);
}

/** A verified token: what the application and the filters behind see of it. */
export function applyToken(provider: Provider, token: FoundToken, payload: JWTPayload, head: RequestHead): void {
  if (provider.payloadHeader !== '') {
    // As it was sent; only its padding is a matter of taste.
    const encoded = token.text.split('.')[1]!;
    setHeader(head.headers, provider.payloadHeader, provider.padPayload ? encoded.padEnd(Math.ceil(encoded.length / 4) * 4, '=') : encoded);
  }
  for (const { header, claim } of provider.claimHeaders) {
    const value = claimOf(payload, claim);
    const text = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
    if (text !== undefined && !/[\r\n\0]/.test(text)) setHeader(head.headers, header, Buffer.from(text).toString('latin1'));
    else if (typeof value === 'object' && value !== null) setHeader(head.headers, header, Buffer.from(JSON.stringify(value)).toString('base64url'));
  }
  if (provider.forward) return;
  if (token.header !== '') removeHeader(head.headers, token.header);
  if (token.parameter !== '') head.path = changeQuery(head.path, [], [token.parameter]);
}

function claimOf(payload: JWTPayload, claim: readonly string[]): unknown {
  let value: unknown = payload;
  for (const key of claim) {
    value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}

/** Claims such as `scope: "read write"` as lists, beside what they are. */
export function normalized(provider: Provider, payload: JWTPayload): Record<string, unknown> {
  const made: Record<string, unknown> = { ...payload };
  for (const claim of provider.spaceDelimitedClaims) {
    const value = payload[claim];
    if (typeof value === 'string') made[claim] = value.split(' ').filter((word) => word !== '');
  }
  return made;
}
