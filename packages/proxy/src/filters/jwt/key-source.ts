import type { JwtProvider, RemoteJwks } from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import { RemoteJwksSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import type { JWTVerifyGetKey } from 'jose';
import { RequestHead, type ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { checkFields, fieldPolicy } from '../../xds/fields.ts';
import type { ClusterAnswer, FilterContext, FilterServices } from '../http-filter.ts';

const REMOTE = fieldPolicy('http_uri cache_duration', 'async_fetch retry_policy');
const DEFAULT_CACHE_MS = 600_000;
/** A key server that fails is left alone so long, ms. */
const FAILURE_CACHE_MS = 1_000;
const MAX_JWKS_BYTES = 1024 * 1024;

/** The keys that an issuer signs with. undefined: they are not to be had. */
export interface KeySource {
  keys(services: FilterServices): Promise<JWTVerifyGetKey | undefined>;
}

async function keySet(text: string): Promise<JWTVerifyGetKey> {
  const { createLocalJWKSet } = await import('jose');
  return createLocalJWKSet(JSON.parse(text));
}

/** Keys that stand in the configuration. */
class InlineKeys implements KeySource {
  readonly #text: string;
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  keys(): Promise<JWTVerifyGetKey> {
    this.#keys ??= keySet(this.#text);
    return this.#keys;
  }
}

/** Keys of a server, fetched when they are first needed and kept for a while. Requests that come meanwhile wait for the same answer. */
class FetchedKeys implements KeySource {
  readonly #cluster: string;
  readonly #authority: string;
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #cacheMs: number;
  #current: Promise<JWTVerifyGetKey | undefined> | undefined;
  #goodUntilMs = 0;

  constructor(cluster: string, authority: string, path: string, timeoutMs: number, cacheMs: number) {
    this.#cluster = cluster;
    this.#authority = authority;
    this.#path = path;
    this.#timeoutMs = timeoutMs;
    this.#cacheMs = cacheMs;
  }

  keys(services: FilterServices): Promise<JWTVerifyGetKey | undefined> {
    if (this.#current !== undefined && services.nowMs() < this.#goodUntilMs) return this.#current;
    // Until it has come to an end.
    this.#goodUntilMs = Number.POSITIVE_INFINITY;
    this.#current = this.#fetch(services).then((keys) => {
      this.#goodUntilMs = services.nowMs() + (keys === undefined ? FAILURE_CACHE_MS : this.#cacheMs);
      return keys;
    });
    return this.#current;
  }

  async #fetch(services: FilterServices): Promise<JWTVerifyGetKey | undefined> {
    const where = { cluster: this.#cluster, uri: `${this.#authority}${this.#path}` };
    let text: string;
    try {
      text = await new Promise<string>((resolve, reject) => {
        const head = new RequestHead();
        head.method = 'GET';
        head.path = this.#path;
        head.authority = this.#authority;
        head.headers = ['accept', 'application/json'];
        services.call(
          { cluster: this.#cluster, head, body: null, http2: false, timeoutMs: this.#timeoutMs, maxAnswerBytes: MAX_JWKS_BYTES },
          new TextAnswer(resolve, reject),
        );
      });
    } catch (error) {
      services.note('keys of an issuer could not be fetched', { ...where, detail: (error as Error).message });
      return undefined;
    }
    try {
      return await keySet(text);
    } catch (error) {
      services.note('keys of an issuer are no JWKS', { ...where, detail: (error as Error).message });
      return undefined;
    }
  }
}

class TextAnswer implements ClusterAnswer {
  readonly #resolve: (text: string) => void;
  readonly #reject: (error: Error) => void;

  constructor(resolve: (text: string) => void, reject: (error: Error) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onAnswer(head: ResponseHead, body: Buffer): void {
    if (head.status === 200) this.#resolve(body.toString());
    else this.#reject(new Error(`answered with ${head.status}`));
  }

  onNoAnswer(detail: string): void {
    this.#reject(new Error(detail));
  }
}

function compileRemote(config: RemoteJwks, path: string, context: FilterContext, report: CompileReport): KeySource {
  checkFields(RemoteJwksSchema, config, REMOTE, path, report);
  const uri = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(config.httpUri?.uri ?? '');
  const upstream = config.httpUri?.httpUpstreamType;
  const cluster = upstream?.case === 'cluster' ? upstream.value : '';
  if (uri === null) report.error(`${path}.http_uri.uri`, `${JSON.stringify(config.httpUri?.uri ?? '')} is no absolute http(s) URI`);
  if (cluster === '') report.error(`${path}.http_uri.cluster`, 'is missing');
  else context.clusters.add(cluster);
  const timeoutMs = durationMs(config.httpUri?.timeout, 0);
  if (timeoutMs <= 0) report.error(`${path}.http_uri.timeout`, 'must be more than 0');
  const target = uri?.[2] ?? '';
  return new FetchedKeys(
    cluster,
    uri?.[1] ?? '',
    target.startsWith('/') ? target : `/${target}`,
    timeoutMs,
    durationMs(config.cacheDuration, DEFAULT_CACHE_MS),
  );
}

export function compileKeySource(config: JwtProvider, path: string, context: FilterContext, report: CompileReport): KeySource {
  const source = config.jwksSourceSpecifier;
  if (source.case === 'remoteJwks') return compileRemote(source.value, `${path}.remote_jwks`, context, report);
  const inline = source.case === 'localJwks' ? source.value.specifier : undefined;
  if (source.case === undefined) report.error(path, 'needs one of remote_jwks, local_jwks');
  else if (inline?.case !== 'inlineString' && inline?.case !== 'inlineBytes')
    report.error(`${path}.local_jwks`, 'must be inline; files and environment variables are not read');
  const text = inline?.case === 'inlineString' ? inline.value : inline?.case === 'inlineBytes' ? Buffer.from(inline.value).toString() : '{"keys":[]}';
  try {
    if (!Array.isArray((JSON.parse(text) as { keys?: unknown }).keys)) report.error(`${path}.local_jwks`, 'has no list of keys');
  } catch (error) {
    report.error(`${path}.local_jwks`, `is no JSON: ${(error as Error).message}`);
  }
  return new InlineKeys(text);
}
