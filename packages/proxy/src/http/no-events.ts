import type { StreamEvents } from './message.ts';

/** What a stream's events are until the engine sets them. */
export const NO_EVENTS: StreamEvents = Object.freeze({
  onBody() {},
  onTrailers() {},
  onReset() {},
  onDrain() {},
});
