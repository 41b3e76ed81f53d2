import { isIP } from 'node:net';
import {
  type Authority,
  type CaStore,
  type ControlPlaneCertificate,
  certificateMethods,
  createAuthority,
  createControlPlaneCertificate,
  createTokenRegister,
  type IssuanceRecord,
  issuancePolicy,
  type Svid,
  type TokenRegister,
  tlsOptions,
} from '@outrigger/identity';
import type { ServerTls, StreamMethods } from '@outrigger/xds';
import type { TokenCreated, TokenView } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import type { Records } from '../store/records.ts';

export interface CertificatesOptions {
  /** Secrets: the authority's key and the hashes of join tokens. */
  readonly records: Records<string>;
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly ttlMs: number | undefined;
  /** Names and addresses beside those of loopback. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
}

/** Identities whose last certificate's end is remembered. */
const MAX_REMEMBERED = 20_000;

/** The certificate role: the authority, who may have what of it, and the control plane's own certificate. */
export class Certificates {
  readonly authority: Authority;
  readonly #tokens: TokenRegister;
  readonly #own: ControlPlaneCertificate;
  readonly #options: CertificatesOptions;
  readonly #expiryBySpiffeId = new Map<string, number>();
  #issued = 0;
  #refused = 0;

  private constructor(options: CertificatesOptions, authority: Authority, tokens: TokenRegister, own: ControlPlaneCertificate) {
    this.#options = options;
    this.authority = authority;
    this.#tokens = tokens;
    this.#own = own;
  }

  /** Throws an `IdentityError`. */
  static async open(options: CertificatesOptions): Promise<Certificates> {
    const { clock, trustDomain, rootNamespace, ttlMs, log } = options;
    const store = caStore(options.records);
    const authority = await createAuthority(store, clock, {
      trustDomain,
      controlPlane: { namespace: rootNamespace, serviceAccount: 'outrigger' },
      ...(ttlMs === undefined ? {} : { defaultTtlMs: ttlMs }),
    });
    const tokens = await createTokenRegister(store, clock);
    const own = await createControlPlaneCertificate({
      authority,
      clock,
      dnsNames: options.names.filter((name) => isIP(name) === 0),
      ipAddresses: options.names.filter((name) => isIP(name) !== 0),
      onError: (error) => log({ level: 'error', part: 'certificates', message: `the control plane's own certificate was not renewed: ${error.message}` }),
    });
    return new Certificates(options, authority, tokens, own);
  }

  get counts(): { readonly issued: number; readonly refused: number } {
    return { issued: this.#issued, refused: this.#refused };
  }

  /** What the control plane's servers show, and whom they trust. */
  get tls(): ServerTls {
    return serverTls(this.#own.current());
  }

  onTlsChange(listener: (tls: ServerTls) => void): void {
    this.#own.onChange((svid) => listener(serverTls(svid)));
  }

  get methods(): StreamMethods {
    return certificateMethods({
      authority: this.authority,
      attestors: { tokens: this.#tokens, policy: issuancePolicy(process.getuid?.() ?? -1) },
      clock: this.#options.clock,
      onRequest: (record) => this.#record(record),
    });
  }

  /** End of the last certificate of an identity; null: none was issued since the start. */
  expiresAtMs(spiffeId: string): number | null {
    return this.#expiryBySpiffeId.get(spiffeId) ?? null;
  }

  /** Throws an `IdentityError`. */
  async createToken(namespace: string, serviceAccount: string, uses: 'single' | 'multiple', ttlMs: number | undefined): Promise<TokenCreated> {
    const identity = { trustDomain: this.authority.trustDomain, namespace, serviceAccount };
    const known = new Set(this.#tokens.list().map(({ id }) => id));
    const token = await this.#tokens.create({ identity, uses, ...(ttlMs === undefined ? {} : { ttlMs }) }, this.authority.trustBundle().fingerprints);
    const view = this.#tokens.list().find(({ id }) => !known.has(id));
    return { token, expiresAtMs: view?.expiresAtMs ?? 0 };
  }

  tokens(): TokenView[] {
    return this.#tokens.list().map((view) => ({ ...view }));
  }

  revokeToken(id: string): Promise<boolean> {
    return this.#tokens.revoke(id);
  }

  stop(): void {
    this.#own.stop();
    this.authority.close();
  }

  #record(record: IssuanceRecord): void {
    if (record.refused !== '') {
      this.#refused += 1;
      this.#options.log({ level: 'warn', part: 'certificates', message: `refused: ${record.refused}`, spiffeId: record.spiffeId, remote: record.remote });
      return;
    }
    this.#issued += 1;
    this.#expiryBySpiffeId.delete(record.spiffeId);
    this.#expiryBySpiffeId.set(record.spiffeId, record.notAfterMs);
    for (const oldest of this.#expiryBySpiffeId.keys()) {
      if (this.#expiryBySpiffeId.size <= MAX_REMEMBERED) break;
      this.#expiryBySpiffeId.delete(oldest);
    }
    const { spiffeId, remote, by, serialNumber, notAfterMs } = record;
    this.#options.log({
      level: 'debug',
      part: 'certificates',
      message: 'issued',
      spiffeId,
      remote,
      by,
      serialNumber,
      notAfter: new Date(notAfterMs).toISOString(),
    });
  }
}

function serverTls(svid: Svid): ServerTls {
  const { key, cert, ca } = tlsOptions(svid);
  return { key, cert, ca };
}

function caStore(records: Records<string>): CaStore {
  return {
    get(key) {
      const value = records.get(key);
      return value === undefined ? undefined : Buffer.from(value, 'base64');
    },
    async put(key, value) {
      records.put(key, Buffer.from(value).toString('base64'));
    },
  };
}
