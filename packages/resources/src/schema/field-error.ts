import type { Json } from '../json.ts';

/** Which of the API server's field errors it is. */
export type FieldErrorType = 'Required' | 'Invalid' | 'TypeInvalid' | 'NotSupported' | 'Duplicate' | 'Forbidden' | 'TooLong' | 'TooMany' | 'Unknown';

/** One field that is wrong, in the words of a Kubernetes API server. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** "spec.http[0].route[0].weight"; '' for the object itself. */
  readonly field: string;
  /** Whole: "spec.http[0].route[0].weight: Invalid value: -1: ...". */
  readonly message: string;
  /** Of a TypeInvalid: the type that the value has, and the one it should have. */
  readonly actual?: string;
  readonly expected?: string;
  /** What it was likely meant to be, where that can be told: the nearest field name or value. */
  readonly suggestion?: string;
}

/** A value longer than this is cut in messages: a person reads them. */
const maxShownLength = 256;

/** A value as the API server prints it. */
function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > maxShownLength ? `${text.slice(0, maxShownLength)}...` : text;
}

/** The API server prints the path of the whole object so. */
function place(field: string): string {
  return field === '' ? '<nil>' : field;
}

// The functions below are named as those of Kubernetes' package field, whose sentences they give.

export function required(field: string, detail = ''): FieldError {
  return { type: 'Required', field, message: `${place(field)}: Required value${detail === '' ? '' : `: ${detail}`}` };
}

/** Without a value, as the API server leaves out objects and lists, what is wrong stands alone. */
export function invalid(field: string, value: Json | undefined, detail: string): FieldError {
  return { type: 'Invalid', field, message: `${place(field)}: Invalid value: ${value === undefined ? '' : `${shown(value)}: `}${detail}` };
}

export function typeInvalid(field: string, expected: string, actual: string): FieldError {
  return {
    type: 'TypeInvalid',
    field,
    actual,
    expected,
    message: `${place(field)}: Invalid value: "${actual}": ${place(field)} in body must be of type ${expected}: "${actual}"`,
  };
}

export function notSupported(field: string, value: Json, supported: readonly Json[], suggestion: string | undefined): FieldError {
  const message = `${place(field)}: Unsupported value: ${shown(value)}: supported values: ${supported.map((item) => (typeof item === 'string' ? JSON.stringify(item) : `"${JSON.stringify(item)}"`)).join(', ')}`;
  return suggestion === undefined ? { type: 'NotSupported', field, message } : { type: 'NotSupported', field, message, suggestion };
}

export function duplicate(field: string, value: Json): FieldError {
  return { type: 'Duplicate', field, message: `${place(field)}: Duplicate value: ${shown(value)}` };
}

export function forbidden(field: string, detail: string): FieldError {
  return { type: 'Forbidden', field, message: `${place(field)}: Forbidden: ${detail}` };
}

export function tooLong(field: string, max: number): FieldError {
  return { type: 'TooLong', field, message: `${place(field)}: Too long: may not be more than ${max} bytes` };
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  return { type: 'TooMany', field, message: `${place(field)}: Too many: ${actual}: must have at most ${max} ${max === 1 ? 'item' : 'items'}` };
}

export function unknownField(field: string, suggestion: string | undefined): FieldError {
  const message = `strict decoding error: unknown field ${JSON.stringify(field)}`;
  return suggestion === undefined
    ? { type: 'Unknown', field, message }
    : { type: 'Unknown', field, message: `${message}, did you mean "${suggestion}"?`, suggestion };
}

/** Path of a property of what stands at `parent`. */
export function child(parent: string, name: string): string {
  return parent === '' ? name : `${parent}.${name}`;
}
