import type { BackendTlsPolicySpec, Resource } from '@outrigger/resources';

/** What a condition says of authorities that cannot be used; the reasons are the specification's. */
export interface BadAuthorities {
  /** Of the policy's `spec`. */
  readonly field: string;
  readonly reason: 'InvalidKind' | 'Invalid';
  readonly message: string;
}

export interface BackendAuthorities {
  /** Those of the system. */
  readonly system: boolean;
  /** Secrets and config maps, "NAMESPACE/NAME"; nobody is trusted where there is none and `system` is not. */
  readonly names: readonly string[];
  readonly bad: readonly BadAuthorities[];
}

/** Whom a BackendTLSPolicy trusts to vouch for a backend. */
export function backendAuthorities({ metadata, spec }: Resource<BackendTlsPolicySpec>): BackendAuthorities {
  const { caCertificateRefs = [], wellKnownCACertificates = '' } = spec.validation;
  if (caCertificateRefs.length === 0 && wellKnownCACertificates === 'System') return { system: true, names: [], bad: [] };
  const names: string[] = [];
  const bad: BadAuthorities[] = [];
  if (caCertificateRefs.length === 0)
    bad.push({ field: 'validation.wellKnownCACertificates', reason: 'Invalid', message: `there are no authorities ${wellKnownCACertificates}; System are` });
  for (const [index, { group = '', kind = '', name }] of caCertificateRefs.entries()) {
    if (group === '' && (kind === 'ConfigMap' || kind === 'Secret')) names.push(`${metadata.namespace}/${name}`);
    else {
      const what = group === '' ? kind : `${kind}.${group}`;
      bad.push({ field: `validation.caCertificateRefs[${index}]`, reason: 'InvalidKind', message: `${what} ${name} is no ConfigMap or Secret` });
    }
  }
  return { system: false, names, bad };
}
