import { ResponseFlag } from '@outrigger/telemetry';
import { ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import {
  type BufferSettings,
  type ExtAuthz,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/ext_authz/v3/ext_authz';
import type { HeaderList, ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { ALWAYS, compileFraction, type Fraction } from '../../routing/fraction.ts';
import { removeHeader, setHeader } from '../../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { compileGrpcTarget } from '../call/grpc-call.ts';
import { GatheredContent, type GatheringFilter } from '../content/gathered-content.ts';
import {
  type Cancellable,
  type FilterContext,
  type FilteredStream,
  type FilterVerdict,
  type HttpFilter,
  type HttpFilterType,
  PASS,
  type RouteSetting,
} from '../http-filter.ts';
import { GrpcAuthorization } from './grpc-service.ts';
import { HttpAuthorization } from './http-service.ts';
import type { HeaderChange, Outcome } from './outcome.ts';
import { changeQuery } from './query-changes.ts';
import { CheckOfRoute, type ContentSettings, compileHeaderNameSet, type HeaderNameSet } from './settings.ts';

const FILTER = fieldPolicy(
  `grpc_service http_service transport_api_version failure_mode_allow failure_mode_allow_header_add with_request_body clear_route_cache status_on_error
   metadata_context_namespaces filter_enabled deny_at_disable allowed_headers disallowed_headers include_tls_session`,
  'stat_prefix charge_cluster_response_stats include_peer_certificate bootstrap_metadata_labels_key encode_raw_headers',
);
const DEFAULT_TIMEOUT_MS = 200;
const LINE_BREAK = /[\r\n\0]/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

interface ExtAuthzFields {
  readonly http: HttpAuthorization | null;
  readonly grpc: GrpcAuthorization | null;
  readonly allowedHeaders: HeaderNameSet;
  readonly failureModeAllow: boolean;
  readonly failureModeHeader: boolean;
  readonly statusOnError: number;
  readonly content: ContentSettings | null;
  readonly clearRouteCache: boolean;
  readonly enabled: Fraction;
  readonly denyAtDisable: boolean;
}

/** envoy.filters.http.ext_authz: a service decides about each request; without a word of it nobody gets in. */
class ExtAuthzFilter implements HttpFilter {
  readonly name: string;
  readonly fields: ExtAuthzFields;
  readonly route: CheckOfRoute | null;

  constructor(name: string, fields: ExtAuthzFields, route: CheckOfRoute | null) {
    this.name = name;
    this.fields = fields;
    this.route = route;
  }

  /** context_extensions of all levels count, the most specific first. */
  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.filter((setting) => setting instanceof CheckOfRoute);
    if (own.length === 0) return this;
    const [first] = own;
    const extensions = Object.assign({}, ...own.toReversed().map(({ contextExtensions }) => contextExtensions));
    return new ExtAuthzFilter(this.name, this.fields, new CheckOfRoute(first!.disabled, extensions, first!.content));
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { enabled, denyAtDisable, content } = this.fields;
    if (this.route?.disabled) return PASS;
    if (!enabled.holds(stream.services.random.uint32())) return denyAtDisable ? this.failed() : PASS;
    const wanted = this.route?.content === undefined ? content : this.route.content;
    const { head } = stream;
    const check = new Check(this, stream, wanted);
    // What follows an upgrade is no content.
    if (wanted === null || stream.headIsAll || head.protocol !== '' || head.method === 'CONNECT') check.start(null, false);
    else check.gather(wanted.maxBytes);
    return { kind: 'wait', pending: check };
  }

  onResponse(stream: FilteredStream, head: ResponseHead): void {
    const changes = stream.stateOf(this) as readonly HeaderChange[] | undefined;
    if (changes !== undefined) applyChanges(head.headers, changes);
  }

  /** No word of the service. */
  failed(): FilterVerdict {
    return { kind: 'refuse', status: this.fields.statusOnError, body: '', details: 'ext_authz_error', flag: ResponseFlag.unauthorizedExternalService };
  }
}

/** One request before the service. */
class Check implements GatheringFilter, Cancellable {
  readonly #filter: ExtAuthzFilter;
  readonly #stream: FilteredStream;
  readonly #settings: ContentSettings | null;
  #content: GatheredContent | null = null;
  #call: Cancellable | null = null;

  constructor(filter: ExtAuthzFilter, stream: FilteredStream, settings: ContentSettings | null) {
    this.#filter = filter;
    this.#stream = stream;
    this.#settings = settings;
  }

  gather(limitBytes: number): void {
    this.#content = new GatheredContent(limitBytes, this);
    this.#stream.transformRequest(this.#content);
  }

  onGathered(content: GatheredContent): void {
    this.start(content.whole, false);
  }

  onTooLong(content: GatheredContent): void {
    const { allowPartial, maxBytes } = this.#settings!;
    if (allowPartial) this.start(content.whole.subarray(0, maxBytes), true);
    else this.#stream.goOn({ kind: 'refuse', status: 413, body: 'Payload Too Large', details: 'request_payload_too_large', flag: 0 });
  }

  start(content: Buffer | null, partial: boolean): void {
    const { http, grpc, allowedHeaders } = this.#filter.fields;
    const done = (outcome: Outcome): void => this.#heed(outcome);
    this.#call =
      http === null
        ? grpc!.check(this.#stream, this.#filter.route, content, this.#settings?.asBytes ?? false, partial, done)
        : http.check(this.#stream, allowedHeaders, content, partial, done);
  }

  cancel(): void {
    this.#call?.cancel();
  }

  #heed(outcome: Outcome): void {
    const stream = this.#stream;
    const filter = this.#filter;
    const { failureModeAllow, failureModeHeader, clearRouteCache } = filter.fields;
    if (outcome.kind === 'error') {
      stream.services.note('authorization failed', { filter: filter.name, detail: outcome.detail });
      if (!failureModeAllow) {
        stream.goOn(filter.failed());
        return;
      }
      if (failureModeHeader) setHeader(stream.head.headers, 'x-envoy-auth-failure-mode-allowed', 'true');
      this.#pass();
      return;
    }
    if (outcome.metadata !== null) {
      stream.dynamicMetadata ??= new Map();
      stream.dynamicMetadata.set(filter.name, outcome.metadata);
    }
    if (outcome.kind === 'denied') {
      const headers: HeaderList = [];
      applyChanges(headers, pairs(outcome.headers));
      stream.goOn({
        kind: 'refuse',
        status: outcome.status,
        body: outcome.body,
        details: 'ext_authz_denied',
        flag: ResponseFlag.unauthorizedExternalService,
        headers,
      });
      return;
    }
    for (const name of outcome.requestHeadersToRemove) if (!name.startsWith(':') && name !== 'host') removeHeader(stream.head.headers, name);
    applyChanges(stream.head.headers, outcome.requestHeaders);
    if (outcome.queryToSet.length > 0 || outcome.queryToRemove.length > 0)
      stream.head.path = changeQuery(stream.head.path, outcome.queryToSet, outcome.queryToRemove);
    if (outcome.responseHeaders.length > 0) stream.keep(filter, outcome.responseHeaders);
    if (clearRouteCache) stream.rematch();
    this.#pass();
  }

  #pass(): void {
    this.#stream.goOn(PASS);
    this.#content?.release();
  }
}

function pairs(headers: HeaderList): HeaderChange[] {
  const found: HeaderChange[] = [];
  // A second Set-Cookie is no replacement of the first.
  for (let i = 0; i < headers.length; i += 2) found.push({ name: headers[i]!, value: headers[i + 1]!, append: headers[i] === 'set-cookie' });
  return found;
}

/** What a service says goes onto the wire only where it is a header there. Host and pseudo-headers stay as they are. */
function applyChanges(headers: HeaderList, changes: readonly HeaderChange[]): void {
  for (const { name, value, append } of changes) {
    if (name === 'host' || !TOKEN.test(name) || LINE_BREAK.test(value)) continue;
    if (append) headers.push(name, value);
    else setHeader(headers, name, value);
  }
}

function compileContent(config: BufferSettings | undefined, path: string, report: CompileReport): ContentSettings | null {
  if (config === undefined) return null;
  if (config.maxRequestBytes === 0) report.error(`${path}.max_request_bytes`, 'must be more than 0');
  return { maxBytes: config.maxRequestBytes, allowPartial: config.allowPartialMessage, asBytes: config.packAsBytes };
}

function compile(config: ExtAuthz, path: string, context: FilterContext, report: CompileReport): ExtAuthzFields {
  checkFields(ExtAuthzSchema, config, FILTER, path, report);
  if (config.transportApiVersion !== ApiVersion.V3 && config.services.case === 'grpcService') report.error(`${path}.transport_api_version`, 'must be V3');
  const allowedHeaders = compileHeaderNameSet(config.allowedHeaders, `${path}.allowed_headers`, report);
  const onError = config.statusOnError?.code ?? 0;
  let http: HttpAuthorization | null = null;
  let grpc: GrpcAuthorization | null = null;
  if (config.services.case === 'httpService') http = new HttpAuthorization(config.services.value, `${path}.http_service`, context, report);
  else if (config.services.case === 'grpcService')
    grpc = new GrpcAuthorization({
      target: compileGrpcTarget(config.services.value, DEFAULT_TIMEOUT_MS, `${path}.grpc_service`, context, report),
      allowedHeaders,
      disallowedHeaders: compileHeaderNameSet(config.disallowedHeaders, `${path}.disallowed_headers`, report),
      metadataNamespaces: config.metadataContextNamespaces,
      includeSni: config.includeTlsSession,
    });
  else report.error(path, 'needs one of grpc_service, http_service');
  return {
    http,
    grpc,
    allowedHeaders,
    failureModeAllow: config.failureModeAllow,
    failureModeHeader: config.failureModeAllowHeaderAdd,
    statusOnError: onError === 0 ? 403 : onError,
    content: compileContent(config.withRequestBody, `${path}.with_request_body`, report),
    clearRouteCache: config.clearRouteCache,
    enabled: compileFraction(config.filterEnabled?.defaultValue, ALWAYS),
    denyAtDisable: config.denyAtDisable?.defaultValue ?? false,
  };
}

export const extAuthzType: HttpFilterType = {
  typeName: ExtAuthzSchema.typeName,
  compile(any, name, path, context, report) {
    const config = unpack(any, ExtAuthzSchema, path, report);
    return config === undefined ? null : new ExtAuthzFilter(name, compile(config, path, context, report), null);
  },
  settings: {
    [ExtAuthzPerRouteSchema.typeName](any, path, report) {
      const config = unpack(any, ExtAuthzPerRouteSchema, path, report);
      if (config?.override.case === 'disabled') return new CheckOfRoute(config.override.value, {}, undefined);
      if (config?.override.case !== 'checkSettings') {
        report.error(path, 'needs one of disabled, check_settings');
        return null;
      }
      const { contextExtensions, disableRequestBodyBuffering, withRequestBody } = config.override.value;
      const content = disableRequestBodyBuffering ? null : withRequestBody === undefined ? undefined : compileContent(withRequestBody, path, report);
      return new CheckOfRoute(false, contextExtensions, content);
    },
  },
};
