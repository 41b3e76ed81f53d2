import type { HttpService } from '@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz';
import {
  AuthorizationRequestSchema,
  AuthorizationResponseSchema,
  HttpServiceSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz';
import { type HeaderList, RequestHead, type ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { headerValue, removeHeader, setHeader } from '../../routing/headers.ts';
import { checkFields, fieldPolicy } from '../../xds/fields.ts';
import type { Cancellable, ClusterAnswer, FilterContext, FilteredStream } from '../http-filter.ts';
import type { HeaderChange, Outcome, OutcomeHandler } from './outcome.ts';
import { compileHeaderNameSet, type HeaderNameSet } from './settings.ts';

const SERVICE = fieldPolicy('server_uri path_prefix authorization_request authorization_response');
const REQUEST = fieldPolicy('allowed_headers headers_to_add');
const RESPONSE = fieldPolicy(
  'allowed_upstream_headers allowed_upstream_headers_to_append allowed_client_headers allowed_client_headers_on_success dynamic_metadata_from_headers',
);
/** Of what is handed to a client: a page that says no. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Go to the client whatever the lists say. */
const ALWAYS_TO_CLIENT: ReadonlySet<string> = new Set(['www-authenticate', 'location', 'proxy-authenticate', 'set-cookie']);
const NEVER_TO_CLIENT: ReadonlySet<string> = new Set(['content-length', 'host']);
const TO_REMOVE = 'x-envoy-auth-headers-to-remove';

/** An authorization service that is asked with the request itself, less its content: 200 lets it pass. */
export class HttpAuthorization {
  readonly #cluster: string;
  readonly #authority: string;
  readonly #timeoutMs: number;
  readonly #pathPrefix: string;
  readonly #allowedHeaders: HeaderNameSet;
  readonly #headersToAdd: HeaderList;
  readonly #toUpstream: HeaderNameSet;
  readonly #appendedUpstream: HeaderNameSet;
  readonly #toClient: HeaderNameSet;
  readonly #toClientOnSuccess: HeaderNameSet;
  readonly #toMetadata: HeaderNameSet;

  constructor(config: HttpService, path: string, context: FilterContext, report: CompileReport) {
    checkFields(HttpServiceSchema, config, SERVICE, path, report);
    const uri = config.serverUri;
    const upstream = uri?.httpUpstreamType;
    this.#cluster = upstream?.case === 'cluster' ? upstream.value : '';
    if (this.#cluster === '') report.error(`${path}.server_uri.cluster`, 'is missing');
    else context.clusters.add(this.#cluster);
    const authority = /^[a-z]+:\/\/([^/?#]+)/i.exec(uri?.uri ?? '')?.[1];
    if (authority === undefined) report.error(`${path}.server_uri.uri`, `${JSON.stringify(uri?.uri ?? '')} is no absolute URI`);
    this.#authority = authority ?? '';
    this.#timeoutMs = durationMs(uri?.timeout, 0);
    if (this.#timeoutMs <= 0) report.error(`${path}.server_uri.timeout`, 'must be more than 0');
    this.#pathPrefix = config.pathPrefix;
    const { authorizationRequest: asked, authorizationResponse: answered } = config;
    if (asked !== undefined) checkFields(AuthorizationRequestSchema, asked, REQUEST, `${path}.authorization_request`, report);
    if (answered !== undefined) checkFields(AuthorizationResponseSchema, answered, RESPONSE, `${path}.authorization_response`, report);
    const at = `${path}.authorization_response`;
    this.#allowedHeaders = compileHeaderNameSet(asked?.allowedHeaders, `${path}.authorization_request.allowed_headers`, report);
    this.#headersToAdd = (asked?.headersToAdd ?? []).flatMap(({ key, value }) => [key.toLowerCase(), value]);
    this.#toUpstream = compileHeaderNameSet(answered?.allowedUpstreamHeaders, `${at}.allowed_upstream_headers`, report);
    this.#appendedUpstream = compileHeaderNameSet(answered?.allowedUpstreamHeadersToAppend, `${at}.allowed_upstream_headers_to_append`, report);
    this.#toClient = compileHeaderNameSet(answered?.allowedClientHeaders, `${at}.allowed_client_headers`, report);
    this.#toClientOnSuccess = compileHeaderNameSet(answered?.allowedClientHeadersOnSuccess, `${at}.allowed_client_headers_on_success`, report);
    this.#toMetadata = compileHeaderNameSet(answered?.dynamicMetadataFromHeaders, `${at}.dynamic_metadata_from_headers`, report);
  }

  /** `allowed`: of the filter; what it holds goes there too. */
  check(stream: FilteredStream, allowed: HeaderNameSet, content: Buffer | null, partial: boolean, done: OutcomeHandler): Cancellable {
    const head = new RequestHead();
    head.method = stream.head.method;
    head.path = `${this.#pathPrefix}${stream.head.path}`;
    head.authority = stream.head.authority === '' ? this.#authority : stream.head.authority;
    head.scheme = stream.head.scheme;
    const { headers } = stream.head;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase();
      if (name === 'content-length') continue;
      if (name === 'authorization' || this.#allowedHeaders.has(name) || allowed.has(name)) head.headers.push(headers[i]!, headers[i + 1]!);
    }
    for (let i = 0; i < this.#headersToAdd.length; i += 2) setHeader(head.headers, this.#headersToAdd[i]!, this.#headersToAdd[i + 1]!);
    if (content !== null) setHeader(head.headers, 'x-envoy-auth-partial-body', String(partial));
    const body = content === null || content.length === 0 ? null : content;
    setHeader(head.headers, 'content-length', String(body === null ? 0 : body.length));
    head.bodyLength = body === null ? 0 : body.length;
    const request = { cluster: this.#cluster, head, body, http2: false, timeoutMs: this.#timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES };
    return stream.services.call(request, new HttpVerdict(this, done));
  }

  outcome(head: ResponseHead, body: Buffer): Outcome {
    if (head.status >= 500) return { kind: 'error', detail: `the authorization service answered with ${head.status}` };
    const metadata = this.#metadata(head.headers);
    if (head.status !== 200) {
      const headers = this.#pick(head.headers, (name) => ALWAYS_TO_CLIENT.has(name) || this.#toClient.empty || this.#toClient.has(name)).flatMap(
        ({ name, value }) => [name, value],
      );
      return { kind: 'denied', status: head.status, headers, body: body.toString(), metadata };
    }
    return {
      kind: 'allowed',
      requestHeaders: [
        ...this.#pick(head.headers, (name) => this.#toUpstream.has(name)),
        ...this.#pick(head.headers, (name) => this.#appendedUpstream.has(name)).map((change) => ({ ...change, append: true })),
      ],
      requestHeadersToRemove: (headerValue(head.headers, TO_REMOVE) ?? '')
        .split(',')
        .flatMap((name) => (name.trim() === '' ? [] : [name.trim().toLowerCase()])),
      responseHeaders: this.#pick(head.headers, (name) => this.#toClientOnSuccess.has(name)),
      queryToSet: [],
      queryToRemove: [],
      metadata,
    };
  }

  #pick(headers: HeaderList, wanted: (lowerName: string) => boolean): HeaderChange[] {
    const found: HeaderChange[] = [];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase();
      if (!NEVER_TO_CLIENT.has(name) && wanted(name)) found.push({ name, value: headers[i + 1]!, append: false });
    }
    return found;
  }

  #metadata(headers: HeaderList): Record<string, unknown> | null {
    if (this.#toMetadata.empty) return null;
    return Object.fromEntries(this.#pick(headers, (name) => this.#toMetadata.has(name)).map(({ name, value }) => [name, value]));
  }
}

class HttpVerdict implements ClusterAnswer {
  readonly #service: HttpAuthorization;
  readonly #done: OutcomeHandler;

  constructor(service: HttpAuthorization, done: OutcomeHandler) {
    this.#service = service;
    this.#done = done;
  }

  onAnswer(head: ResponseHead, body: Buffer): void {
    removeHeader(head.headers, 'transfer-encoding');
    this.#done(this.#service.outcome(head, body));
  }

  onNoAnswer(detail: string): void {
    this.#done({ kind: 'error', detail });
  }
}
