/** When a resource's pressure, in [0, 1], sets an action in motion. */
export type Trigger =
  | { readonly kind: 'threshold'; readonly value: number }
  | { readonly kind: 'scaled'; readonly scalingThreshold: number; readonly saturationThreshold: number };

/** How far the action goes at that pressure: 0 not at all, 1 saturated. */
export function triggered(trigger: Trigger, pressure: number): number {
  if (trigger.kind === 'threshold') return pressure >= trigger.value ? 1 : 0;
  const { scalingThreshold, saturationThreshold } = trigger;
  if (pressure <= scalingThreshold) return 0;
  if (pressure >= saturationThreshold) return 1;
  return (pressure - scalingThreshold) / (saturationThreshold - scalingThreshold);
}
