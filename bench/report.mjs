// What a row came to, as text.
export function print(result, machine) {
  console.log(`\n${result.name} (${machine})`);
  if (result.figures !== undefined) {
    for (const { what, unit, ...values } of result.figures)
      console.log(
        [
          what,
          ...Object.entries(values).map(([target, value]) => `${target} ${format(value)} ${unit}`),
          ...(values.ours !== undefined && values.envoy !== undefined ? [`ours / envoy ${(medianOf(values.ours) / medianOf(values.envoy)).toFixed(2)}`] : []),
        ].join('\t'),
      );
    return;
  }
  const mib = result.mibPerRequest;
  console.log(
    [
      'target',
      'CPU us/req (min-max)',
      'req/s',
      ...(mib === undefined ? [] : ['MiB/s']),
      'p50 ms',
      'p99 ms',
      'PSS MB',
      'sidecar idle MB',
      'errors',
      'stolen %',
    ].join('\t'),
  );
  for (const [target, t] of Object.entries(result.targets))
    console.log(
      [
        target,
        format(t.cpuUsPerRequest),
        t.requestsPerSecond.median.toFixed(0),
        ...(mib === undefined ? [] : [(t.requestsPerSecond.median * mib).toFixed(0)]),
        t.p50Ms.median.toFixed(2),
        t.p99Ms.median.toFixed(2),
        t.pssMb.median.toFixed(1),
        t.idleSidecarPssMb.toFixed(1),
        t.errors,
        (t.stealRatio.median * 100).toFixed(1),
      ].join('\t'),
    );
  for (const [peer, ratio] of Object.entries(result.ratios)) {
    const added = ratio.addedP50Ms === undefined ? '' : `, added p50 ${ratio.addedP50Ms.toFixed(2)}, added p99 ${ratio.addedP99Ms.toFixed(2)}`;
    console.log(
      `ours / ${peer}: CPU ${ratio.cpuUsPerRequest.toFixed(2)}, req/s ${ratio.requestsPerSecond.toFixed(2)}, p50 ${ratio.p50Ms.toFixed(2)}, p99 ${ratio.p99Ms.toFixed(2)}${added}, PSS ${ratio.pssMb.toFixed(2)}`,
    );
  }
}

const medianOf = (value) => (typeof value === 'number' ? value : value.median);

/** A number, or {median, min, max}. */
function format(value) {
  return typeof value === 'number' ? value.toPrecision(3) : `${value.median.toFixed(1)} (${value.min.toFixed(1)}-${value.max.toFixed(1)})`;
}
