import { durationMs } from '../duration.ts';
import { isJsonObject, type Json } from '../json.ts';
import { nearest } from '../suggest.ts';

export interface Fault {
  /** Below the value that was checked: ".mode", "" for itself. */
  readonly at: string;
  readonly message: string;
  readonly next: string;
  /** Refuses nothing: a name that this version does not know. */
  readonly unknown?: true;
}

/** What is wrong with a value. */
export type Check = (value: Json) => readonly Fault[];

const wrong = (value: Json, expected: string): readonly Fault[] => [
  { at: '', message: `${JSON.stringify(value).slice(0, 80)} is not ${expected}`, next: `write ${expected}` },
];

export const duration: Check = (value) => {
  const ms = typeof value === 'string' ? durationMs(value) : undefined;
  return ms === undefined || ms < 0 ? wrong(value, 'a duration like "10s" or "250ms"') : [];
};

export const positiveDuration: Check = (value) => {
  const ms = typeof value === 'string' ? durationMs(value) : undefined;
  return ms === undefined || ms < 1 ? wrong(value, 'a duration of 1ms or more, like "10s"') : [];
};

export const anyText: Check = (value) => (typeof value === 'string' ? [] : wrong(value, 'a text'));
export const flag: Check = (value) => (typeof value === 'boolean' ? [] : wrong(value, 'true or false'));
export const count: Check = (value) => (typeof value === 'number' && Number.isInteger(value) && value >= 0 ? [] : wrong(value, 'a whole number from 0'));
/** What is not looked into. */
export const unchecked: Check = () => [];

export function oneOf(...values: readonly string[]): Check {
  return (value) => (typeof value === 'string' && values.includes(value) ? [] : wrong(value, `one of ${values.join(', ')}`));
}

export function listOf(item: Check): Check {
  return (value) =>
    Array.isArray(value) ? value.flatMap((one, index) => item(one).map((fault) => ({ ...fault, at: `[${index}]${fault.at}` }))) : wrong(value, 'a list');
}

export function mapOf(item: Check): Check {
  return (value) =>
    isJsonObject(value)
      ? Object.entries(value).flatMap(([name, one]) => item(one).map((fault) => ({ ...fault, at: `.${name}${fault.at}` })))
      : wrong(value, 'a mapping');
}

/** A field that is null is not there, as protocol buffers have it. */
export function objectOf(fields: Readonly<Record<string, Check>>): Check {
  return (value) => {
    if (!isJsonObject(value)) return wrong(value, 'a mapping');
    return Object.entries(value).flatMap(([name, one]): readonly Fault[] => {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (check !== undefined) return one === null ? [] : check(one).map((fault) => ({ ...fault, at: `.${name}${fault.at}` }));
      const meant = nearest(name, Object.keys(fields));
      return [
        {
          at: `.${name}`,
          message: `there is no field "${name}"`,
          next: meant === undefined ? 'remove it' : `write ${meant} in place of ${name}`,
          unknown: true,
        },
      ];
    });
  };
}
