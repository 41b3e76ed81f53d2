import { isIP } from 'node:net';

/** Whether an address is the one written, or in the range that is written ("10.0.0.0/8"). */
export function holdsAddress(written: string, address: string): boolean {
  const [base = '', length] = written.split('/');
  const [left, right] = [bits(base), bits(address)];
  if (left === undefined || right === undefined || left.length !== right.length) return false;
  const count = length === undefined ? left.length : Number(length);
  return left.slice(0, count) === right.slice(0, count);
}

/** Ones and zeros; undefined: no address. */
function bits(address: string): string | undefined {
  const kind = isIP(address);
  if (kind === 0) return undefined;
  if (kind === 4)
    return address
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = groups(tail);
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
}
