import { describe, expect, it } from 'vitest';
import { formatPeer, namespaceOf, parsePeer, peerMatchesIdentity } from './peer.ts';

describe('peer', () => {
  it.each([
    ['order-service-v1;default;order-service;v1', { workload: 'order-service-v1', namespace: 'default', service: 'order-service', version: 'v1' }],
    ['order-service-v1;default;order-service;v1;', { workload: 'order-service-v1', namespace: 'default', service: 'order-service', version: 'v1' }],
    ['web;default;;', { workload: 'web', namespace: 'default', service: '', version: '' }],
    ['web;default;web', undefined],
    ['web;default;web;v1;more', undefined],
    [';default;web;v1', undefined],
    ['web;de"fault;web;v1', undefined],
    [`${'w'.repeat(2000)};default;web;v1`, undefined],
    ['', undefined],
  ])('%j', (text, expected) => {
    expect(parsePeer(text)).toEqual(expected);
  });

  it('is written as it is read', () => {
    const peer = { workload: 'w', namespace: 'n', service: 's', version: 'v' };
    expect(parsePeer(formatPeer(peer))).toEqual(peer);
  });

  it('is believed about its own namespace only', () => {
    const peer = parsePeer('web;default;web;v1')!;
    expect(peerMatchesIdentity(peer, 'spiffe://cluster.local/ns/default/sa/web')).toBe(true);
    expect(peerMatchesIdentity(peer, 'spiffe://cluster.local/ns/other/sa/web')).toBe(false);
    expect(namespaceOf('spiffe://cluster.local/x')).toBe('');
  });
});
