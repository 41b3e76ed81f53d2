/** Whether something of `owner` with that exportTo is seen in `namespace`: none means everywhere, "~" nowhere. */
export function isExportedTo(exportTo: readonly string[] | undefined, owner: string, namespace: string): boolean {
  if (exportTo === undefined || exportTo.length === 0) return true;
  return exportTo.some((target) => target === '*' || target === namespace || (target === '.' && owner === namespace));
}
