/** A path whose query has these parameters, and not those. The others stay as they were sent. */
export function changeQuery(path: string, toSet: readonly (readonly [name: string, value: string])[], toRemove: readonly string[]): string {
  const mark = path.indexOf('?');
  const gone = new Set([...toRemove, ...toSet.map(([name]) => name)]);
  const kept =
    mark < 0
      ? []
      : path
          .slice(mark + 1)
          .split('&')
          .filter((part) => part !== '' && !gone.has(part.split('=', 1)[0]!));
  const added = toSet.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const query = [...kept, ...added].join('&');
  return `${mark < 0 ? path : path.slice(0, mark)}${query === '' ? '' : `?${query}`}`;
}
