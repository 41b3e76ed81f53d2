import type { HeaderOperations, Headers } from '../kinds/virtual-service.ts';
import { type FieldError, invalid } from '../schema/field-error.ts';

/** RFC 9110 section 5.6.2: what a header's name is made of. */
const tokenPattern = /^[-!#$%&'*+.^_`|~A-Za-z0-9]+$/;
const pseudoHeaders: ReadonlySet<string> = new Set([':method', ':scheme', ':authority', ':path', ':status']);
/** "@request.auth.claims.NAME" and "@request.auth.claims[NAME]" match claims of a JWT. */
const claimPattern = /^@request\.auth\.claims(?:\..+|\[.+\])$/i;
const controlPattern = /[\u0000-\u0008\u000a-\u001f\u007f]/;

export function isToken(name: string): boolean {
  return tokenPattern.test(name);
}

export function isClaim(name: string): boolean {
  return claimPattern.test(name);
}

export function isMatchableHeader(name: string): boolean {
  return isClaim(name) || pseudoHeaders.has(name) || isToken(name);
}

export function isAuthority(name: string): boolean {
  return /^(?::authority|host)$/i.test(name);
}

export function checkHeaders(headers: Headers | undefined, path: string, errors: FieldError[]): void {
  checkOperations(headers?.request, `${path}.headers.request`, true, errors);
  checkOperations(headers?.response, `${path}.headers.response`, false, errors);
}

function checkOperations(operations: HeaderOperations | undefined, path: string, mayNameAuthority: boolean, errors: FieldError[]): void {
  for (const kind of ['add', 'set'] as const) {
    for (const [name, value] of Object.entries(operations?.[kind] ?? {})) {
      checkName(name, `${path}.${kind}`, mayNameAuthority, errors);
      const fault = valueFault(value);
      if (fault !== undefined) errors.push(invalid(`${path}.${kind}.${name}`, value, fault));
    }
  }
  for (const [index, name] of (operations?.remove ?? []).entries()) checkName(name, `${path}.remove[${index}]`, false, errors);
}

function checkName(name: string, path: string, mayNameAuthority: boolean, errors: FieldError[]): void {
  if (name === '') errors.push(invalid(path, name, 'a header needs a name'));
  else if (isAuthority(name) ? !mayNameAuthority : name.startsWith(':'))
    errors.push(invalid(path, name, isAuthority(name) ? 'the host is no header to be changed here' : 'a pseudo-header cannot be changed'));
}

/**
 * What is wrong with a value for Envoy, which puts in variables: "%NAME%", "%NAME(ARGUMENT)%", "%NAME([\"A\", \"B\"])%"; "%%" is a percent
 * sign (Envoy, "Custom request/response headers").
 */
function valueFault(value: string): string | undefined {
  if (controlPattern.test(value)) return 'may not contain control characters';
  let at = 0;
  for (;;) {
    at = value.indexOf('%', at);
    if (at < 0) return undefined;
    if (value[at + 1] === '%') at += 2;
    else {
      const end = endOfVariable(value, at + 1);
      if (end === undefined) return 'has a "%" that begins no variable; write "%%" for a percent sign';
      at = end;
    }
  }
}

/** Index after the "%" that ends the variable whose name begins at `at`. */
function endOfVariable(value: string, at: number): number | undefined {
  const name = /^[^%(]*/.exec(value.slice(at)) as RegExpExecArray;
  let next = at + name[0].length;
  if (value[next] === '%') return next + 1;
  if (value[next] !== '(') return undefined;
  const argument = /^\( *(?:\[ *"(?:[^"\\)]|\\.)*"(?: *, *"(?:[^"\\)]|\\.)*")* *\] *|[^ [)](?:[^")\\]|\\.)*)\) *%/s.exec(value.slice(next));
  if (argument === null) return undefined;
  next += argument[0].length;
  return next;
}
