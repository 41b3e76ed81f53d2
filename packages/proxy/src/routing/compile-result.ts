/** One thing that keeps a configuration from being used; `path` is the xDS field ("virtual_hosts[0].routes[2].match"). */
export interface CompileError {
  readonly path: string;
  readonly message: string;
}

/** `ignored`: paths of tuning fields that are accepted and do nothing here. */
export type CompileResult<T> =
  | { readonly ok: true; readonly value: T; readonly ignored: readonly string[] }
  | { readonly ok: false; readonly errors: readonly CompileError[] };

/** More than these say nothing new, and a NACK has to fit into a message. */
const MAX_ERRORS = 32;

/** Collects what is wrong while a configuration is compiled, so that a person sees everything at once. */
export class CompileReport {
  readonly errors: CompileError[] = [];
  readonly ignored: string[] = [];

  error(path: string, message: string): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push({ path, message });
  }

  ignore(path: string): void {
    this.ignored.push(path);
  }

  result<T>(value: T): CompileResult<T> {
    return this.errors.length > 0 ? { ok: false, errors: this.errors } : { ok: true, value, ignored: this.ignored };
  }
}

/** One line for a NACK: "routes[0].match.tls_context: not supported; ...". */
export function describeErrors(errors: readonly CompileError[]): string {
  return errors.map((error) => `${error.path}: ${error.message}`).join('; ');
}
