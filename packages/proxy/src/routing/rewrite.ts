import type { RequestHead } from '../http/message.ts';
import { headerValue, pathOnly, setHeader } from './headers.ts';
import type { RegexRewrite } from './regex.ts';
import type { UriTemplateRewrite } from './uri-template.ts';

/** How the path is rewritten. `matchedLength` is the part that a prefix rewrite replaces; -1: all but the query. */
export class PathRewrite {
  readonly #prefix: string;
  readonly #matchedLength: number;
  readonly #regex: RegexRewrite | null;
  readonly #template: UriTemplateRewrite | null;

  constructor(prefix: string, matchedLength: number, regex: RegexRewrite | null, template: UriTemplateRewrite | null = null) {
    this.#prefix = prefix;
    this.#matchedLength = matchedLength;
    this.#regex = regex;
    this.#template = template;
  }

  get active(): boolean {
    return this.#prefix !== '' || this.#regex !== null || this.#template !== null;
  }

  /** Path and query in, path and query out. */
  rewrite(path: string): string {
    if (this.#prefix !== '') {
      const matched = this.#matchedLength < 0 ? pathOnly(path).length : this.#matchedLength;
      return this.#prefix + path.slice(matched);
    }
    if (this.#template !== null) return this.#template.rewrite(path);
    if (this.#regex === null) return path;
    const plain = pathOnly(path);
    return this.#regex.replaceAll(plain) + path.slice(plain.length);
  }
}

export const NO_PATH_REWRITE = new PathRewrite('', -1, null);

export interface HostRewriteFields {
  /** host_rewrite_literal, or ''. */
  readonly literal: string;
  /** host_rewrite_header in lower case, or ''. */
  readonly header: string;
  /** host_rewrite_path_regex. */
  readonly pathRegex: RegexRewrite | null;
  /** auto_host_rewrite: the caller sets the endpoint's host name. */
  readonly auto: boolean;
  readonly appendXForwardedHost: boolean;
}

/** Rewrites of host and path before a request goes upstream. */
export class RequestRewrite {
  readonly autoHost: boolean;
  readonly path: PathRewrite;
  readonly #host: HostRewriteFields;
  readonly #changesHost: boolean;

  constructor(host: HostRewriteFields, path: PathRewrite) {
    this.autoHost = host.auto;
    this.path = path;
    this.#host = host;
    this.#changesHost = host.literal !== '' || host.header !== '' || host.pathRegex !== null;
  }

  /** `clusterHost` is the weighted cluster's own host, or ''; it wins. */
  apply(head: RequestHead, clusterHost: string): void {
    if (clusterHost !== '') this.setHost(head, clusterHost);
    else if (this.#changesHost) this.setHost(head, this.#hostFor(head));
    if (!this.path.active) return;
    head.path = this.path.rewrite(head.path);
  }

  /** Also for `auto_host_rewrite`, once the endpoint is chosen. '' changes nothing. */
  setHost(head: RequestHead, host: string): void {
    if (host === '') return;
    if (this.#host.appendXForwardedHost && head.authority !== '') {
      const before = headerValue(head.headers, 'x-forwarded-host');
      setHeader(head.headers, 'x-forwarded-host', before === undefined ? head.authority : `${before},${head.authority}`);
    }
    head.authority = host;
  }

  #hostFor(head: RequestHead): string {
    const host = this.#host;
    if (host.literal !== '') return host.literal;
    if (host.header !== '') return headerValue(head.headers, host.header) ?? '';
    return host.pathRegex === null ? '' : host.pathRegex.replaceAll(pathOnly(head.path));
  }
}

export const NO_HOST_REWRITE: HostRewriteFields = { literal: '', header: '', pathRegex: null, auto: false, appendXForwardedHost: false };
export const NO_REWRITE = new RequestRewrite(NO_HOST_REWRITE, NO_PATH_REWRITE);
