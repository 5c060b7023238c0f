import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import type { Body, Refusal } from '../../../src/sources/source.ts';
import { failureOf, fetcherFor, json, raw, serve } from './fetcher.ts';

const post = { body: '<call/>', contentType: 'text/xml' };

describe('a POST', () => {
  it('sends its body with its content type, for any form of answer', async () => {
    const sent: unknown[] = [];
    const server = await serve(async (request, response) => {
      sent.push([request.method, request.headers['content-type'], await text(request)]);
      response.end('{"a":1}');
    });
    const fetcher = fetcherFor(server);
    expect((await fetcher.fetchJson(server.url, { ...json, post })).json).toEqual({ a: 1 });
    const read = ({ bytes }: Body) => new TextDecoder().decode(bytes);
    expect((await fetcher.fetchRaw(server.url, { ...raw, post, read })).value).toBe('{"a":1}');
    expect(sent).toEqual(Array(2).fill(['POST', 'text/xml', '<call/>']));
  });

  it.each([307, 308])('is sent again to where a %i leads', async status => {
    const server = await serve((request, response) =>
      request.url === '/'
        ? response.writeHead(status, { location: '/moved' }).end()
        : response.end(`{"method":"${request.method}"}`),
    );
    const redirectPermit = async (host: string) => ({ host, count: 1, startAtMs: 0, intervalMs: 0 });
    const fetcher = fetcherFor(server, { redirectPermit });
    expect((await fetcher.fetchJson(server.url, { ...json, post })).json).toEqual({ method: 'POST' });
  });

  it.each([301, 302, 303])('does not become a GET by a %i', async status => {
    const server = await serve((_, response) => response.writeHead(status, { location: '/moved' }).end());
    const error = await failureOf(fetcherFor(server).fetchJson(server.url, { ...json, post }));
    expect(error).toMatchObject({ reason: `http-${status}`, status });
    expect(server.requests).toHaveLength(1);
  });
});

describe('an answer that the source reads', () => {
  it('counts as throttled where reading it throws status 429', async () => {
    const server = await serve((_, response) => response.writeHead(200, { 'x-wait': '7' }).end('too many'));
    const fetcher = fetcherFor(server);
    const read = ({ headers }: Body) => {
      const retryAfterMs = Number(headers.get('x-wait')) * 1000;
      throw new ChangeError('http-429', 'thing: expected an answer, got a refusal', { status: 429, retryAfterMs });
    };
    expect(await failureOf(fetcher.fetchRaw(server.url, { ...raw, read }))).toMatchObject({ retryAfterMs: 7000 });
    expect(fetcher.tallies()).toMatchObject([{ throttled: 1, retryAfterMs: 7000, statuses: { '2xx': 1 } }]);
  });

  it('is asked for again where it is only the beginning of one', async () => {
    const server = await serve((_, response, before) => response.end(before === 0 ? '<a>' : '<a></a>'));
    const read = ({ bytes }: Body) => {
      const found = new TextDecoder().decode(bytes);
      if (!found.endsWith('</a>')) throw new ChangeError('truncated', 'thing: expected an end, got none');
      return found;
    };
    expect((await fetcherFor(server).fetchRaw(server.url, { ...raw, read })).value).toBe('<a></a>');
  });
});

describe('an answer of status 4xx', () => {
  const judge = ({ status, bytes, headers }: Refusal) => {
    const said = new TextDecoder().decode(bytes);
    if (said === 'blocked') throw new ChangeError('http-451', 'thing: blocked', { status: 451 });
    if (said === 'slow down')
      throw new ChangeError('http-429', `thing: ${status} ${headers.get('x-why')}`, { status: 429 });
  };

  it.each([
    ['blocked', { status: 451, message: 'thing: blocked' }, { throttled: 0, refused: 0 }],
    ['slow down', { status: 429, message: 'thing: 403 limits' }, { throttled: 1, refused: 0 }],
    ['no', { status: 403, message: 'thing: expected status 200, got 403' }, { throttled: 0, refused: 1 }],
  ])('is what its body says: %s', async (body, failure, counts) => {
    const server = await serve((_, response) => response.writeHead(403, { 'x-why': 'limits' }).end(body));
    const fetcher = fetcherFor(server);
    expect(await failureOf(fetcher.fetchJson(server.url, { ...json, checkRefusal: judge }))).toMatchObject(failure);
    expect(fetcher.tallies()).toMatchObject([counts]);
  });
});
