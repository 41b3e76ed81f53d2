// Only the formats that CRDs may use and that Kubernetes checks; others are accepted, as Kubernetes does.
const dateTimePattern = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[-+]\d{2}:?\d{2})$/;
const datePattern = /^\d{4}-\d{2}-\d{2}$/;
const bytePattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Whether a string has its schema's `format`. */
export function hasFormat(value: string, format: string): boolean {
  switch (format) {
    case 'date-time':
      return dateTimePattern.test(value) && !Number.isNaN(Date.parse(value.replace(' ', 'T')));
    case 'date':
      return datePattern.test(value) && !Number.isNaN(Date.parse(value));
    case 'byte':
      return bytePattern.test(value);
    default:
      return true;
  }
}

/** Whether an integer fits its schema's `format`. */
export function fitsFormat(value: number, format: string): boolean {
  return format !== 'int32' || (value >= -(2 ** 31) && value < 2 ** 31);
}
