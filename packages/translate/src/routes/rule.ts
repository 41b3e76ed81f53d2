import type { HttpMatchRequest, HttpRedirect, HttpRoute } from '@outrigger/resources';

/** A route in a VirtualService's words, and what Gateway API says beyond them. */
export interface RouteRule extends Omit<HttpRoute, 'match' | 'redirect'> {
  readonly match?: readonly RouteMatch[];
  readonly redirect?: HttpRedirect & { readonly uriRegexRewrite?: { readonly match: string; readonly rewrite: string } };
}

export interface RouteMatch extends HttpMatchRequest {
  /** A prefix of whole segments: "/a" is one of "/a/b", and none of "/ab". */
  readonly wholeSegments?: boolean;
}
