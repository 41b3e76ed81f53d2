import { Flag, FrameType } from './frame.ts';

/** Limits of Http2ProtocolOptions; Infinity: none. */
export interface FrameLimitSettings {
  /** max_consecutive_inbound_frames_with_empty_payload. */
  readonly consecutiveEmptyFrames: number;
  /** max_inbound_priority_frames_per_stream. */
  readonly priorityFramesPerStream: number;
  /** max_inbound_window_update_frames_per_data_frame_sent. */
  readonly windowUpdatesPerDataFrame: number;
}

/** Counts frames of the kinds that Envoy has limits for, by Envoy's formulas; only where one is configured. */
export class FrameLimits {
  private readonly settings: FrameLimitSettings;
  private emptyRun: number;
  private priorities: number;
  private windowUpdates: number;

  constructor(settings: FrameLimitSettings) {
    this.settings = settings;
    this.emptyRun = 0;
    this.priorities = 0;
    this.windowUpdates = 0;
  }

  /** False: one too many. `openedStreams` and `dataFrames` (sent) are of the connection's whole life. */
  allows(type: number, flags: number, length: number, openedStreams: number, dataFrames: number): boolean {
    switch (type) {
      case FrameType.DATA:
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        if (length > 0 || (flags & Flag.END_STREAM) !== 0) this.emptyRun = 0;
        else if (++this.emptyRun > this.settings.consecutiveEmptyFrames) return false;
        return true;
      case FrameType.PRIORITY:
        return ++this.priorities <= this.settings.priorityFramesPerStream * (1 + openedStreams);
      case FrameType.WINDOW_UPDATE:
        return ++this.windowUpdates <= 5 + 2 * (openedStreams + this.settings.windowUpdatesPerDataFrame * dataFrames);
      default:
        return true;
    }
  }
}
