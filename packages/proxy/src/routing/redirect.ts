import type { RequestHead } from '../http/message.ts';
import { pathOnly } from './headers.ts';
import type { PathRewrite } from './rewrite.ts';

export interface RedirectFields {
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
  /** '' keeps the request's. */
  readonly scheme: string;
  /** '' keeps the request's. */
  readonly host: string;
  /** 0: none given. */
  readonly port: number;
  /** Whole path, maybe with a query, or ''. */
  readonly path: string;
  readonly rewrite: PathRewrite;
  readonly stripQuery: boolean;
}

/** What has a Location for a request. */
export interface Relocation {
  readonly status: number;
  location(head: RequestHead): string;
}

/** VirtualHost.require_tls: the host as it was asked for, whatever port that names. */
export const TLS_REDIRECT: Relocation = {
  status: 301,
  location: ({ authority, path }) => `https://${authority}${path}`,
};

/** envoy.config.route.v3.RedirectAction. */
export class Redirect implements Relocation {
  readonly status: number;
  readonly #fields: RedirectFields;

  constructor(fields: RedirectFields) {
    this.status = fields.status;
    this.#fields = fields;
  }

  /** The Location. */
  location(head: RequestHead): string {
    const fields = this.#fields;
    const scheme = fields.scheme === '' ? head.scheme : fields.scheme;
    const port = fields.port === 0 ? '' : `:${fields.port}`;
    const host = fields.host === '' ? requestHost(head, scheme, port !== '') : fields.host;
    return `${scheme}://${host}${port}${this.#path(head.path)}`;
  }

  #path(path: string): string {
    const fields = this.#fields;
    if (fields.path !== '') {
      const keepsQuery = !fields.stripQuery && !fields.path.includes('?');
      return keepsQuery ? fields.path + path.slice(pathOnly(path).length) : fields.path;
    }
    const rewritten = fields.rewrite.rewrite(path);
    return fields.stripQuery ? pathOnly(rewritten) : rewritten;
  }
}

/** The request's host; its port goes where another one comes, and the old scheme's default port goes with the scheme. */
function requestHost(head: RequestHead, scheme: string, otherPort: boolean): string {
  const authority = head.authority;
  const end = authority.startsWith('[') ? authority.indexOf(']:') + 1 : authority.lastIndexOf(':');
  if (end <= 0) return authority;
  const port = authority.slice(end);
  const schemeDefault = head.scheme === 'https' ? ':443' : ':80';
  return otherPort || (scheme !== head.scheme && port === schemeDefault) ? authority.slice(0, end) : authority;
}
