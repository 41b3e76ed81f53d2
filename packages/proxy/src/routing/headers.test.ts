import { describe, expect, it } from 'vitest';
import { headerValue, joinedHeader, pathOnly, removeHeader, setHeader } from './headers.ts';

describe('header list', () => {
  it('looks names up without case and keeps the first value', () => {
    const headers = ['Content-Type', 'a', 'content-type', 'b'];
    expect(headerValue(headers, 'content-type')).toBe('a');
    expect(joinedHeader(headers, 'content-type')).toBe('a,b');
    expect(headerValue(headers, 'content')).toBeUndefined();
  });

  it('removes every one of a name', () => {
    const headers = ['A', '1', 'b', '2', 'a', '3', 'c', '4'];
    removeHeader(headers, 'a');
    expect(headers).toEqual(['b', '2', 'c', '4']);
  });

  it('sets one in the place of the first', () => {
    const headers = ['A', '1', 'b', '2', 'a', '3', 'a', '4'];
    setHeader(headers, 'a', 'x');
    expect(headers).toEqual(['A', 'x', 'b', '2']);
    setHeader(headers, 'c', 'y');
    expect(headers.slice(-2)).toEqual(['c', 'y']);
  });

  it.each([
    ['/a?b', '/a'],
    ['/a#b?c', '/a'],
    ['/a', '/a'],
    ['', ''],
  ])('path of %j is %j', (path, expected) => {
    expect(pathOnly(path)).toBe(expected);
  });
});
