import type { Json } from '../json.ts';

// Kubernetes reads YAML with go-yaml v2, which is YAML 1.1 in these points. `kubectl apply` and Outrigger must see the same values.
const yes = /^(?:y|Y|yes|Yes|YES|on|On|ON)$/;
const no = /^(?:n|N|no|No|NO|off|Off|OFF)$/;
const oldOctal = /^[-+]?0[0-7]+$/;
const grouped = /^[-+]?[1-9]\d*(?:_\d+)+$/;

/** The value of a plain (unquoted) scalar that the core schema resolved to `resolved`. */
export function plainScalar(source: string, resolved: unknown): Json | undefined {
  if (typeof resolved === 'string') {
    if (yes.test(source)) return true;
    if (no.test(source)) return false;
    if (grouped.test(source)) return Number(source.replaceAll('_', ''));
    return resolved;
  }
  if (typeof resolved === 'number') {
    if (oldOctal.test(source)) return Number.parseInt(source, 8);
    return Number.isFinite(resolved) ? resolved : undefined;
  }
  if (typeof resolved === 'boolean' || resolved === null) return resolved;
  return undefined;
}
