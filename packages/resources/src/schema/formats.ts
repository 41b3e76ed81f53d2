import { ipFamily } from '../address/ip.ts';

const dateTimePattern = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[-+]\d{2}:?\d{2})$/;
const bytePattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The formats of strings that the vendored CRDs use; one that is not here is not checked, as in Kubernetes. */
const stringFormats: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) => dateTimePattern.test(value) && !Number.isNaN(Date.parse(value.replace(' ', 'T'))),
  byte: (value) => bytePattern.test(value),
  ipv4: (value) => ipFamily(value) === 4,
  ipv6: (value) => ipFamily(value) === 6,
};

/** Whether a string has its schema's `format`. */
export function hasFormat(value: string, format: string): boolean {
  return stringFormats[format]?.(value) ?? true;
}

/** Whether an integer fits its schema's `format`. */
export function fitsFormat(value: number, format: string): boolean {
  return format !== 'int32' || (value >= -(2 ** 31) && value < 2 ** 31);
}

export function isKnownFormat(format: string): boolean {
  return Object.hasOwn(stringFormats, format) || ['int32', 'int64', 'double'].includes(format);
}
