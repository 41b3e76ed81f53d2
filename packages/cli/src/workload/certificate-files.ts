import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { credentialNames, parseSecretName } from '@outrigger/translate/secret-names';

/** PEM of one secret as it is on the disk. */
export type Material =
  | { readonly kind: 'certificate'; readonly chain: string; readonly key: string; readonly notAfterMs: number }
  | {
      readonly kind: 'authorities';
      readonly bundle: string;
      /** What the authorities have revoked; '' where nothing says. */
      readonly crl: string;
      readonly notAfterMs: number;
    };

/** A secret's files that are there: what they hold, or what is wrong with them. */
export interface Found {
  readonly material: Material | undefined;
  /** Why it, or a part of it, cannot be used; '' where it can. */
  readonly fault: string;
  /** Changes with the files. */
  readonly stamp: string;
}

const MAX_FILE_BYTES = 1024 * 1024;
const AUTHORITIES = '-cacert';
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

type Paths =
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | { readonly kind: 'authorities'; readonly authorities: string; readonly revocations: readonly string[] };

/** Reads the secret of an SDS name; undefined: no name of a file's secret. `folder`: of `--certificates`. */
export function readSecret(name: string, folder: string | undefined): Found | undefined {
  const parsed = parseSecretName(name);
  if (parsed === undefined) return undefined;
  if (parsed.kind !== 'credential') {
    const paths: Paths = parsed.kind === 'certificate' ? parsed : { ...parsed, revocations: named(parsed.crl) };
    const relative = filesOf(paths).find((path) => !isAbsolute(path));
    return relative === undefined ? read(paths) : faulty(`"${relative}" is no absolute path; write one`);
  }
  if (folder === undefined) return faulty('there is no folder of certificates; start the gateway with --certificates DIR');
  if (parsed.crl !== '' && !isAbsolute(parsed.crl)) return faulty(`"${parsed.crl}" is no absolute path; write one`);
  return joined(credentialNames(parsed.name).map((one) => readCredential(one, parsed.crl, folder)));
}

function readCredential(name: string, crl: string, folder: string): Found {
  if (!/^(?:[a-z0-9][a-z0-9.-]*\/)?[a-z0-9][a-z0-9.-]*$/i.test(name)) return faulty(`"${name}" is no name of a credential`);
  const candidates = candidatesOf(name).map((paths) => placed(paths, folder));
  const present = candidates.find((paths) => isThere(firstOf(paths)));
  if (present !== undefined) {
    if (present.kind === 'certificate') return read(present);
    return read({ ...present, revocations: [...present.revocations.filter(isThere), ...named(crl)] });
  }
  return faulty(
    `there is no ${candidates.map(firstOf).join(' and no ')}; put ${candidates[0]!.kind === 'certificate' ? 'the certificate and its key' : 'it'} there`,
  );
}

/** Authorities of several names as one: those that are there are trusted while others are not. */
function joined(all: readonly Found[]): Found {
  const [first] = all;
  if (all.length === 1 && first !== undefined) return first;
  const authorities = all.flatMap(({ material }) => (material?.kind === 'authorities' ? [material] : []));
  const text = (of: (material: (typeof authorities)[number]) => string): string =>
    authorities
      .map(of)
      .filter((pem) => pem !== '')
      .join('\n');
  return {
    material:
      authorities.length === 0
        ? undefined
        : {
            kind: 'authorities',
            bundle: text(({ bundle }) => bundle),
            crl: text(({ crl }) => crl),
            notAfterMs: Math.min(...authorities.map((one) => one.notAfterMs)),
          },
    fault: all.flatMap(({ fault }) => (fault === '' ? [] : [fault])).join('; '),
    stamp: all.map(({ stamp }) => stamp).join(' '),
  };
}

/** A flat folder, or folders as Kubernetes mounts secrets; of a namespace's secret ("NAMESPACE/NAME") in the namespace's folder or without. */
function candidatesOf(name: string): readonly Paths[] {
  const slash = name.indexOf('/');
  const bare = slash < 0 ? [name] : [name, name.slice(slash + 1)];
  return bare.flatMap((path): Paths[] => {
    if (!path.endsWith(AUTHORITIES)) {
      return [
        { kind: 'certificate', certificate: `${path}.crt`, key: `${path}.key` },
        { kind: 'certificate', certificate: `${path}/tls.crt`, key: `${path}/tls.key` },
      ];
    }
    return [`${path}.crt`, `${path}/ca.crt`, `${path.slice(0, -AUTHORITIES.length)}/ca.crt`].map((authorities) => ({
      kind: 'authorities',
      authorities,
      revocations: [authorities.replace(/\.crt$/, '.crl')],
    }));
  });
}

function placed(paths: Paths, folder: string): Paths {
  return paths.kind === 'certificate'
    ? { kind: 'certificate', certificate: join(folder, paths.certificate), key: join(folder, paths.key) }
    : { kind: 'authorities', authorities: join(folder, paths.authorities), revocations: paths.revocations.map((path) => join(folder, path)) };
}

function named(file: string): readonly string[] {
  return file === '' ? [] : [file];
}

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function filesOf(paths: Paths): readonly string[] {
  return paths.kind === 'certificate' ? [paths.certificate, paths.key] : [paths.authorities, ...paths.revocations];
}

function firstOf(paths: Paths): string {
  return paths.kind === 'certificate' ? paths.certificate : paths.authorities;
}

function faulty(fault: string, stamp = fault): Found {
  return { material: undefined, fault, stamp };
}

function read(paths: Paths): Found {
  const files = filesOf(paths);
  const stamp = files.map(stampOf).join(' ');
  const texts: string[] = [];
  for (const file of files) {
    try {
      const stat = statSync(file);
      if (stat.size > MAX_FILE_BYTES) return faulty(`${file} has ${stat.size} bytes, which is no certificate`, stamp);
      texts.push(readFileSync(file, 'utf8'));
    } catch (error) {
      return faulty((error as NodeJS.ErrnoException).code === 'ENOENT' ? `there is no ${file}` : `${file} cannot be read: ${(error as Error).message}`, stamp);
    }
  }
  const [first = '', ...others] = texts;
  let certificates: X509Certificate[];
  try {
    certificates = (first.match(PEM) ?? []).map((pem) => new X509Certificate(pem));
  } catch (error) {
    return faulty(`${files[0]} holds no certificate that can be read: ${(error as Error).message}`, stamp);
  }
  const [leaf] = certificates;
  if (leaf === undefined) return faulty(`${files[0]} holds no certificate (PEM)`, stamp);
  if (paths.kind === 'authorities') {
    const unread = others.findIndex((text) => !isRevocationList(text));
    if (unread >= 0) return faulty(`${paths.revocations[unread]} holds no list of revoked certificates (PEM) that can be read`, stamp);
    const notAfterMs = Math.max(...certificates.map((one) => Date.parse(one.validTo)));
    return { material: { kind: 'authorities', bundle: first, crl: others.join('\n'), notAfterMs }, fault: '', stamp };
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(others[0]!))) return faulty(`${paths.key} is not the key of ${paths.certificate}`, stamp);
  } catch (error) {
    return faulty(`${paths.key} holds no private key that can be read: ${(error as Error).message}`, stamp);
  }
  return { material: { kind: 'certificate', chain: first, key: others[0]!, notAfterMs: Date.parse(leaf.validTo) }, fault: '', stamp };
}

function isRevocationList(pem: string): boolean {
  try {
    createSecureContext({ crl: pem });
    return true;
  } catch {
    return false;
  }
}

function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
}
