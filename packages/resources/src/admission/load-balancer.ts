import type { ConsistentHash, LoadBalancerSettings, LocalityLoadBalancerSetting } from '../kinds/destination-rule.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { checkDuration } from './checks.ts';

/** Envoy's largest Maglev table. */
const maxTableSize = 5_000_011;
const topologyLabels: ReadonlySet<string> = new Set(['topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone']);

export function checkLoadBalancer(settings: LoadBalancerSettings | undefined, path: string, errors: FieldError[]): void {
  if (settings === undefined) return;
  checkHash(settings.consistentHash, `${path}.consistentHash`, errors);
  const { localityLbSetting: locality, zoneAwareLbSetting: zones, warmup } = settings;
  if (locality !== undefined && zones !== undefined) errors.push(forbidden(`${path}.zoneAwareLbSetting`, 'cannot be set together with localityLbSetting'));
  checkLocality(locality, `${path}.localityLbSetting`, errors);
  checkFailover(zones?.failover, `${path}.zoneAwareLbSetting.failover`, errors);
  for (const [index, label] of (zones?.failoverPriority ?? []).entries()) {
    if (topologyLabels.has(label))
      errors.push(forbidden(`${path}.zoneAwareLbSetting.failoverPriority[${index}]`, `${label}: regions and zones are taken care of without it`));
  }
  checkDuration(settings.warmupDurationSecs, `${path}.warmupDurationSecs`, errors);
  checkDuration(warmup?.duration, `${path}.warmup.duration`, errors);
  if (typeof warmup?.aggression === 'number' && warmup.aggression <= 0)
    errors.push(invalid(`${path}.warmup.aggression`, warmup.aggression, 'must be greater than 0'));
}

function checkHash(hash: ConsistentHash | undefined, path: string, errors: FieldError[]): void {
  if (hash === undefined) return;
  const { httpCookie: cookie, maglev, ringHash, minimumRingSize = 0 } = hash;
  if (cookie !== undefined && cookie.name === '') errors.push(required(`${path}.httpCookie.name`, 'a cookie needs a name'));
  checkDuration(cookie?.ttl === '0s' ? undefined : cookie?.ttl, `${path}.httpCookie.ttl`, errors);
  const names = new Set<string>();
  for (const [index, { name }] of (cookie?.attributes ?? []).entries()) {
    const place = `${path}.httpCookie.attributes[${index}].name`;
    if (name === '') errors.push(required(place, 'an attribute of a cookie needs a name'));
    else if (names.has(name)) errors.push(duplicate(place, name));
    names.add(name);
  }
  if (minimumRingSize !== 0 && (maglev !== undefined || ringHash !== undefined))
    errors.push(forbidden(`${path}.minimumRingSize`, 'is the ring of ringHash: set one of the two, and neither with maglev'));
  if (maglev !== undefined) {
    const size = maglev.tableSize ?? 0;
    if (!isPrime(size) || size >= maxTableSize) errors.push(invalid(`${path}.maglev.tableSize`, size, `must be a prime number smaller than ${maxTableSize}`));
  }
}

function checkLocality(setting: LocalityLoadBalancerSetting | undefined, path: string, errors: FieldError[]): void {
  if (setting === undefined) return;
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0 && failover.length > 0) errors.push(forbidden(`${path}.failover`, 'cannot be set together with distribute'));
  const topology = failoverPriority.find((label) => topologyLabels.has(label));
  if (failover.length > 0 && topology !== undefined)
    errors.push(forbidden(`${path}.failoverPriority`, `${topology} cannot be set together with failover, which is about regions`));
  for (const [index, { to = {} }] of distribute.entries()) {
    const place = `${path}.distribute[${index}].to`;
    const weights = Object.values(to);
    if (weights.some((weight) => weight < 1 || weight > 100)) errors.push(invalid(place, to, 'each weight must be in the range of 1 to 100'));
    else if (weights.reduce((sum, weight) => sum + weight, 0) !== 100) errors.push(invalid(place, to, 'the weights must be 100 together'));
    checkLocalities(Object.keys(to), place, errors);
  }
  checkLocalities(
    distribute.map(({ from = '' }) => from),
    `${path}.distribute`,
    errors,
  );
  checkFailover(failover, `${path}.failover`, errors);
}

/** "region/zone/subzone", "region/*": none empty, "*" only at the end, none within another. */
function checkLocalities(localities: readonly string[], path: string, errors: FieldError[]): void {
  const seen: string[][] = [];
  for (const locality of localities) {
    const parts = locality.split('/');
    const whole = parts[parts.length - 1] === '*' ? parts.slice(0, -1) : parts;
    if (parts.length > 3 || parts.some((part) => part === '')) errors.push(invalid(path, locality, 'must be region, region/zone or region/zone/subzone'));
    else if (locality.slice(0, -1).includes('*')) errors.push(invalid(path, locality, '"*" may stand only at the end of a locality'));
    else if (seen.some((other) => within(whole, other) || within(other, whole))) errors.push(invalid(path, locality, 'overlaps another locality of the list'));
    seen.push(whole);
  }
}

function within(inner: readonly string[], outer: readonly string[]): boolean {
  return outer.every((part, index) => inner[index] === part);
}

function checkFailover(failover: readonly { readonly from?: string; readonly to?: string }[] | undefined, path: string, errors: FieldError[]): void {
  for (const [index, { from = '', to = '' }] of (failover ?? []).entries()) {
    const place = `${path}[${index}]`;
    if (from === to) errors.push(invalid(`${place}.to`, to, 'must be another region than from'));
    for (const [field, region] of Object.entries({ from, to })) {
      if (region.includes('/')) errors.push(invalid(`${place}.${field}`, region, 'must be a region alone: zones fail over by themselves'));
      if (region.includes('*')) errors.push(invalid(`${place}.${field}`, region, 'must be a region, without "*"'));
    }
  }
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}
