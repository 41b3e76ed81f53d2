import type { HeaderList } from '../http/message.ts';

/** Index of the name in the list, or -1. `lowerName` is lower case; names in the list keep their case. */
export function headerIndex(headers: readonly string[], lowerName: string, from = 0): number {
  const length = lowerName.length;
  for (let i = from; i < headers.length; i += 2) {
    const name = headers[i]!;
    // HTTP/2 names are lower case already, so the first comparison nearly always decides.
    if (name.length === length && (name === lowerName || name.toLowerCase() === lowerName)) return i;
  }
  return -1;
}

/** First value, or undefined. */
export function headerValue(headers: readonly string[], lowerName: string): string | undefined {
  const index = headerIndex(headers, lowerName);
  return index < 0 ? undefined : headers[index + 1];
}

/** All values joined by ",", as Envoy's matchers see a repeated header; undefined if absent. */
export function joinedHeader(headers: readonly string[], lowerName: string): string | undefined {
  let index = headerIndex(headers, lowerName);
  if (index < 0) return undefined;
  let value = headers[index + 1]!;
  for (index = headerIndex(headers, lowerName, index + 2); index >= 0; index = headerIndex(headers, lowerName, index + 2)) value += ',' + headers[index + 1];
  return value;
}

export function hasHeader(headers: readonly string[], lowerName: string): boolean {
  return headerIndex(headers, lowerName) >= 0;
}

/** Takes every header of that name off, in place. */
export function removeHeader(headers: HeaderList, lowerName: string): void {
  let index = headerIndex(headers, lowerName);
  if (index < 0) return;
  let write = index;
  for (; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (name.length === lowerName.length && (name === lowerName || name.toLowerCase() === lowerName)) continue;
    headers[write] = name;
    headers[write + 1] = headers[index + 1]!;
    write += 2;
  }
  headers.length = write;
}

/** One header of that name with that value: the first keeps its place, others go. */
export function setHeader(headers: HeaderList, lowerName: string, value: string): void {
  const index = headerIndex(headers, lowerName);
  if (index < 0) {
    headers.push(lowerName, value);
    return;
  }
  headers[index + 1] = value;
  let extra = headerIndex(headers, lowerName, index + 2);
  while (extra >= 0) {
    headers.splice(extra, 2);
    extra = headerIndex(headers, lowerName, extra);
  }
}

/** Path without query and fragment, as Envoy matches it. */
export function pathOnly(path: string): string {
  const query = path.indexOf('?');
  const fragment = path.indexOf('#');
  if (query < 0) return fragment < 0 ? path : path.slice(0, fragment);
  return path.slice(0, fragment < 0 || query < fragment ? query : fragment);
}
