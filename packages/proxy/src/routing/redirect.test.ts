import { describe, expect, it } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { Redirect, type RedirectFields } from './redirect.ts';
import { NO_PATH_REWRITE, PathRewrite } from './rewrite.ts';

const plain: RedirectFields = { status: 301, scheme: '', host: '', port: 0, path: '', rewrite: NO_PATH_REWRITE, stripQuery: false };

function location(fields: Partial<RedirectFields>, authority = 'a.example', path = '/x/y?q=1', scheme = 'http'): string {
  const head = new RequestHead();
  head.scheme = scheme;
  head.authority = authority;
  head.path = path;
  return new Redirect({ ...plain, ...fields }).location(head);
}

describe('redirect', () => {
  it.each<[string, string, string]>([
    ['host', location({ host: 'b.example' }), 'http://b.example/x/y?q=1'],
    ['scheme drops the default port of the old one', location({ scheme: 'https' }, 'a.example:80'), 'https://a.example/x/y?q=1'],
    ['scheme keeps another port', location({ scheme: 'https' }, 'a.example:8080'), 'https://a.example:8080/x/y?q=1'],
    ['port takes the place of the one there is', location({ port: 8443 }, 'a.example:80'), 'http://a.example:8443/x/y?q=1'],
    ['port behind an IPv6 address', location({ port: 8443 }, '[::1]:80'), 'http://[::1]:8443/x/y?q=1'],
    ['an IPv6 address without port', location({ port: 8443 }, '[::1]'), 'http://[::1]:8443/x/y?q=1'],
    ['path keeps the query', location({ path: '/new' }), 'http://a.example/new?q=1'],
    ['path with a query of its own', location({ path: '/new?p=2' }), 'http://a.example/new?p=2'],
    ['strip_query', location({ stripQuery: true }), 'http://a.example/x/y'],
    ['prefix', location({ rewrite: new PathRewrite('/new', 2, null) }), 'http://a.example/new/y?q=1'],
  ])('%s', (_name, actual, expected) => {
    expect(actual).toBe(expected);
  });
});
