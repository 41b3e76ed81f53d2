import { describe, expect, it } from 'vitest';
import { BandwidthProbe } from './bandwidth-probe.ts';
import { FrameType } from './frame.ts';
import { frame, headers, POST, ping } from './testing/frames.ts';
import { RawServer } from './testing/server.ts';

describe('BandwidthProbe', () => {
  it('asks once half a window has come, and not again before the answer', () => {
    const probe = new BandwidthProbe(1000, 8000);
    expect([probe.received(400), probe.received(100), probe.received(5000)]).toEqual([false, true, false]);
  });

  it('doubles what came in a round trip, where that was most of the window', () => {
    const probe = new BandwidthProbe(1000, 8000);
    probe.received(500);
    probe.received(1200);
    expect([probe.answered(), probe.windowBytes]).toEqual([1400, 2400]);
    probe.received(1200);
    probe.received(500);
    expect([probe.answered(), probe.windowBytes]).toEqual([0, 2400]);
  });

  it('grows no further than it may, and then asks no more', () => {
    const probe = new BandwidthProbe(1000, 1500);
    probe.received(500);
    probe.received(900);
    expect(probe.answered()).toBe(500);
    expect([probe.received(1e9), probe.answered()]).toEqual([false, 0]);
  });
});

describe('the window of streams', () => {
  const MB = 1024 * 1024;
  const chunk = frame(FrameType.DATA, 0, 1, Buffer.alloc(16_384, 'x'));
  const upload = (server: RawServer, bytes: number) => {
    const lines: string[] = [];
    for (let sent = 0; sent < bytes; sent += 16_384) lines.push(...server.get(chunk));
    return lines;
  };

  it('grows with what a peer sends in a round trip, for the streams that are open too', () => {
    const server = RawServer.ready();
    server.get(headers(1, POST, false));
    expect(upload(server, MB / 2)).toContain('PING bandwdth');
    upload(server, MB - 64 * 1024);
    expect(server.get(ping('bandwdth', true))).toEqual([`SETTINGS 0004${(2 * MB).toString(16).padStart(8, '0')}`]);
    // The window that the peer now has is more than a megabyte.
    server.log.last.stream.pause();
    upload(server, MB + MB / 2);
    expect(server.log.closed).toBeUndefined();
    expect(server.log.last.log.lines.join()).not.toContain('reset');
  });

  it('stays as it is where little is sent, and where it was given', () => {
    const small = RawServer.ready();
    small.get(headers(1, POST, false));
    expect(upload(small, MB / 4).filter((line) => line.startsWith('PING'))).toEqual([]);
    const given = RawServer.ready({ streamWindowBytes: MB });
    given.get(headers(1, POST, false));
    expect(upload(given, 8 * MB).filter((line) => line.startsWith('PING'))).toEqual([]);
  });
});
