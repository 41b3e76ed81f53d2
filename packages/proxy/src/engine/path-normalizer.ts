export interface PathRules {
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward';
}

/** 'reject': 400. 'redirect': 307 to `path`. */
export type NormalizedPath = { readonly verdict: 'ok' | 'redirect'; readonly path: string } | { readonly verdict: 'reject' };

const REJECTED: NormalizedPath = { verdict: 'reject' };
/** Whatever could be changed: "//", "/.", an escape, a backslash. */
const SUSPECT = /\/[/.]|[%\\]/;
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;

/** Whether a path needs a look at all: nearly none does. */
export function needsNormalizing(path: string): boolean {
  return SUSPECT.test(path);
}

/**
 * Envoy's normalize_path (RFC 3986 section 6: escapes of unreserved characters, dot segments; backslashes are slashes),
 * merge_slashes and path_with_escaped_slashes_action. The query stays as it is. Policies are matched on the result, so
 * that "/public/../admin" is "/admin" for them and for the application.
 */
export function normalizePath(path: string, rules: PathRules): NormalizedPath {
  const end = path.search(/[?#]/);
  let pure = end < 0 ? path : path.slice(0, end);
  const rest = end < 0 ? '' : path.slice(end);
  if (!pure.startsWith('/')) return { verdict: 'ok', path };
  let redirect = false;
  if (rules.escapedSlashes !== 'keep' && /%2f|%5c/i.test(pure)) {
    if (rules.escapedSlashes === 'reject') return REJECTED;
    redirect = rules.escapedSlashes === 'unescape-redirect';
    pure = pure.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
  }
  if (rules.normalizePath) {
    if (/%00/.test(pure)) return REJECTED;
    pure = pure.replaceAll('\\', '/').replace(/%[0-9A-Fa-f]{2}/g, (escaped) => {
      const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
      return UNRESERVED.test(character) ? character : escaped.toUpperCase();
    });
    const removed = removeDotSegments(pure);
    if (removed === undefined) return REJECTED;
    pure = removed;
  }
  if (rules.mergeSlashes) pure = pure.replace(/\/{2,}/g, '/');
  return { verdict: redirect ? 'redirect' : 'ok', path: pure + rest };
}

/** undefined where ".." leaves the root. */
function removeDotSegments(path: string): string | undefined {
  const segments = path.split('/');
  const kept: string[] = [''];
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const last = i === segments.length - 1;
    if (segment === '.') {
      if (last) kept.push('');
    } else if (segment === '..') {
      if (kept.length === 1) return undefined;
      kept.pop();
      if (last) kept.push('');
    } else kept.push(segment);
  }
  return kept.length === 1 ? '/' : kept.join('/');
}
