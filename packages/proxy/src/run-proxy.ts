export async function runProxy(_config: string, _options: { cacheDir?: string; metricsAddress?: string }): Promise<void> {
  throw new Error('under construction');
}
