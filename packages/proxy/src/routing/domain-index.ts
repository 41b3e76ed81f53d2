/** Wildcard domains of one kind: looked up by each length that occurs, the longest first. */
class Wildcards<T> {
  readonly #byText = new Map<string, T>();
  #lengths: readonly number[] = [];

  has(text: string): boolean {
    return this.#byText.has(text);
  }

  set(text: string, value: T): void {
    this.#byText.set(text, value);
    this.#lengths = [...new Set([...this.#lengths, text.length])].sort((a, b) => b - a);
  }

  find(host: string, cut: (host: string, length: number) => string): T | null {
    for (const length of this.#lengths) {
      // The star stands for at least one character.
      if (length >= host.length) continue;
      const value = this.#byText.get(cut(host, length));
      if (value !== undefined) return value;
    }
    return null;
  }
}

const end = (host: string, length: number): string => host.slice(host.length - length);
const start = (host: string, length: number): string => host.slice(0, length);

/**
 * Virtual host by domain, in Envoy's order: exact, then "*.example.com" (longest first), then "example.*" (longest
 * first), then "*". Names are compared without case. A port in the request's host is part of the name unless
 * `ignorePort` (ignore_port_in_host_matching).
 */
export class DomainIndex<T> {
  readonly #exact = new Map<string, T>();
  readonly #suffixes = new Wildcards<T>();
  readonly #prefixes = new Wildcards<T>();
  #any: T | null = null;
  readonly #ignorePort: boolean;

  constructor(ignorePort: boolean) {
    this.#ignorePort = ignorePort;
  }

  /** Whether the domain is taken. */
  has(domain: string): boolean {
    const name = domain.toLowerCase();
    if (name === '*') return this.#any !== null;
    if (name.startsWith('*')) return this.#suffixes.has(name.slice(1));
    return name.endsWith('*') ? this.#prefixes.has(name.slice(0, -1)) : this.#exact.has(name);
  }

  /** False: the domain is taken. */
  add(domain: string, value: T): boolean {
    if (this.has(domain)) return false;
    const name = domain.toLowerCase();
    if (name === '*') this.#any = value;
    else if (name.startsWith('*')) this.#suffixes.set(name.slice(1), value);
    else if (name.endsWith('*')) this.#prefixes.set(name.slice(0, -1), value);
    else this.#exact.set(name, value);
    return true;
  }

  find(authority: string): T | null {
    const host = this.#ignorePort ? withoutPort(authority.toLowerCase()) : authority.toLowerCase();
    return this.#exact.get(host) ?? this.#suffixes.find(host, end) ?? this.#prefixes.find(host, start) ?? this.#any;
  }
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  // "::1" without brackets has no port; "[::1]:80" has.
  return colon < 0 || host.indexOf(']', colon) >= 0 || (!host.startsWith('[') && host.indexOf(':') !== colon) ? host : host.slice(0, colon);
}
