import { type ConnectionFault, protocolFault } from './connection-fault.ts';
import { ErrorCode } from './error-code.ts';
import { LARGEST_MAX_FRAME_BYTES, MAX_STREAM_ID, MAX_WINDOW_BYTES, Setting, uint32 } from './frame.ts';
import type { HpackEncoder } from './hpack-encoder.ts';
import type { Http2Options } from './options.ts';
import type { SendFlow } from './send-flow.ts';

/** What the peer has said of itself (RFC 9113 section 6.5.2), put into effect as it is read; the window of open streams is for the connection. */
export class PeerSettings {
  /** Its first SETTINGS are here. */
  received: boolean;
  /** Streams that we may open at once. */
  maxStreams: number;
  /** RFC 8441. */
  connectProtocol: boolean;
  /** SETTINGS_INITIAL_WINDOW_SIZE, of the frame that was read last. */
  initialWindowBytes: number;
  private readonly maxFrameBytes: number;
  private readonly ofClient: boolean;
  private readonly encoder: HpackEncoder;
  private readonly sendFlow: SendFlow;

  /** `ofClient`: the peer is one. */
  constructor(options: Http2Options, ofClient: boolean, encoder: HpackEncoder, sendFlow: SendFlow) {
    this.received = false;
    this.maxStreams = options.initialConcurrentStreams;
    this.connectProtocol = false;
    this.initialWindowBytes = sendFlow.initialStreamWindow;
    this.maxFrameBytes = options.maxFrameBytes;
    this.ofClient = ofClient;
    this.encoder = encoder;
    this.sendFlow = sendFlow;
  }

  /** The payload of one frame. */
  read(buffer: Buffer, start: number, end: number): ConnectionFault | null {
    if (!this.received) this.maxStreams = MAX_STREAM_ID;
    for (let p = start; p < end; p += 6) {
      const fault = this.apply((buffer[p]! << 8) | buffer[p + 1]!, uint32(buffer, p + 2));
      if (fault !== null) return fault;
    }
    this.received = true;
    return null;
  }

  private apply(setting: number, value: number): ConnectionFault | null {
    switch (setting) {
      case Setting.HEADER_TABLE_SIZE:
        this.encoder.setPeerTableBytes(value);
        return null;
      case Setting.ENABLE_PUSH:
        return value > 1 || (value === 1 && !this.ofClient) ? protocolFault('invalid SETTINGS_ENABLE_PUSH') : null;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        return null;
      case Setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) return { code: ErrorCode.FLOW_CONTROL_ERROR, detail: 'invalid SETTINGS_INITIAL_WINDOW_SIZE' };
        this.initialWindowBytes = value;
        return null;
      case Setting.MAX_FRAME_SIZE:
        if (value < 16_384 || value > LARGEST_MAX_FRAME_BYTES) return protocolFault('invalid SETTINGS_MAX_FRAME_SIZE');
        // No larger than ours: one stream would hold up the others.
        this.sendFlow.maxFrameBytes = Math.min(value, this.maxFrameBytes);
        return null;
      case Setting.ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (value === 0 && this.connectProtocol)) return protocolFault('invalid SETTINGS_ENABLE_CONNECT_PROTOCOL');
        this.connectProtocol = value === 1;
        return null;
      default:
        return null;
    }
  }
}
