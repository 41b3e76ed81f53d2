import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parseSecretName } from '@outrigger/translate/secret-names';

/** PEM of one secret as it is on the disk. */
export type Material =
  | { readonly kind: 'certificate'; readonly chain: string; readonly key: string; readonly notAfterMs: number }
  | { readonly kind: 'authorities'; readonly bundle: string; readonly notAfterMs: number };

/** A secret's files that are there: what they hold, or what is wrong with them. */
export interface Found {
  readonly material: Material | undefined;
  /** Why it cannot be used; '' where it can. */
  readonly fault: string;
  /** Changes with the files. */
  readonly stamp: string;
}

const MAX_FILE_BYTES = 1024 * 1024;
const AUTHORITIES = '-cacert';
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

type Paths =
  | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
  | { readonly kind: 'authorities'; readonly authorities: string };

/** Reads the secret of an SDS name; undefined: no name of a file's secret. `folder`: of `--certificates`. */
export function readSecret(name: string, folder: string | undefined): Found | undefined {
  const parsed = parseSecretName(name);
  if (parsed === undefined) return undefined;
  if (parsed.kind !== 'credential') {
    const relative = (parsed.kind === 'certificate' ? [parsed.certificate, parsed.key] : [parsed.authorities]).find((path) => !isAbsolute(path));
    if (relative !== undefined) return faulty(`"${relative}" is no absolute path; write one`);
    return read(parsed);
  }
  if (!/^(?:[a-z0-9][a-z0-9.-]*\/)?[a-z0-9][a-z0-9.-]*$/i.test(parsed.name)) return faulty(`"${parsed.name}" is no name of a credential`);
  if (folder === undefined) return faulty('there is no folder of certificates; start the gateway with --certificates DIR');
  const candidates = candidatesOf(parsed.name).map((paths) => placed(paths, folder));
  const present = candidates.find((paths) => statSync(firstOf(paths), { throwIfNoEntry: false }) !== undefined);
  if (present !== undefined) return read(present);
  return faulty(
    `there is no ${candidates.map(firstOf).join(' and no ')}; put ${candidates[0]!.kind === 'certificate' ? 'the certificate and its key' : 'it'} there`,
  );
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
    return [`${path}.crt`, `${path}/ca.crt`, `${path.slice(0, -AUTHORITIES.length)}/ca.crt`].map((authorities) => ({ kind: 'authorities', authorities }));
  });
}

function placed(paths: Paths, folder: string): Paths {
  return paths.kind === 'certificate'
    ? { kind: 'certificate', certificate: join(folder, paths.certificate), key: join(folder, paths.key) }
    : { kind: 'authorities', authorities: join(folder, paths.authorities) };
}

function firstOf(paths: Paths): string {
  return paths.kind === 'certificate' ? paths.certificate : paths.authorities;
}

function faulty(fault: string, stamp = fault): Found {
  return { material: undefined, fault, stamp };
}

function read(paths: Paths): Found {
  const files = paths.kind === 'certificate' ? [paths.certificate, paths.key] : [paths.authorities];
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
  const [first = '', key = ''] = texts;
  let certificates: X509Certificate[];
  try {
    certificates = (first.match(PEM) ?? []).map((pem) => new X509Certificate(pem));
  } catch (error) {
    return faulty(`${files[0]} holds no certificate that can be read: ${(error as Error).message}`, stamp);
  }
  const [leaf] = certificates;
  if (leaf === undefined) return faulty(`${files[0]} holds no certificate (PEM)`, stamp);
  if (paths.kind === 'authorities') {
    return { material: { kind: 'authorities', bundle: first, notAfterMs: Math.max(...certificates.map((one) => Date.parse(one.validTo))) }, fault: '', stamp };
  }
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return faulty(`${paths.key} is not the key of ${paths.certificate}`, stamp);
  } catch (error) {
    return faulty(`${paths.key} holds no private key that can be read: ${(error as Error).message}`, stamp);
  }
  return { material: { kind: 'certificate', chain: first, key, notAfterMs: Date.parse(leaf.validTo) }, fault: '', stamp };
}

function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '-' : `${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
}
